/* A map or starmap call: what map.c and merge.c have in common. */
#ifndef SF_PY_WORKERS_MAP_CALL_H
#define SF_PY_WORKERS_MAP_CALL_H

#include <stdio.h>

#include "py/workers/engine.h"
#include "py/workers/results.h"

struct sf_map {
    struct sf_engine engine;
    struct sf_results results;
    PyObject *items;           /* the arguments: a list, tuple or range; owned */
    Py_ssize_t workers;        /* processes at a time */
    PyObject *extract, *merge; /* borrowed; both NULL where not given */
    PyObject *globals;         /* dict that extract and merge get; owned; NULL without them */
    bool rounds;
    /* of merge.c, for each round */
    Py_ssize_t first, end; /* its chunks */
    Py_ssize_t ending;     /* workers that have sent everything and were not reaped yet */
};

static inline struct sf_map *sf_map_of(const struct sf_engine *engine)
{
    return (struct sf_map *)((char *)engine - offsetof(struct sf_map, engine));
}

/* Fills in a chunk; its items are a new reference. */
static inline void sf_map_chunk(const struct sf_map *map, Py_ssize_t number, struct sf_chunk *chunk)
{
    chunk->items = Py_NewRef(map->items);
    chunk->at = number * map->results.chunk;
    chunk->end = sf_results_chunk_end(&map->results, number);
    chunk->number = (uint64_t)number;
}

/* Two of the jobs' functions. */
void sf_map_describe(const struct sf_engine *engine, uint64_t number, bool extracted, char *what);
Py_ssize_t sf_map_room(struct sf_engine *engine, uint64_t number, bool extracted);

/* Raises that a worker has died before its chunk was done. claim: as of job->ended. */
static inline void sf_map_raise_death(const struct sf_map *map, struct sf_worker *worker, uint64_t claim,
                                      Py_ssize_t chunk)
{
    char what[80], where[160];
    bool extracting = sf_results_misses_extracted(&map->results, chunk);
    sf_results_describe_chunk(&map->results, chunk, what);
    snprintf(where, sizeof where, " before it had sent %s %s",
             extracting ? "what it extracted after" : "its results for", what);
    sf_engine_raise_death(worker, claim, where);
}

#endif
