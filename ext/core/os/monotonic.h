/* The clock of all waits and deadlines: CLOCK_MONOTONIC in ns. Async-signal-safe; some 20 ns. */
#ifndef SF_CORE_OS_MONOTONIC_H
#define SF_CORE_OS_MONOTONIC_H

#include <stdint.h>
#include <time.h>

static inline int64_t sf_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

#endif
