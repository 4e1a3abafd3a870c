/* Useful time, which is the time that processes spent in `running`, and how evenly it was spread.
 *
 * POP's load balance is for a fixed number of processes. Ours come and go, so their useful time is laid into slots: a
 * slot holds one process at a time, as a slot of a batch scheduler does. The database calls their number `lanes`. */
#ifndef SF_TRACER_ANALYZE_LOAD_BALANCE_H
#define SF_TRACER_ANALYZE_LOAD_BALANCE_H

#include "analyze/graph.h"

struct load_balance {
    int at_once;       /* as many slots hold 99 % of the useful time */
    int slots;         /* POP's p: as many, and at most as many as there are CPUs */
    double useful_ns;  /* of all processes; where more ran at once than there are CPUs, their share of these */
    double largest_ns; /* the useful time of the fullest slot */
};

/* Each process goes into the emptiest slot, the longest first. 0 or -ENOMEM. */
int load_balance_measure(struct load_balance *balance, const struct graph *graph);

/* For each process the factor for its running time that levels the load: siblings (children of one process) that
 * lived at the same time all run for their mean. The caller frees it; NULL: no memory. */
double *load_balance_level(const struct graph *graph);

#endif
