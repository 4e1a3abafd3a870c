/* Waiting at a ring for a message or for room. Call it in a loop around sf_ring_claim (sf_ring_reserve), after -EAGAIN
 * and after -EBUSY. */
#ifndef SF_CORE_RING_RING_WAIT_H
#define SF_CORE_RING_RING_WAIT_H

#include <stdint.h>

#include "core/os/eventcount.h"
#include "core/ring/ring.h"

/* Waits until there may be a message (room for `bytes`), for at most timeout_ns and at most SF_LIVENESS_PERIOD_NS:
 * spins shortly where that pays, then sleeps. Frees what dead processes left. 0: try again, -ETIMEDOUT: nothing came in
 * that time, -EINTR: a signal handler ran, -EPIPE: nothing came and no other live process holds the ring (the caller
 * knows whether another thread could end the wait). Where a stopped process holds the ring's lock: -ETIMEDOUT. */
int sf_ring_wait_message(struct sf_ring *ring, int64_t timeout_ns);
int sf_ring_wait_room(struct sf_ring *ring, uint64_t bytes, int64_t timeout_ns);

/* Wakes every process that waits for a message or for room, to look at something the caller has changed. */
void sf_ring_wake_all(struct sf_ring *ring);

/* Wakes one process that waits for a message, although none has come, to look at something the caller has changed.
 * Async-signal-safe. */
void sf_ring_nudge(struct sf_ring *ring);

/* Who waits for a message in another thread sleeps at `away` from now on, where this thread waits in its place: no
 * message wakes it. And the way back; after that the caller looks whether a message has come, and nudges. */
void sf_ring_send_away(struct sf_ring *ring, struct sf_eventcount *away);
void sf_ring_call_back(struct sf_ring *ring, struct sf_eventcount *away);

/* For a wait that may also end by something other than a message. sf_ring_events counts messages and nudges. Read it
 * first, then check what is waited for, then call sf_ring_wait_event. It is like sf_ring_wait_message, but returns 0 at
 * once if the count is no longer `seen`. So a nudge between the check and the sleep is not lost. */
uint32_t sf_ring_events(const struct sf_ring *ring);
int sf_ring_wait_event(struct sf_ring *ring, uint32_t seen, int64_t timeout_ns);

#endif
