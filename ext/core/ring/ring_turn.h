/* A turn at a ring: at most one of the processes that hold the ring has the turn. Receivers use it to take a whole
 * message that comes in several pieces (core/result/stream.h): the owner of the turn claims pieces until the message is
 * complete, and may sleep in between for any time. The others wait for the turn with a timeout, and take it from an
 * owner that has died; then the other pieces of that owner's message may still be in the ring.
 *
 *     word:   0: no process has the turn | the owner's tag (holders.h), with bit 31 set while a process may sleep on it
 *
 * Who writes: a taker by compare-and-swap from 0; the owner stores 0; a sleeper sets bit 31, and stores 0 for an owner
 * that it finds dead, both by compare-and-swap of the whole word. The owner has to remember that it has the turn. */
#ifndef SF_CORE_RING_RING_TURN_H
#define SF_CORE_RING_RING_TURN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sf_ring;

struct sf_ring_turn {
    _Atomic uint32_t word;
}; /* in shared memory; all zero: no process has the turn */

/* Takes the turn if no process has it. Returns whether it did. Not recursive. Does not block. */
bool sf_ring_turn_take(const struct sf_ring *ring, struct sf_ring_turn *turn);

/* Whether a process has the turn, alive or dead. */
bool sf_ring_turn_is_taken(const struct sf_ring_turn *turn);

/* Gives the turn back and wakes those who wait for it. Only its owner may call it. Does not block. */
void sf_ring_turn_give(const struct sf_ring *ring, struct sf_ring_turn *turn);

/* Sleeps until another process gives the turn back, or has died. 0: try to take it, -ETIMEDOUT, -EINTR: a signal
 * handler ran. */
int sf_ring_turn_wait(const struct sf_ring *ring, struct sf_ring_turn *turn, int64_t timeout_ns);

#endif
