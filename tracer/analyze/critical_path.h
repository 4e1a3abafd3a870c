/* The critical path of a graph: the chain of steps that the end of the run had to wait for, from the first start of any
 * process to the last end. */
#ifndef SF_TRACER_ANALYZE_CRITICAL_PATH_H
#define SF_TRACER_ANALYZE_CRITICAL_PATH_H

#include <stddef.h>

#include "analyze/graph.h"

/* An activity besides the categories: from the moment at which a dependency was provided until the wait for it was
 * over. */
#define CRITICAL_PATH_HANDOVER CATEGORY_COUNT

/* And another one: the time before the start of a process that no traced process is known to have started, back to the
 * end of the one that had ended last, or to the run's begin. What happened in it is not known. */
#define CRITICAL_PATH_OUTSIDE (CATEGORY_COUNT + 1)
#define CRITICAL_PATH_ACTIVITIES (CATEGORY_COUNT + 2)

struct piece {
    int64_t from_ns, to_ns;
    int process;
    int activity; /* enum category, CRITICAL_PATH_HANDOVER or CRITICAL_PATH_OUTSIDE */
};

struct critical_path {
    struct piece *pieces; /* in the order of time; each begins where the one before it ends */
    size_t count;
    int64_t ns[CRITICAL_PATH_ACTIVITIES]; /* of each activity; page faults and tracing are not in the others */
};

/* 0 or -ENOMEM; fini in every case. */
int critical_path_init(struct critical_path *path, const struct graph *graph);
void critical_path_fini(struct critical_path *path);

#endif
