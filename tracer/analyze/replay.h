/* Running a graph again, with other costs: how long would it have taken? Who waits for whom stays as it was, and
 * nobody does another's work; only the times change. */
#ifndef SF_TRACER_ANALYZE_REPLAY_H
#define SF_TRACER_ANALYZE_REPLAY_H

#include "analyze/graph.h"

/* Factors: 1 keeps what it took, 0 makes it free. */
struct replay_costs {
    double category[CATEGORY_COUNT]; /* of the time that a step spent on its category; of page faults, of tracing */
    double handover;                 /* from giving a signal to the end of the wait for it */
    double unknown_wait;             /* waits of which nobody knows who ended them */
    double copy_on_write;            /* that part of the page faults, instead of their factor */
    const double *running;           /* for each process, on top of its category's; NULL: 1 */
};

/* All factors the same. */
struct replay_costs replay_costs_all(double factor);

/* From the first start to the last end, in ns. With all factors 1 it is what it was. -1: no memory. */
double replay(const struct graph *graph, const struct replay_costs *costs);

#endif
