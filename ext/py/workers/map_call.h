/* A map or starmap call: what map.c and merge.c have in common.
 *
 * The arguments are cut into chunks of one size, or by the workers as they go (guided.h). The parent notes results by
 * argument (results.h). It needs to know a chunk only where one is extracted after, and to tell which arguments a
 * worker had when it died: that stands in the worker's claim. */
#ifndef SF_PY_WORKERS_MAP_CALL_H
#define SF_PY_WORKERS_MAP_CALL_H

#include "py/workers/engine.h"
#include "py/workers/results.h"

struct sf_map {
    struct sf_engine engine;
    struct sf_results results;
    PyObject *items;                  /* the arguments: a list, tuple or range; owned */
    Py_ssize_t workers;               /* processes at a time */
    Py_ssize_t chunk, chunks;         /* arguments in a chunk, and how many chunks; 0: the workers decide */
    struct sf_extraction *extraction; /* owned; NULL: only results come back */
    bool rounds;
    Py_ssize_t *counted; /* by chunk: arguments that `progress` was told of; NULL without it, and without chunks */
    int64_t asked_ns;    /* when the workers were last asked for the results that they have */
    /* of merge.c */
    PyObject **extracted;  /* by chunk: until it is merged; owned */
    Py_ssize_t whole;      /* of all chunks before this one the results are here, and what was extracted */
    Py_ssize_t first, end; /* the chunks of this round */
    Py_ssize_t ending;     /* workers that have sent everything and were not reaped yet */
};

static inline struct sf_map *sf_map_of(const struct sf_engine *engine)
{
    return (struct sf_map *)((char *)engine - offsetof(struct sf_map, engine));
}

/* The number of the argument after the last one of a chunk of the one size. */
static inline Py_ssize_t sf_map_chunk_end(const struct sf_map *map, Py_ssize_t number)
{
    return number + 1 < map->chunks ? (number + 1) * map->chunk : map->results.count;
}

/* In a worker: begins the chunk of arguments [first, end), and notes the claim. */
void sf_map_begin_chunk(struct sf_worker *worker, uint64_t number, Py_ssize_t first, Py_ssize_t end,
                        struct sf_chunk *chunk);

/* "chunk 3, arguments 30 to 39" into a buffer of 80 bytes; without the chunk where the workers cut. */
void sf_map_describe_arguments(const struct sf_map *map, Py_ssize_t first, Py_ssize_t end, char *what);

/* Two of the jobs' functions. */
void sf_map_describe(const struct sf_engine *engine, uint64_t number, bool extracted, char *what);
int sf_map_ask(struct sf_engine *engine); /* advance: nobody should wait for more than a second to see progress */

/* Tells `progress` of the results that have come for `count` arguments from `number` on, and of those before them in
 * their chunk. is_end: that chunk is done. Else it is told only if it has not been for a while, or if the workers cut
 * the chunks. */
void sf_map_tell(struct sf_map *map, Py_ssize_t number, Py_ssize_t count, bool is_end);

/* Raises that a worker has died before it had sent what belongs to arguments [first, end). claim: as of job->ended. */
void sf_map_raise_death(const struct sf_map *map, struct sf_worker *worker, uint64_t claim, const char *belongs,
                        Py_ssize_t first, Py_ssize_t end);

#endif
