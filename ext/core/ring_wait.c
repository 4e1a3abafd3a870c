/* Waiting at a ring, for a message or for room, and waking who waits.
 *
 * message_event and room_event count what happens, in steps of 2, with bit 0 set while somebody may sleep. A waiter
 * reads the count, looks at the ring, sets bit 0, and sleeps if the count is the same still; both sides use
 * read-modify-writes of one word, so either the waiter sees the count changed or the waker sees the bit. A new
 * message wakes one sleeper (the bit stays until none is left: idle receivers are not all woken for each message);
 * room wakes all. A waker or the woken one may be killed in between: others look again within SF_RING_CHECK_NS.
 *
 * Who writes: the counts, whoever has published or released (ring_internal.h); bit 0, waiters set it and wakers
 * clear it; the spin budgets, this process's waiters. Nothing here takes the lock but by asking ring.c. */
#include "ring.h"

#include <errno.h>
#include <limits.h>

#include "futex.h"
#include "ring_internal.h"

#define SPIN_MIN_NS 1000u
#define QUICK_NS 60000u /* a sleep that a spin might have saved: it counts the wake-up of each side, some 20 us */

struct wanted {
    _Atomic uint32_t *event, *spin_ns;
    bool room; /* for `bytes`; else a message */
    uint64_t bytes;
};

void sf_ring_wake_receiver(struct sf_ring_shared *shared)
{
    if (sf_futex_wake(&shared->message_event, 1))
        return;
    /* Nobody slept. Who is about to, on the word with its bit, is woken; who comes later finds the word changed. */
    sf_ring_wake_sleepers(&shared->message_event);
}

void sf_ring_wake_sleepers(_Atomic uint32_t *event)
{
    atomic_fetch_and_explicit(event, ~UINT32_C(1), memory_order_acq_rel); /* partner: wait_for */
    sf_futex_wake(event, INT_MAX);
}

void sf_ring_wake_all(struct sf_ring *ring)
{
    sf_ring_announce_to_all(&ring->shared->message_event);
    sf_ring_announce_to_all(&ring->shared->room_event);
}

static bool is_there(struct sf_ring *ring, const struct wanted *wanted, bool thorough)
{
    return wanted->room ? sf_ring_has_room(ring, wanted->bytes, thorough) : sf_ring_has_message(ring);
}

/* The budget doubles when a wait ended within it or soon after, and halves when not. Two sides that answer each
 * other so come back to spinning after both have slept. */
static void adapt(_Atomic uint32_t *spin_ns, bool quick)
{
    uint32_t budget = atomic_load_explicit(spin_ns, memory_order_relaxed);
    budget = quick ? budget * 2 : budget / 2;
    budget = budget > SF_RING_SPIN_MAX_NS ? SF_RING_SPIN_MAX_NS : budget < SPIN_MIN_NS ? SPIN_MIN_NS : budget;
    atomic_store_explicit(spin_ns, budget, memory_order_relaxed);
}

/* A timer's signals can end every sleep before its time, and who looks only after an undisturbed one would never look.
 * Whether signals alone have ended this process's sleeps for too long. */
static bool is_overdue(struct sf_ring *ring)
{
    uint64_t since = atomic_load_explicit(&ring->interrupted_ns, memory_order_relaxed), now = sf_ring_now_ns();
    if (since)
        return now - since >= (uint64_t)SF_RING_CHECK_NS;
    atomic_store_explicit(&ring->interrupted_ns, now, memory_order_relaxed);
    return false;
}

static int wait_for(struct sf_ring *ring, const struct wanted *wanted, int64_t timeout_ns)
{
    _Atomic uint32_t *event = wanted->event;
    int result = -ETIMEDOUT;
    uint32_t seen = atomic_load_explicit(event, memory_order_acquire); /* partner: sf_ring_announce_... */
    if (is_there(ring, wanted, false))
        return 0;
    timeout_ns = timeout_ns > SF_RING_CHECK_NS ? SF_RING_CHECK_NS : timeout_ns;
    if (timeout_ns > 0) {
        uint64_t start = sf_ring_now_ns(), gone = 0;
        uint64_t budget = sf_lock_cpus() > 1 ? atomic_load_explicit(wanted->spin_ns, memory_order_relaxed) : 0;
        for (unsigned turn = 1; gone < budget && gone < (uint64_t)timeout_ns; turn++) {
            if (atomic_load_explicit(event, memory_order_acquire) >> 1 != seen >> 1) {
                adapt(wanted->spin_ns, true);
                return 0;
            }
            sf_lock_pause();
            if (turn % 8 == 0)
                gone = sf_ring_now_ns() - start;
        }
        if ((int64_t)gone < timeout_ns) {
            /* partners: sf_ring_announce_... */
            uint32_t old = atomic_fetch_or_explicit(event, 1, memory_order_acq_rel);
            if (old >> 1 != seen >> 1)
                return 0;
            result = sf_futex_wait(event, old | 1, timeout_ns - (int64_t)gone);
            adapt(wanted->spin_ns, result == 0 && sf_ring_now_ns() - start < QUICK_NS);
            if (result == 0 || (result == -EINTR && !is_overdue(ring)))
                return result;
        }
    }
    atomic_store_explicit(&ring->interrupted_ns, 0, memory_order_relaxed);
    /* Nothing came, or we were not told. First who could, then what there is: the last holder may have sent first.
     */
    bool alone = !sf_party_others(&ring->shared->party, ring->tag);
    if (is_there(ring, wanted, true))
        return 0;
    return alone ? -EPIPE : -ETIMEDOUT;
}

int sf_ring_wait_message(struct sf_ring *ring, int64_t timeout_ns)
{
    struct wanted message = {&ring->shared->message_event, &ring->spin_message_ns, false, 0};
    return wait_for(ring, &message, timeout_ns);
}

int sf_ring_wait_room(struct sf_ring *ring, uint64_t bytes, int64_t timeout_ns)
{
    struct wanted room = {&ring->shared->room_event, &ring->spin_room_ns, true, bytes};
    return wait_for(ring, &room, timeout_ns);
}
