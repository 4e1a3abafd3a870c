/* The clock of all waits and deadlines: CLOCK_MONOTONIC, in ns. Everything here is async-signal-safe. */
#ifndef SF_CORE_OS_MONOTONIC_H
#define SF_CORE_OS_MONOTONIC_H

#include <stdint.h>
#include <time.h>

#define SF_NS_PER_S INT64_C(1000000000)

/* Now. Some 20 ns. */
static inline int64_t sf_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SF_NS_PER_S + now.tv_nsec;
}

/* A duration as system calls take it; a negative one is 0. */
static inline struct timespec sf_monotonic_timespec(int64_t ns)
{
    ns = ns < 0 ? 0 : ns;
    return (struct timespec){.tv_sec = (time_t)(ns / SF_NS_PER_S), .tv_nsec = (long)(ns % SF_NS_PER_S)};
}

#endif
