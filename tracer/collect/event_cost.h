/* What writing one event costs the traced program. */
#ifndef SF_TRACER_COLLECT_EVENT_COST_H
#define SF_TRACER_COLLECT_EVENT_COST_H

/* In ns, measured on this machine: the median of batches of records, each stamped and written to warm memory in the
 * same way as the log's writer does. Takes about a millisecond. */
double event_cost_measure(double ns_per_tick);

#endif
