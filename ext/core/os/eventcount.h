/* An eventcount in shared memory: sleeping until something happens, with no lock and no lost wake-up.
 *
 * A waiter reads the count, looks whether what it waits for is there, and if not sleeps as long as the count is still
 * the same. Whoever makes something happen counts it and wakes sleepers; that is one atomic addition when nobody
 * sleeps.
 *
 *     waiter:  seen = read();  if (nothing is there) sleep(seen)        other:  make it happen;  notify
 *
 * A notifier may be killed between its count and its wake-up, and so may a process that was just woken in place of
 * others. So waiters sleep for SF_LIVENESS_PERIOD_NS at most, and then look again. */
#ifndef SF_CORE_OS_EVENTCOUNT_H
#define SF_CORE_OS_EVENTCOUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sf_eventcount {     /* all zero: nothing has happened, nobody sleeps */
    _Atomic uint32_t word; /* twice the count; bit 0: somebody may sleep */
};

/* The count. What happened before it was counted is seen after this call (acquire; partner: notify). */
static inline uint32_t sf_eventcount_read(const struct sf_eventcount *event)
{
    return atomic_load_explicit(&event->word, memory_order_acquire) >> 1;
}

/* Sleeps while the count is `seen`, for at most timeout_ns. 0: something happened or may have, -ETIMEDOUT, -EINTR: a
 * signal handler ran. */
int sf_eventcount_sleep(struct sf_eventcount *event, uint32_t seen, int64_t timeout_ns);

/* The rest of the two functions below, for when somebody may sleep. */
void sf_eventcount_wake_one(struct sf_eventcount *event);
void sf_eventcount_wake_all(struct sf_eventcount *event);

/* Counts what happened and wakes one sleeper: for what one process can take. Async-signal-safe.
 * acq_rel, here and below: release for sf_eventcount_read; why acquire is said in eventcount.c. */
static inline void sf_eventcount_notify_one(struct sf_eventcount *event)
{
    if (__builtin_expect(atomic_fetch_add_explicit(&event->word, 2, memory_order_acq_rel) & 1, 0))
        sf_eventcount_wake_one(event);
}

/* Counts what happened and wakes all sleepers. Async-signal-safe. */
static inline void sf_eventcount_notify_all(struct sf_eventcount *event)
{
    if (__builtin_expect(atomic_fetch_add_explicit(&event->word, 2, memory_order_acq_rel) & 1, 0))
        sf_eventcount_wake_all(event);
}

#endif
