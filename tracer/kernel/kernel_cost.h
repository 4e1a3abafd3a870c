/* What page faults cost on this machine; for kernels where they cannot be timed one by one. */
#ifndef SF_TRACER_KERNEL_KERNEL_COST_H
#define SF_TRACER_KERNEL_KERNEL_COST_H

#include <stdint.h>

#include "kernel/kernel_record.h"

/* Causes page faults of each kind, in its own memory and in a child that it forks and reaps, and sets cost_ns to what
 * one takes: the median of many batches. Blocks for some 30 ms. A kind that cannot be caused costs 0. */
void kernel_cost_measure(int64_t cost_ns[KERNEL_FAULT_KINDS], double ns_per_tick);

#endif
