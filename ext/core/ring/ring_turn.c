/* Turns at a ring. See ring_turn.h. */
#include "core/ring/ring_turn.h"

#include <assert.h>
#include <limits.h>

#include "core/os/futex.h"
#include "core/ring/ring_internal.h"

#define SLEEPERS (UINT32_C(1) << 31)

static bool swap_turn(struct sf_ring_turn *turn, uint32_t *from, uint32_t to)
{
    /* acq_rel: the new owner sees all that the last one did to the ring; partners: this and sf_ring_turn_give */
    return atomic_compare_exchange_strong_explicit(&turn->word, from, to, memory_order_acq_rel, memory_order_acquire);
}

bool sf_ring_turn_take(const struct sf_ring *ring, struct sf_ring_turn *turn)
{
    uint32_t word = 0;
    return swap_turn(turn, &word, ring->tag);
}

bool sf_ring_turn_is_taken(const struct sf_ring_turn *turn)
{
    return atomic_load_explicit(&turn->word, memory_order_relaxed) != 0; /* no partner: it may change at once */
}

void sf_ring_turn_give(const struct sf_ring *ring, struct sf_ring_turn *turn)
{
    /* release: partner is the acquire in swap_turn */
    uint32_t word = atomic_exchange_explicit(&turn->word, 0, memory_order_release);
    assert((word & ~SLEEPERS) == ring->tag);
    (void)ring;
    if (word & SLEEPERS)
        sf_futex_wake(&turn->word, INT_MAX);
}

int sf_ring_turn_wait(const struct sf_ring *ring, struct sf_ring_turn *turn, int64_t timeout_ns)
{
    uint32_t word = atomic_load_explicit(&turn->word, memory_order_relaxed), marked; /* swap_turn acquires */
    do {
        marked = word | SLEEPERS;
        if (word == 0)
            return 0;
    } while (word != marked && !swap_turn(turn, &word, marked));
    int slept = sf_futex_wait(&turn->word, marked, timeout_ns);
    /* Checked also after a sleep that a signal ended: a timer's signals may end every sleep. */
    if (slept && !sf_holders_alive(&ring->shared->holders, marked & ~SLEEPERS) && swap_turn(turn, &marked, 0)) {
        sf_futex_wake(&turn->word, INT_MAX);
        return 0;
    }
    return slept;
}
