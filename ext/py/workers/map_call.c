/* What the jobs of map.c and merge.c share. See map_call.h. */
#include "py/workers/map_call.h"

#include <stdio.h>

#include "core/os/monotonic.h"

/* So long after `progress` was called: */
#define ASK_NS INT64_C(250000000)  /* workers are asked for the results that they have */
#define TELL_NS INT64_C(400000000) /* it is called in the middle of a chunk too */

void sf_map_begin_chunk(struct sf_worker *worker, uint64_t number, Py_ssize_t first, Py_ssize_t end,
                        struct sf_chunk *chunk)
{
    struct sf_engine_claim *claim = sf_worker_board(worker);
    chunk->items = Py_NewRef(sf_map_of(worker->engine)->items);
    chunk->at = first;
    chunk->end = end;
    chunk->number = number;
    /* relaxed: read after our death only */
    atomic_store_explicit(&claim->first, (uint64_t)first, memory_order_relaxed);
    atomic_store_explicit(&claim->end, (uint64_t)end, memory_order_relaxed);
    atomic_store_explicit(&claim->number, (uint64_t)first, memory_order_relaxed);
}

void sf_map_describe_arguments(const struct sf_map *map, Py_ssize_t first, Py_ssize_t end, char *what)
{
    char chunk[32] = "";
    if (map->chunk)
        snprintf(chunk, sizeof chunk, "chunk %lld, ", (long long)(first / map->chunk));
    if (map->chunk || end - first > 1)
        snprintf(what, 80, "%sarguments %lld to %lld", chunk, (long long)first, (long long)end - 1);
    else
        snprintf(what, 80, "argument %lld", (long long)first);
}

void sf_map_describe(const struct sf_engine *engine, uint64_t number, bool extracted, char *what)
{
    const struct sf_map *map = sf_map_of(engine);
    char chunk[80];
    if (!map->chunk) {
        snprintf(what, SF_ENGINE_WHAT_BYTES, "its result for argument %llu", (unsigned long long)number);
        return;
    }
    Py_ssize_t of = (Py_ssize_t)number / map->chunk;
    sf_map_describe_arguments(map, of * map->chunk, sf_map_chunk_end(map, of), chunk);
    if (extracted)
        snprintf(what, SF_ENGINE_WHAT_BYTES, "what it extracted after %s", chunk);
    else
        snprintf(what, SF_ENGINE_WHAT_BYTES, "its result for argument %llu, of %s", (unsigned long long)number, chunk);
}

void sf_map_tell(struct sf_map *map, Py_ssize_t number, Py_ssize_t count, bool is_end)
{
    struct sf_results *results = &map->results;
    if (!results->progress)
        return;
    if (!results->told_ns)
        results->told_ns = sf_monotonic_ns(); /* forking the workers may have taken long */
    if (map->chunk) {
        if (!is_end && sf_monotonic_ns() - results->told_ns < TELL_NS)
            return;
        Py_ssize_t chunk = number / map->chunk, first = chunk * map->chunk;
        count = sf_results_first_missing(results, first, sf_map_chunk_end(map, chunk)) - first - map->counted[chunk];
        map->counted[chunk] += count;
    }
    results->done += count;
    sf_results_tell(results);
}

int sf_map_ask(struct sf_engine *engine)
{
    struct sf_map *map = sf_map_of(engine);
    if (!map->results.progress)
        return 0;
    int64_t now = sf_monotonic_ns(),
            since = map->results.told_ns > map->asked_ns ? map->results.told_ns : map->asked_ns;
    if (now - since < ASK_NS)
        return 0;
    map->asked_ns = now;
    atomic_fetch_add_explicit(&engine->board->asked, 1, memory_order_relaxed); /* it orders nothing */
    return 0;
}

void sf_map_raise_death(const struct sf_map *map, struct sf_worker *worker, uint64_t claim, const char *belongs,
                        Py_ssize_t first, Py_ssize_t end)
{
    char what[80], where[160];
    sf_map_describe_arguments(map, first, end, what);
    snprintf(where, sizeof where, " before it had sent %s %s", belongs, what);
    sf_engine_raise_death(worker, claim, where);
}
