/* Whether a CPU is to spare: whether the collector would take nothing from the program by storing now.
 *
 * Only times in which the collector itself is quiet can tell: processes that hand work to each other take turns on
 * one CPU when somebody occupies the other, and then nobody else seems to want it. So the caller says when it falls
 * quiet, and asks when it is about to begin again. */
#ifndef SF_TRACER_COLLECT_IDLE_CPU_H
#define SF_TRACER_COLLECT_IDLE_CPU_H

#include <stdbool.h>
#include <stdint.h>

struct idle_cpu {
    int64_t since_ns; /* of CLOCK_MONOTONIC: the caller has been quiet; 0: it has not */
    uint64_t idle;    /* of the CPUs that this process may use, in clock ticks, by then */
};

/* The caller falls quiet now. */
void idle_cpu_quiet(struct idle_cpu *spare);

/* Since idle_cpu_quiet, at least IDLE_CPU_WINDOW_NS ago, was three quarters of a CPU or more idle, of those that this
 * process may use? False also where that cannot be known. Opens /proc/stat; does not block. */
bool idle_cpu_is_there(const struct idle_cpu *spare);

/* /proc/stat counts in hundredths of a second: shorter times say nothing. */
#define IDLE_CPU_WINDOW_NS INT64_C(50000000)

#endif
