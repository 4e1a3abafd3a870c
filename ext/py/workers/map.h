/* A map or starmap call: what its two ways of running share.
 *
 *   map_counter.c   without extract and merge: `workers` processes take chunks from a shared counter
 *   map_merge.c     with them: one process for each chunk, at most `workers` at a time, merged in order at the end */
#ifndef SF_PY_WORKERS_MAP_H
#define SF_PY_WORKERS_MAP_H

#include "py/base/compat.h"
#include "py/task/task.h"

#include <stdbool.h>
#include <stdint.h>

struct sf_map {
    PyObject *f, *items, *extract, *merge; /* borrowed; items: a list, tuple or range */
    bool star;                             /* f(*item) */
    Py_ssize_t count, chunk, chunks;       /* items, items in a chunk, chunks */
    Py_ssize_t workers;                    /* processes at a time */
    PyObject *results;                     /* list, with holes where one is not here yet; owned */
    Py_ssize_t *arrived;                   /* by chunk: how many of its results are here */
    PyObject *failure;                     /* exception of the earliest failed chunk so far, owned */
    Py_ssize_t failed_chunk; /* its number; `chunks` if none has failed, -1: what tells of progress raised */
    PyObject *progress;      /* called with (items done, items) after each chunk; borrowed, NULL: nobody */
    Py_ssize_t done;         /* items whose results are here */
};

/* In the child: a walk over the items of a chunk. */
struct sf_map_walk {
    Py_ssize_t at, end; /* the next item, and the one after the last */
    PyObject *iterator; /* over a range; NULL for a list or tuple */
};
int sf_map_walk_begin(const struct sf_map *map, Py_ssize_t chunk, struct sf_map_walk *walk); /* 0, or -1 raised */
PyObject *sf_map_walk_next(const struct sf_map *map, struct sf_map_walk *walk); /* f of the next item; NULL: raised */
void sf_map_walk_end(struct sf_map_walk *walk);

/* In the child: f over all items of a chunk, as a list. NULL with f's exception. */
PyObject *sf_map_compute(const struct sf_map *map, Py_ssize_t chunk);

/* In the parent: takes the current exception as a chunk's failure; the earliest chunk's stays. */
void sf_map_fail(struct sf_map *map, Py_ssize_t chunk);

/* In the parent: the chunk's process has died without its result: ChildDied as its failure. */
void sf_map_fail_by_death(struct sf_map *map, const struct sf_task *task, Py_ssize_t chunk);

/* In the parent: keeps the results of items first, first + 1, ... that came as a list, or the one of `first`. Fails the
 * chunk where they do not fit. Tells of the progress when the chunk is whole; what that raises counts as a failure
 * before all chunks, so that nothing is waited for any more. Steals the reference. */
void sf_map_keep(struct sf_map *map, Py_ssize_t first, PyObject *list);
void sf_map_keep_one(struct sf_map *map, Py_ssize_t first, PyObject *value);

/* Whether all results of the chunk are here. */
bool sf_map_is_whole(const struct sf_map *map, Py_ssize_t chunk);

/* "its result for chunk 3, arguments 30 to 39" into a buffer of SF_MAP_WHAT_BYTES. */
#define SF_MAP_WHAT_BYTES 120
void sf_map_describe(const struct sf_map *map, Py_ssize_t chunk, char *what);

/* Run all chunks: 0: map->results are whole, or map->failure is set; -1: another exception. All children are gone. */
int sf_map_by_counter(struct sf_map *map);
int sf_map_by_merge(struct sf_map *map);

#endif
