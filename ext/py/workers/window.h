/* The chunks of imap that are under way: handed to the workers, or with results that were not handed out yet.
 *
 *     sf_window_add --> results arrive one by one --> all handed out: its place is free again
 *                                            \--> failed: after the results before it, the failure is handed out
 *
 * Only the parent has one. A chunk has few neighbours (3 for each worker), so they are simply searched. */
#ifndef SF_PY_WORKERS_WINDOW_H
#define SF_PY_WORKERS_WINDOW_H

#include "py/base/compat.h"

#include <stdbool.h>
#include <stdint.h>

struct sf_window_chunk {
    bool used;
    uint64_t number;           /* of the chunk */
    Py_ssize_t count;          /* its arguments */
    Py_ssize_t arrived, taken; /* results: here in all, and handed out of those */
    uint64_t rank;             /* its place among the chunks in the order in which their first results came */
    PyObject **values;         /* those between taken and arrived are owned */
    PyObject *failure;         /* what comes after the arrived ones; owned */
};

struct sf_window {
    struct sf_window_chunk *chunks;
    Py_ssize_t places, used;
    Py_ssize_t current; /* the place of the chunk whose results are being handed out, -1 */
    uint64_t following; /* in order: the number of the chunk that is to be handed out */
    uint64_t ranks;     /* given so far */
    bool is_ordered, has_failed;
};

void sf_window_init(struct sf_window *window, bool is_ordered);
void sf_window_fini(struct sf_window *window);

/* A new chunk, of which nothing is here. 0, or -1 with MemoryError. */
int sf_window_add(struct sf_window *window, uint64_t number, Py_ssize_t count);

/* How many results may still come for the chunk if the next is that of its argument `index`; 0: that is not the next.
 */
Py_ssize_t sf_window_room(const struct sf_window *window, uint64_t number, Py_ssize_t index);

/* The results of the next `count` arguments of a chunk that has room for them. Takes references of its own. */
void sf_window_keep(struct sf_window *window, uint64_t number, PyObject *const *values, Py_ssize_t count);

/* What comes instead of the next result of a chunk that has room. Steals failure. */
void sf_window_fail(struct sf_window *window, uint64_t number, PyObject *failure);

/* Whether results of the chunk are missing. */
bool sf_window_misses(const struct sf_window *window, uint64_t number);

/* The number of the earliest chunk that misses results, or UINT64_MAX. */
uint64_t sf_window_earliest_missing(const struct sf_window *window);

/* Whether a value or a failure can be handed out. If so, that chunk is the current one. */
bool sf_window_has_next(struct sf_window *window);

/* Whether the next is the first of its chunk. After sf_window_has_next. */
bool sf_window_begins_chunk(const struct sf_window *window);

/* Hands out: the value, or NULL with the failure raised. After sf_window_has_next. */
PyObject *sf_window_take(struct sf_window *window);

/* Chunks under way besides the one that is being handed out. */
Py_ssize_t sf_window_ahead(const struct sf_window *window);

int sf_window_traverse(const struct sf_window *window, visitproc visit, void *arg);

#endif
