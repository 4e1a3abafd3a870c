/* How much of its time each process of a run was on a CPU. */
#ifndef SF_TRACER_PREDICT_CPU_SHARES_H
#define SF_TRACER_PREDICT_CPU_SHARES_H

#include <stdint.h>

#include "analyze/graph.h"

/* The part of a process's time that it was on a CPU. Its own work may have been sleep; the rest, such as forking and
 * pickling, needs a CPU as long as the process has used one for so long at all. */
struct cpu_share {
    double running, other; /* from 0 to 1 */
    double work;           /* the part of its time in `running` that it worked or slept, and did not lack a CPU */
};

/* Fills one for each process, by the CPU time that they tell of at their ends; without that, and without
 * what their parents tell of them, a process was on a CPU always. cpus: of the machine of the run; 0: not known. Where
 * all of them were in use, the time of a process that it was on none was lack of a CPU, and not sleep. 0 or -ENOMEM. */
int cpu_shares_find(struct cpu_share *shares, const struct graph *graph, int64_t cpus);

#endif
