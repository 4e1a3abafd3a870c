/* When a waiting process checks whether the processes it waits for still live.
 *
 * A process may be killed after it did what we wait for and before it wakes us, or before it did anything. So no sleep
 * lasts longer than one period, and a check follows each sleep that brought nothing. A timer whose signals end every
 * sleep early must not prevent the checks: one is due as well when the last one is a period ago. */
#ifndef SF_CORE_OS_LIVENESS_H
#define SF_CORE_OS_LIVENESS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/os/monotonic.h"

#define SF_LIVENESS_PERIOD_NS INT64_C(100000000)

/* How long to sleep at most when timeout_ns are left. */
static inline int64_t sf_liveness_slice_ns(int64_t timeout_ns)
{
    return timeout_ns < SF_LIVENESS_PERIOD_NS ? timeout_ns : SF_LIVENESS_PERIOD_NS;
}

/* Whether a check is due after a sleep that returned `slept` (-ETIMEDOUT and -EPIPE: it brought nothing).
 * *checked_ns is when this last said yes: the caller keeps it, from 0. Threads may share it (relaxed: two of them may
 * check at the same time, which does no harm). */
static inline bool sf_liveness_is_due(int slept, int64_t *checked_ns)
{
    int64_t now = sf_monotonic_ns(), checked = __atomic_load_n(checked_ns, __ATOMIC_RELAXED);
    if (slept != -ETIMEDOUT && slept != -EPIPE && now - checked < SF_LIVENESS_PERIOD_NS)
        return false;
    __atomic_store_n(checked_ns, now, __ATOMIC_RELAXED);
    return true;
}

#endif
