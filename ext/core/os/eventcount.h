/* An eventcount in shared memory: sleeping until something happens, with no lock and no lost wake-up.
 *
 * A waiter reads the count, checks whether what it waits for is there, and if not sleeps while the count stays the
 * same. A process that makes something happen then notifies: it adds to the count and wakes sleepers. With no sleeper
 * that is one atomic addition.
 *
 *     waiter:    seen = read;  if what it waits for is not there: sleep(seen);  check again
 *     notifier:  make it happen;  notify
 *
 * A notifier may be killed after it has counted and before it wakes. A sleeper may be killed just after it was woken in
 * place of another. So waiters must not sleep for longer than SF_LIVENESS_PERIOD_NS, and then check again. */
#ifndef SF_CORE_OS_EVENTCOUNT_H
#define SF_CORE_OS_EVENTCOUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sf_eventcount {     /* all zero: the count is 0 and nobody sleeps */
    _Atomic uint32_t word; /* twice the count; bit 0: some process may be asleep */
};

/* The count. After this call the caller sees all that happened before the counted notifications (acquire; partners: the
 * two notify functions). */
static inline uint32_t sf_eventcount_read(const struct sf_eventcount *event)
{
    return atomic_load_explicit(&event->word, memory_order_acquire) >> 1;
}

/* Sleeps while the count is `seen`, for at most timeout_ns. 0: check again, -ETIMEDOUT, -EINTR: a signal handler ran.
 */
int sf_eventcount_sleep(struct sf_eventcount *event, uint32_t seen, int64_t timeout_ns);

/* Those who sleep at `from` are woken by what is counted at `to` from now on. Nobody begins to sleep at `from` with a
 * count that was read before. What was counted at `to` before this call wakes none of them: so the caller looks
 * afterwards at what they wait for there, and notifies. Async-signal-safe. */
void sf_eventcount_move(struct sf_eventcount *from, struct sf_eventcount *to);

/* The slow parts of the two notify functions. They are called when a process may be asleep. */
void sf_eventcount_wake_one(struct sf_eventcount *event);
void sf_eventcount_wake_all(struct sf_eventcount *event);

/* Counts, and wakes one sleeper: for events that one process can handle. Async-signal-safe. (acq_rel, here and below:
 * see eventcount.c.) */
static inline void sf_eventcount_notify_one(struct sf_eventcount *event)
{
    if (__builtin_expect(atomic_fetch_add_explicit(&event->word, 2, memory_order_acq_rel) & 1, 0))
        sf_eventcount_wake_one(event);
}

/* Counts, and wakes all sleepers. Async-signal-safe. */
static inline void sf_eventcount_notify_all(struct sf_eventcount *event)
{
    if (__builtin_expect(atomic_fetch_add_explicit(&event->word, 2, memory_order_acq_rel) & 1, 0))
        sf_eventcount_wake_all(event);
}

#endif
