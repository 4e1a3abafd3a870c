/* Useful time, which is the time that processes spent in `running`, and how evenly it was spread.
 *
 * POP's load balance is for a fixed number of processes. Ours come and go, so their useful time is laid into slots: a
 * slot holds one process at a time, as a slot of a batch scheduler does. The database calls their number `lanes`. */
#ifndef SF_TRACER_ANALYZE_LOAD_BALANCE_H
#define SF_TRACER_ANALYZE_LOAD_BALANCE_H

#include "analyze/graph.h"

struct load_balance {
    int slots;         /* POP's p: the fewest slots that hold 99 % of the useful time */
    double useful_ns;  /* of all processes */
    double largest_ns; /* the useful time of the fullest slot */
};

/* A process keeps its slot while it can, else it takes the emptiest free one. Useful time that finds no free slot
 * counts to the emptiest one. 0 or -ENOMEM. */
int load_balance_measure(struct load_balance *balance, const struct graph *graph);

/* For each process the factor for its running time that levels the load: siblings (children of one process) that
 * lived at the same time all run for their mean. The caller frees it; NULL: no memory. */
double *load_balance_level(const struct graph *graph);

#endif
