/* Waiting at a ring, for a message or for room: look, spin for a short time where that pays, then sleep.
 *
 * Two eventcounts in shared memory say what happens: message_event counts messages published and wakes one sleeper for
 * each, room_event counts messages released and wakes all. ring.c notifies them.
 *
 * Who writes: this process's waiters write its struct sf_ring_waits. Nothing here takes the lock except by asking
 * ring.c. If the lock is held by a stopped process, the wait for it is a part of the slice. */
#include "core/ring/ring_wait.h"

#include <errno.h>

#include "core/os/liveness.h"
#include "core/os/monotonic.h"
#include "core/os/spin.h"
#include "core/ring/ring_internal.h"

#define SHORT_SPIN_NS 1000 /* every wait spins for at least so long */
#define LONG_SPIN_NS 30000 /* about what two wake-ups cost */
#define MOST_SKIPS 64u

/* What is waited for. */
struct awaited {
    struct sf_eventcount *event;
    struct sf_ring_waits *waits;
    bool room; /* for `bytes`; else a message */
    uint64_t bytes;
};

void sf_ring_wake_all(struct sf_ring *ring)
{
    sf_eventcount_notify_all(&ring->shared->message_event);
    sf_eventcount_notify_all(&ring->shared->room_event);
}

void sf_ring_nudge(struct sf_ring *ring)
{
    sf_eventcount_notify_one(&ring->shared->message_event);
}

void sf_ring_send_away(struct sf_ring *ring, struct sf_eventcount *away)
{
    sf_eventcount_move(&ring->shared->message_event, away);
}

void sf_ring_call_back(struct sf_ring *ring, struct sf_eventcount *away)
{
    sf_eventcount_move(away, &ring->shared->message_event);
}

/* 0: yes, -EAGAIN: no, -ETIMEDOUT, -EINTR: the lock could not be had. */
static int has_come(struct sf_ring *ring, const struct awaited *awaited, bool check, int64_t timeout_ns)
{
    return awaited->room ? sf_ring_has_room(ring, awaited->bytes, check, timeout_ns)
                         : sf_ring_has_message(ring, timeout_ns);
}

/* How long to spin. A long spin saves two wake-ups where the other side runs on another CPU and answers soon. Otherwise
 * it only takes a CPU away, perhaps from the other side. Which of the two holds is found out by trying: after each long
 * spin without success, the next 1, 2, 4, ... waits spin shortly. After a success each wait spins long again. */
static int64_t spin_budget_ns(struct sf_ring_waits *waits)
{
    uint32_t left = atomic_load_explicit(&waits->skips_left, memory_order_relaxed);
    if (!sf_spin_is_useful())
        return 0;
    if (left == 0)
        return LONG_SPIN_NS;
    atomic_store_explicit(&waits->skips_left, left - 1, memory_order_relaxed);
    return SHORT_SPIN_NS;
}

static void learn_from_spin(struct sf_ring_waits *waits, int64_t budget_ns, bool worth_it)
{
    uint32_t skips = atomic_load_explicit(&waits->skips, memory_order_relaxed);
    if (budget_ns < LONG_SPIN_NS)
        return;
    skips = worth_it ? 0 : skips == 0 ? 1 : skips < MOST_SKIPS ? skips * 2 : MOST_SKIPS;
    atomic_store_explicit(&waits->skips, skips, memory_order_relaxed);
    atomic_store_explicit(&waits->skips_left, skips, memory_order_relaxed);
}

/* Spins for at most timeout_ns. Whether the event came; *spent_ns is what it took. */
static bool spin_for_event(const struct awaited *awaited, uint32_t seen, int64_t timeout_ns, int64_t *spent_ns)
{
    int64_t start_ns = sf_monotonic_ns(), budget_ns = spin_budget_ns(awaited->waits);
    *spent_ns = 0;
    for (unsigned turn = 1; *spent_ns < budget_ns && *spent_ns < timeout_ns; turn++) {
        if (sf_eventcount_read(awaited->event) != seen) {
            learn_from_spin(awaited->waits, budget_ns, true);
            return true;
        }
        sf_spin_pause();
        if (turn % 8 == 0)
            *spent_ns = sf_monotonic_ns() - start_ns;
    }
    learn_from_spin(awaited->waits, budget_ns, false);
    return false;
}

static int wait_for_event(const struct awaited *awaited, uint32_t seen, int64_t timeout_ns)
{
    int64_t spent_ns;
    if (timeout_ns <= 0)
        return -ETIMEDOUT;
    if (spin_for_event(awaited, seen, timeout_ns, &spent_ns))
        return 0;
    if (spent_ns >= timeout_ns)
        return -ETIMEDOUT;
    return sf_eventcount_sleep(awaited->event, seen, timeout_ns - spent_ns);
}

/* seen: the event's count before the caller looked at anything. */
static int wait_at_ring(struct sf_ring *ring, const struct awaited *awaited, uint32_t seen, int64_t timeout_ns)
{
    int64_t slice_ns = sf_liveness_slice_ns(timeout_ns), start_ns = sf_monotonic_ns();
    int come = has_come(ring, awaited, false, slice_ns);
    if (come != -EAGAIN)
        return come;
    int slept = wait_for_event(awaited, seen, slice_ns - (sf_monotonic_ns() - start_ns));
    if (slept == 0 || !sf_liveness_is_due(slept, &awaited->waits->checked_ns))
        return slept;
    /* Nothing came, or the wake-up was lost. The holders are checked before the ring, because the last one may have
     * sent before it died. */
    bool alone = !sf_holders_others(&ring->shared->holders, ring->tag);
    come = has_come(ring, awaited, true, SF_RING_PATIENCE_NS);
    return come != -EAGAIN ? come : alone ? -EPIPE : slept;
}

uint32_t sf_ring_events(const struct sf_ring *ring)
{
    return sf_eventcount_read(&ring->shared->message_event);
}

int sf_ring_wait_event(struct sf_ring *ring, uint32_t seen, int64_t timeout_ns)
{
    struct awaited message = {&ring->shared->message_event, &ring->message_waits, false, 0};
    return wait_at_ring(ring, &message, seen, timeout_ns);
}

int sf_ring_wait_message(struct sf_ring *ring, int64_t timeout_ns)
{
    return sf_ring_wait_event(ring, sf_ring_events(ring), timeout_ns);
}

int sf_ring_wait_room(struct sf_ring *ring, uint64_t bytes, int64_t timeout_ns)
{
    struct awaited room = {&ring->shared->room_event, &ring->room_waits, true, bytes};
    return wait_at_ring(ring, &room, sf_eventcount_read(room.event), timeout_ns);
}
