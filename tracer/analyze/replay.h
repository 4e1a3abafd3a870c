/* Replays a graph with other costs: how long would the run have taken? Which process waits for which stays as it was,
 * and no process takes over work of another; only the times change. */
#ifndef SF_TRACER_ANALYZE_REPLAY_H
#define SF_TRACER_ANALYZE_REPLAY_H

#include "analyze/graph.h"

/* Factors, none negative: 1 keeps the time, 0 makes it nothing. Page faults vanish with the activity in which they
 * happened: their time has its factor, too. */
struct replay_costs {
    double category[CATEGORY_COUNT]; /* of the time that a step spent on its category; of page faults, of tracing */
    double handover;       /* from the moment at which a dependency is provided to the end of the wait for it, */
    double end_handover;   /* and of waits for the end of a child, in its place */
    double room;           /* 0: nobody waits for room in a channel; else they wait as the rest says */
    double unknown_wait;   /* of waits that ended for a reason that is not known */
    double copy_on_write;  /* of that part of the page faults, in place of the page faults' factor */
    const double *running; /* for each process, on top of the factor for `running`; NULL: 1 for all */
};

/* All factors the same. */
struct replay_costs replay_costs_all(double factor);

/* How long all processes together need a CPU, in ns. */
double replay_work(const struct graph *graph, const struct replay_costs *costs);

/* The duration from the first start to the last end, in ns. With all factors 1 it is that of the run. Where waits for a
 * CPU are to cost less, it is at least what the work takes on all CPUs. -1: no memory. */
double replay(const struct graph *graph, const struct replay_costs *costs);

#endif
