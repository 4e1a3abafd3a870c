/* map without extract and merge: workers that claim chunks of the arguments as they become free. */
#ifndef SF_PY_WORKERS_GUIDED_H
#define SF_PY_WORKERS_GUIDED_H

#include "py/workers/map_call.h"

/* Computes all results into map->results, which were made. 0, with or without a failure in them, or -1 with another
 * exception. sf_engine_fini in any case. */
int sf_guided_run(struct sf_map *map);

#endif
