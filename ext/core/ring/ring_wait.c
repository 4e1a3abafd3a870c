/* Waiting at a ring, for a message or for room, and waking who waits.
 *
 * message_event and room_event count what happens, in steps of 2, with bit 0 set while somebody may sleep. A waiter
 * reads the count, looks at the ring, sets bit 0, and sleeps if the count is the same still; both sides use
 * read-modify-writes of one word, so either the waiter sees the count changed or the waker sees the bit. A new
 * message wakes one sleeper (the bit stays until none is left: idle receivers are not all woken for each message);
 * room wakes all. A waker or the woken one may be killed in between: others look again within SF_RING_CHECK_NS.
 *
 * Who writes: the counts, whoever has published or released (ring_internal.h); bit 0, waiters set it and wakers
 * clear it; the patience, this process's waiters. Nothing here takes the lock but by asking ring.c. */
#include "core/ring/ring.h"

#include <errno.h>
#include <limits.h>

#include "core/os/futex.h"
#include "core/ring/ring_internal.h"

#define GLANCE_NS 1000u /* every wait spins so long */
#define SPIN_NS 30000u  /* a patient one: what the wake-ups of both sides may take */
#define MOST_PAUSE 64u

struct wanted {
    _Atomic uint32_t *event;
    uint32_t seen; /* the event's word before the caller looked at anything */
    struct sf_ring_patience *patience;
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

void sf_ring_nudge(struct sf_ring *ring)
{
    sf_ring_announce_message(ring->shared);
}

static bool is_there(struct sf_ring *ring, const struct wanted *wanted, bool thorough)
{
    return wanted->room ? sf_ring_has_room(ring, wanted->bytes, thorough) : sf_ring_has_message(ring);
}

/* A spin saves two wake-ups where the other side runs on another CPU and answers soon, and only steals a CPU where
 * it does not: because all are busy, perhaps, and it wants ours. Which it is shows by trying: a spin in vain is
 * followed by a pause, twice as long each time, of waits that sleep at once; one that was worth it ends that. */
static uint64_t spin_budget_ns(struct sf_ring_patience *patience)
{
    uint32_t rest = atomic_load_explicit(&patience->rest, memory_order_relaxed);
    if (sf_lock_cpus() < 2)
        return 0;
    if (rest == 0)
        return SPIN_NS;
    atomic_store_explicit(&patience->rest, rest - 1, memory_order_relaxed);
    return GLANCE_NS;
}

static void learn(struct sf_ring_patience *patience, uint64_t budget, bool worth_it)
{
    uint32_t pause = atomic_load_explicit(&patience->pause, memory_order_relaxed);
    if (budget < SPIN_NS)
        return;
    pause = worth_it ? 0 : pause == 0 ? 1 : pause < MOST_PAUSE ? pause * 2 : MOST_PAUSE;
    atomic_store_explicit(&patience->pause, pause, memory_order_relaxed);
    atomic_store_explicit(&patience->rest, pause, memory_order_relaxed);
}

/* A timer's signals can end every sleep before its time, and who looks only after an undisturbed one would never
 * look. Whether signals alone have ended this process's sleeps for too long. */
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
    uint32_t seen = wanted->seen;
    if (is_there(ring, wanted, false))
        return 0;
    timeout_ns = timeout_ns > SF_RING_CHECK_NS ? SF_RING_CHECK_NS : timeout_ns;
    if (timeout_ns > 0) {
        uint64_t start = sf_ring_now_ns(), gone = 0;
        uint64_t budget = spin_budget_ns(wanted->patience);
        for (unsigned turn = 1; gone < budget && gone < (uint64_t)timeout_ns; turn++) {
            if (atomic_load_explicit(event, memory_order_acquire) >> 1 != seen >> 1) {
                learn(wanted->patience, budget, true);
                return 0;
            }
            sf_lock_pause();
            if (turn % 8 == 0)
                gone = sf_ring_now_ns() - start;
        }
        learn(wanted->patience, budget, false);
        if ((int64_t)gone < timeout_ns) {
            /* partners: sf_ring_announce_... */
            uint32_t old = atomic_fetch_or_explicit(event, 1, memory_order_acq_rel);
            if (old >> 1 != seen >> 1)
                return 0;
            result = sf_futex_wait(event, old | 1, timeout_ns - (int64_t)gone);
            if (result == 0 || (result == -EINTR && !is_overdue(ring)))
                return result;
        }
    }
    atomic_store_explicit(&ring->interrupted_ns, 0, memory_order_relaxed);
    /* Nothing came, or we were not told. First who could, then what there is: the last holder may have sent first. */
    bool alone = !sf_holders_others(&ring->shared->holders, ring->tag);
    if (is_there(ring, wanted, true))
        return 0;
    return alone ? -EPIPE : -ETIMEDOUT;
}

static uint32_t events(const _Atomic uint32_t *event)
{
    return atomic_load_explicit(event, memory_order_acquire); /* partner: sf_ring_announce_... */
}

uint32_t sf_ring_events(const struct sf_ring *ring)
{
    return events(&ring->shared->message_event);
}

int sf_ring_wait_event(struct sf_ring *ring, uint32_t seen, int64_t timeout_ns)
{
    struct wanted message = {&ring->shared->message_event, seen, &ring->message_patience, false, 0};
    return wait_for(ring, &message, timeout_ns);
}

int sf_ring_wait_message(struct sf_ring *ring, int64_t timeout_ns)
{
    return sf_ring_wait_event(ring, sf_ring_events(ring), timeout_ns);
}

int sf_ring_wait_room(struct sf_ring *ring, uint64_t bytes, int64_t timeout_ns)
{
    _Atomic uint32_t *event = &ring->shared->room_event;
    struct wanted room = {event, events(event), &ring->room_patience, true, bytes};
    return wait_for(ring, &room, timeout_ns);
}
