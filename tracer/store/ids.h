/* Row ids of tasks, channels and texts by the numbers that processes give them. Memory is a small fixed cache; the
 * table `number` holds the rest. Nothing blocks but the disk; errors stick to the store. */
#ifndef SF_TRACER_STORE_IDS_H
#define SF_TRACER_STORE_IDS_H

#include <stdint.h>

#include "store/store.h"

struct ids;

struct ids *ids_new(struct store *store); /* NULL: no memory; the store must outlive it */
void ids_free(struct ids *ids);

/* The row of that task or channel (scope: the family) or text (scope: the log). A task or channel that was not
 * heard of gets a row; a text that was not is "(lost text)". Number 0 is none: 0. */
int64_t ids_get(struct ids *ids, enum store_object type, int64_t scope, uint64_t number);

/* Says which text a number stands for. */
void ids_set_text(struct ids *ids, int64_t log, uint64_t number, const char *text);

#endif
