/* A ring of framed messages in shared memory, for any number of senders and receivers in processes that come from
 * each other by fork.
 *
 * Sending and receiving have two steps each, so that pickling and copying happen outside the lock:
 *
 *     sender:    reserve -> fill the bytes -> publish        receiver:  claim -> read the bytes -> release
 *
 * Guarantees. A message is received once, whole. Messages that one thread sends are claimed in its order. A process
 * killed between reserve and publish, or between claim and release, loses that one message: its bytes are freed as
 * soon as another process needs the room, or has waited for it for SF_LIVENESS_PERIOD_NS. The lock is taken over if the
 * dead process held it. Dead includes zombies, processes whose pid was given to another, and processes that have
 * exec'ed a program (identity.h says on which machines those count as alive until they end).
 *
 * Stopped processes. A process that is stopped while it holds the ring's lock keeps it (core/os/lock.h). So no call
 * waits for the lock for longer than SF_RING_PATIENCE_NS, or the time that the caller gives: then it returns -EBUSY.
 * The caller waits (ring_wait.h) and tries again. Publish, abandon, release and give_back do not need it, and always
 * succeed.
 *
 * Fork. See ring_handle.h. Between reserve and publish (claim and release) the message stays the parent's: in the child
 * publish, abandon and release do nothing.
 *
 * Threads. Every function may be called from any thread; one slot belongs to one thread.
 *
 * Making rings is in ring_handle.h, waiting for messages and room in ring_wait.h. */
#ifndef SF_CORE_RING_RING_H
#define SF_CORE_RING_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ring/ring_handle.h"

#define SF_RING_PATIENCE_NS INT64_C(1000000) /* to wait for the lock: enough to find out that its owner is dead */

/* A message being written or read; the caller's, on its stack. */
struct sf_ring_slot {
    uint64_t place, position; /* of the frame, in memory and in order: the ring's own */
    uint64_t bytes;           /* of the message */
    uint64_t seq;    /* number of the message in this ring, from 1, in the order of reservation; 0: it was given back */
    uint32_t holder; /* the process that reserved or claimed it: the ring's own */
};

/* Messages published and not yet claimed, at some moment. 0 or -EBUSY. */
int sf_ring_length(const struct sf_ring *ring, uint64_t *length);

/* Reserves room for a message. 0, -EAGAIN: no room now, -EBUSY, -EMSGSIZE: larger than the ring will ever hold. On an
 * error nothing has changed. */
int sf_ring_reserve(struct sf_ring *ring, uint64_t bytes, struct sf_ring_slot *out);

/* Makes the reserved message visible and wakes a waiting receiver, which sees everything written before. */
void sf_ring_publish(struct sf_ring *ring, const struct sf_ring_slot *slot);

/* Gives the reserved room back unused (the seq is not used again). */
void sf_ring_abandon(struct sf_ring *ring, const struct sf_ring_slot *slot);

/* Claims the oldest published message. 0, -EAGAIN: there is none, -EBUSY. */
int sf_ring_claim(struct sf_ring *ring, struct sf_ring_slot *out);

/* Gives the claimed message's room back and wakes the processes that wait for room. Its bytes must not be touched
 * afterwards. */
void sf_ring_release(struct sf_ring *ring, const struct sf_ring_slot *slot);

/* Undoes a claim: the message is the oldest one again, and wakes a waiting receiver. Its seq is 0 then, so that a
 * trace, where it has been received already, does not count it twice. */
void sf_ring_give_back(struct sf_ring *ring, const struct sf_ring_slot *slot);

/* Whether the slot is this process's. False in a process that was forked since it was reserved or claimed. */
bool sf_ring_is_holder(const struct sf_ring *ring, const struct sf_ring_slot *slot);

/* Where byte `offset` of the message is, and how many bytes follow it without a break (*run, at least 1 while offset <
 * slot->bytes). Most messages are one run; one that goes round a layout's end has two, and one that goes round a
 * spliced layout (ring_layout.h) up to four. No byte moves until the message is released. */
void *sf_ring_at(const struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t offset, uint64_t *run);

/* Copies into and out of the message, run by run. offset + bytes <= slot->bytes. */
void sf_ring_put(const struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t offset, const void *from,
                 uint64_t bytes);
void sf_ring_get(const struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t offset, void *to,
                 uint64_t bytes);

/* Whether a message could be claimed now: 0, or -EAGAIN. -ETIMEDOUT: the lock was not free within timeout_ns; -EINTR: a
 * signal handler ran meanwhile. */
int sf_ring_has_message(struct sf_ring *ring, int64_t timeout_ns);

/* The same for room for `bytes`; also 0 when they can never be reserved, so that sf_ring_reserve says so. Frees the
 * messages of dead processes that are in the way. `check`: asks /proc whether their processes live even if that was
 * done a moment ago. */
int sf_ring_has_room(struct sf_ring *ring, uint64_t bytes, bool check, int64_t timeout_ns);

#endif
