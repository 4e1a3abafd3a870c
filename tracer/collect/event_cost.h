/* What writing one event takes the traced program. */
#ifndef SF_TRACER_COLLECT_EVENT_COST_H
#define SF_TRACER_COLLECT_EVENT_COST_H

/* In ns, by the machine at hand: the median of batches of records that are stamped and written to warm memory, as
 * the log's writer does. Takes about a millisecond. */
double event_cost_measure(double ns_per_tick);

#endif
