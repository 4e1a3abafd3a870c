/* A ring of framed messages in shared memory, for any number of senders and receivers in processes that come from
 * each other by fork.
 *
 * Sending and receiving have two steps each, so that pickling and copying happen outside the lock:
 *
 *     sender:    reserve -> fill the bytes -> publish        receiver:  claim -> read the bytes -> release
 *
 * Guarantees. A message is received once, whole. Messages that one thread sends are claimed in its order. A process
 * killed between reserve and publish, or between claim and release, loses that one message: its bytes are freed
 * as soon as somebody needs the room or waits for longer than SF_RING_CHECK_NS, and the lock, if it held it, is
 * taken over. Dead includes zombies, recycled pids, and processes that have exec'ed a program (those only when they
 * end where /proc cannot tell, or where stacks do not begin at random addresses: identity.h).
 *
 * Fork. A handle is copied by fork and works in the child, also in one made by os.fork: the ring counts the child
 * as a holder from before the fork (pthread_atfork). Between reserve and publish (claim and release) the message
 * stays the parent's: the child must not finish it.
 *
 * Threads. Every function may be called from any thread; one slot belongs to one thread. */
#ifndef SF_CORE_RING_RING_H
#define SF_CORE_RING_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SF_RING_MIN_BYTES 1024u
#define SF_RING_FRAME_BYTES 32u             /* of the ring that each message takes besides its own, rounded up to 8 */
#define SF_RING_CHECK_NS INT64_C(100000000) /* no wait goes longer without looking for the dead */

struct sf_ring; /* one process's handle */

/* A message being written or read; the caller's, on its stack. */
struct sf_ring_slot {
    uint64_t position; /* of the frame: the ring's own */
    uint64_t bytes;    /* of the message */
    uint64_t seq;      /* number of the message in this ring, from 1, in the order of reservation */
};

/* Maps a new ring of exactly capacity_bytes (frames included), zero pages that cost nothing until touched.
 * 0, -EINVAL: below SF_RING_MIN_BYTES, -ENOMEM: no memory or address space (also for an absurd size).
 * The handle is the caller's until sf_ring_free. */
int sf_ring_new(struct sf_ring **out, uint64_t capacity_bytes);

/* Unmaps the ring in this process only. No other thread may be inside a call on it. NULL is allowed. */
void sf_ring_free(struct sf_ring *ring);

uint64_t sf_ring_capacity(const struct sf_ring *ring); /* as given to sf_ring_new */
uint64_t sf_ring_length(const struct sf_ring *ring);   /* messages published and not yet claimed, at some moment */

/* Reserves room for a message. Does not block but for the lock (spins, then sleeps; at most as long as other
 * processes need for a few stores, or SF_RING_CHECK_NS more when its owner was killed). 0, -EAGAIN: no room now,
 * -EMSGSIZE: larger than the ring will ever hold. On an error nothing has changed. */
int sf_ring_reserve(struct sf_ring *ring, uint64_t bytes, struct sf_ring_slot *out);

/* Makes the reserved message visible and wakes who waits for it. Its receiver sees everything written before. */
void sf_ring_publish(struct sf_ring *ring, const struct sf_ring_slot *slot);

/* Gives the reserved room back unused (the seq is not used again). */
void sf_ring_abandon(struct sf_ring *ring, const struct sf_ring_slot *slot);

/* Claims the oldest published message. Blocks like sf_ring_reserve. 0, -EAGAIN: there is none. */
int sf_ring_claim(struct sf_ring *ring, struct sf_ring_slot *out);

/* Gives the claimed message's room back and wakes who waits for room. Its bytes must not be touched after. */
void sf_ring_release(struct sf_ring *ring, const struct sf_ring_slot *slot);

/* Where byte `offset` of the message stands, and how many bytes follow it without a break (*run, at least 1 while
 * offset < slot->bytes). Most messages are one run; one that goes round a layout's end has two, and one that goes
 * round a spliced layout (layout.h) up to four. No byte moves until the message is released. */
void *sf_ring_at(const struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t offset, uint64_t *run);

/* Copies into and out of the message, run by run. offset + bytes <= slot->bytes. */
void sf_ring_put(const struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t offset, const void *from,
                 uint64_t bytes);
void sf_ring_get(const struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t offset, void *to,
                 uint64_t bytes);

/* Waits until there may be a message (room for `bytes`), for at most timeout_ns and at most SF_RING_CHECK_NS: spins
 * shortly where that pays, then sleeps. Recovers what dead processes left. Call it in a loop around claim
 * (reserve). 0: try again, -ETIMEDOUT: nothing came in that time, -EINTR: a signal handler ran, -EPIPE: nothing
 * came and no other live process holds the ring (the caller knows whether another thread could). */
int sf_ring_wait_message(struct sf_ring *ring, int64_t timeout_ns);
int sf_ring_wait_room(struct sf_ring *ring, uint64_t bytes, int64_t timeout_ns);

/* Wakes every process that waits for a message or for room, to look at something the caller has changed. */
void sf_ring_wake_all(struct sf_ring *ring);

/* Wakes one process that waits for a message, although none has come: to look at something the caller has changed.
 * What the caller wrote before is seen by who is woken. Never blocks. */
void sf_ring_nudge(struct sf_ring *ring);

/* For a wait that something other than a message may end too. sf_ring_events changes with each message and each nudge:
 * ask it first, then look at what is waited for, then sleep by sf_ring_wait_event, which is sf_ring_wait_message but
 * returns 0 at once if there was an event after `seen`. So a nudge between the look and the sleep is not lost. */
uint32_t sf_ring_events(const struct sf_ring *ring);
int sf_ring_wait_event(struct sf_ring *ring, uint32_t seen, int64_t timeout_ns);

/* After a fork, in the parent: names the child, so that its death before its first step is noticed. Optional;
 * without it (os.fork by others) a child that dies in that instant counts as alive for 5 s more. */
void sf_ring_name_child(pid_t child);

/* The owner's word for the ring: a channel's number, 0 for internal ones. */
void sf_ring_set_number(struct sf_ring *ring, uint32_t number);
uint32_t sf_ring_number(const struct sf_ring *ring);

/* Calls visit for every ring this process holds. visit must not make or free rings. */
void sf_ring_each(void (*visit)(struct sf_ring *ring, void *context), void *context);

#endif
