/* Finds the row ids of tasks, channels, texts, frames and stacks by the numbers that processes give them. The table
 * `number` has all of them, and a small cache of fixed size the most recent. Only the disk can block; the store keeps
 * errors. */
#ifndef SF_TRACER_STORE_IDS_H
#define SF_TRACER_STORE_IDS_H

#include <stdint.h>

#include "store/store.h"

struct ids;

struct ids *ids_new(struct store *store); /* NULL: no memory; the store must outlive it */
void ids_free(struct ids *ids);

/* The row id of that task or channel (scope: the family) or text, frame or stack (scope: the log). A task or channel
 * that is not known gets a row; a text that is not known is "(lost text)", and so is a frame's function or a stack's
 * frame. Number 0 means none, and its id is 0. */
int64_t ids_get(struct ids *ids, enum store_object type, int64_t scope, uint64_t number);

/* From now on the number stands for this frame, this stack: see store_frame and store_stack. Returns its row id. */
int64_t ids_set_frame(struct ids *ids, int64_t log, uint64_t number, int64_t function, int64_t file, int64_t line);
int64_t ids_set_stack(struct ids *ids, int64_t log, uint64_t number, int64_t parent, int64_t frame);

/* From now on the number stands for this text. */
void ids_set_text(struct ids *ids, int64_t log, uint64_t number, const char *text);

#endif
