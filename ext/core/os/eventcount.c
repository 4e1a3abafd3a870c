/* The slow half of the eventcount: sleeping and waking.
 *
 * Why no wake-up is lost. A sleeper sets bit 0 and a notifier adds 2, both by a read-modify-write of the same word, so
 * one of them comes first. If the addition came first, the sleeper finds the count changed and does not sleep. If the
 * bit came first, the notifier sees it and wakes. The second one sees all that the first one did before, because both
 * operations are release and acquire.
 *
 * Who writes: notifiers add to the count, sleepers and move set bit 0, and only wake_all clears it. wake_one wakes one
 * sleeper and leaves the bit, because others may still sleep. */
#include "core/os/eventcount.h"

#include <limits.h>

#include "core/os/futex.h"

int sf_eventcount_sleep(struct sf_eventcount *event, uint32_t seen, int64_t timeout_ns)
{
    uint32_t old = atomic_fetch_or_explicit(&event->word, 1, memory_order_acq_rel);
    return old >> 1 != seen ? 0 : sf_futex_wait(&event->word, old | 1, timeout_ns);
}

void sf_eventcount_wake_one(struct sf_eventcount *event)
{
    if (sf_futex_wake(&event->word, 1))
        return;
    /* Nobody slept, so the bit can go. A waiter that is about to sleep on the word with the bit is woken by the
     * next call; one that comes later finds the word changed. */
    sf_eventcount_wake_all(event);
}

void sf_eventcount_wake_all(struct sf_eventcount *event)
{
    atomic_fetch_and_explicit(&event->word, ~UINT32_C(1), memory_order_acq_rel); /* partner: sf_eventcount_sleep */
    sf_futex_wake(&event->word, INT_MAX);
}

void sf_eventcount_move(struct sf_eventcount *from, struct sf_eventcount *to)
{
    atomic_fetch_add_explicit(&from->word, 2, memory_order_acq_rel); /* partner: sf_eventcount_sleep */
    sf_futex_move(&from->word, &to->word);
    atomic_fetch_or_explicit(&to->word, 1, memory_order_acq_rel); /* partner: the notify functions */
    sf_eventcount_wake_all(from); /* clears its bit: a notification there finds nobody, and needs no system call */
}
