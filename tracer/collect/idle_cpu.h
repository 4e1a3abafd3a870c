/* Is a CPU idle, so that the collector can store records without taking a CPU from the program?
 *
 * Only a time in which the collector sleeps can answer that. While the collector occupies one CPU, processes that hand
 * work to each other take turns on another, and then seem not to need the first. So the caller starts the watch when it
 * goes to sleep, and asks when it is about to work again. */
#ifndef SF_TRACER_COLLECT_IDLE_CPU_H
#define SF_TRACER_COLLECT_IDLE_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct idle_cpu {
    int64_t since_ns; /* when the watch was started, by CLOCK_MONOTONIC; 0: it was not */
    uint64_t idle;    /* how long the CPUs that this process may use had been idle by then, in clock ticks */
};

/* Starts the watch: the caller goes to sleep. */
void idle_cpu_watch(struct idle_cpu *idle_cpu);

/* Since the watch was started, at least IDLE_CPU_WINDOW_NS ago, were the CPUs that this process may use idle for three
 * quarters of one CPU's time or more? false also if that is not known. Reads /proc/stat; does not block. */
bool idle_cpu_is_there(const struct idle_cpu *idle_cpu);

/* The share of the time since the watch was started in which those CPUs were idle, 0 to 1: what all programs of the
 * machine left of them. -1: not known, or too short. */
double idle_cpu_share(const struct idle_cpu *idle_cpu);

/* /proc/stat counts in hundredths of a second, which is too coarse for shorter times. */
#define IDLE_CPU_WINDOW_NS (50 * NS_PER_MS)

#endif
