/* When a waiting process checks whether the processes it waits for still live.
 *
 * A process may be killed before it does what we wait for, or after it has done so but before it wakes us. So no sleep
 * is longer than one period, and a check follows each sleep that ended without a result. The signals of a timer may cut
 * every sleep short; so a check is also due when the last one was a period ago. */
#ifndef SF_CORE_OS_LIVENESS_H
#define SF_CORE_OS_LIVENESS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/os/monotonic.h"

#define SF_LIVENESS_PERIOD_NS INT64_C(100000000)

/* How long the next sleep may be when timeout_ns are left. */
static inline int64_t sf_liveness_slice_ns(int64_t timeout_ns)
{
    return timeout_ns < SF_LIVENESS_PERIOD_NS ? timeout_ns : SF_LIVENESS_PERIOD_NS;
}

/* Whether a check is due after a sleep that returned `slept` (-ETIMEDOUT or -EPIPE: a whole sleep without result).
 * *checked_ns is the time at which this last returned true; the caller keeps it, and starts it at 0. Threads may share
 * it: with relaxed loads and stores two of them may check at the same time, which does no harm. */
static inline bool sf_liveness_is_due(int slept, int64_t *checked_ns)
{
    int64_t now = sf_monotonic_ns(), checked = __atomic_load_n(checked_ns, __ATOMIC_RELAXED);
    if (slept != -ETIMEDOUT && slept != -EPIPE && now - checked < SF_LIVENESS_PERIOD_NS)
        return false;
    __atomic_store_n(checked_ns, now, __ATOMIC_RELAXED);
    return true;
}

#endif
