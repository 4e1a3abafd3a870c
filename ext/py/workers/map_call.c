/* What the jobs of map.c and merge.c share. See map_call.h. */
#include "py/workers/map_call.h"

void sf_map_describe(const struct sf_engine *engine, uint64_t number, bool extracted, char *what)
{
    const struct sf_map *map = sf_map_of(engine);
    char chunk[80];
    sf_results_describe_chunk(&map->results, (Py_ssize_t)number / map->results.chunk, chunk);
    if (extracted)
        snprintf(what, SF_ENGINE_WHAT_BYTES, "what it extracted after %s", chunk);
    else
        snprintf(what, SF_ENGINE_WHAT_BYTES, "its result for argument %llu, of %s", (unsigned long long)number, chunk);
}

Py_ssize_t sf_map_room(struct sf_engine *engine, uint64_t number, bool extracted)
{
    const struct sf_results *results = &sf_map_of(engine)->results;
    return extracted ? sf_results_misses_extracted(results, (Py_ssize_t)number / results->chunk)
                     : sf_results_room(results, number);
}
