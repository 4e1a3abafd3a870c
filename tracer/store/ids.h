/* Finds the row ids of tasks, channels and texts by the numbers that processes give them. The table `number` has all of
 * them, and a small cache of fixed size the most recent. Only the disk can block; the store keeps errors. */
#ifndef SF_TRACER_STORE_IDS_H
#define SF_TRACER_STORE_IDS_H

#include <stdint.h>

#include "store/store.h"

struct ids;

struct ids *ids_new(struct store *store); /* NULL: no memory; the store must outlive it */
void ids_free(struct ids *ids);

/* The row id of that task or channel (scope: the family) or text (scope: the log). A task or channel that is not known
 * gets a row; a text that is not known is "(lost text)". Number 0 means none, and its id is 0. */
int64_t ids_get(struct ids *ids, enum store_object type, int64_t scope, uint64_t number);

/* From now on the number stands for this text. */
void ids_set_text(struct ids *ids, int64_t log, uint64_t number, const char *text);

#endif
