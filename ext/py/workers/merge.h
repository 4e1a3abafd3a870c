/* map with extract and merge. */
#ifndef SF_PY_WORKERS_MERGE_H
#define SF_PY_WORKERS_MERGE_H

#include "py/workers/map_call.h"

/* Runs all chunks and merges. 0: map->results have all, or the failure; -1: another exception. */
int sf_merge_run(struct sf_map *map);

#endif
