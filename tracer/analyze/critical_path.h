/* The critical path of a graph. */
#ifndef SF_TRACER_ANALYZE_CRITICAL_PATH_H
#define SF_TRACER_ANALYZE_CRITICAL_PATH_H

#include <stddef.h>

#include "analyze/graph.h"

#define CRITICAL_PATH_HANDOVER                                                                                         \
    CATEGORY_COUNT /* an activity besides the categories: from a signal to the end of the wait for it */

struct piece {
    int64_t from_ns, to_ns;
    int process;
    int activity; /* enum category or CRITICAL_PATH_HANDOVER */
};

struct critical_path {
    struct piece *pieces; /* in the order of time; one begins where the one before it ends */
    size_t count;
    int64_t ns[CATEGORY_COUNT + 1]; /* of each activity; page faults and tracing are taken from the others */
};

/* 0 or -ENOMEM; fini in every case. */
int critical_path_init(struct critical_path *path, const struct graph *graph);
void critical_path_fini(struct critical_path *path);

#endif
