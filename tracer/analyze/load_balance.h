/* Useful time, which is what processes spent in `running`, and how it was spread. */
#ifndef SF_TRACER_ANALYZE_LANES_H
#define SF_TRACER_ANALYZE_LANES_H

#include "analyze/graph.h"

struct lanes {
    int count;         /* p: the fewest on which 99 % of the useful time finds room */
    double useful_ns;  /* of all processes */
    double largest_ns; /* useful time of the fullest lane */
};

/* Processes come and go, a lane holds one at a time; a process keeps its own while it can, and else takes one that
 * nobody had, or is free. What finds none free counts to the emptiest. 0 or -ENOMEM. */
int lanes_count(struct lanes *lanes, const struct graph *graph);

/* A factor for each process that makes the running time of children of one process, as far as they lived at the
 * same time, their mean. The caller frees it; NULL: no memory. */
double *lanes_balance(const struct graph *graph);

#endif
