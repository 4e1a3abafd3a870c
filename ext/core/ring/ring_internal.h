/* What the ring's three files share, and nobody else includes: the memory that all processes see, a process's
 * handle, and the few calls between the files.
 *
 *     ring_handle.c   makes and frees handles, lists them, follows forks    writes struct sf_ring, joins the holders
 *     ring.c          frames: reserve, publish, claim, release              writes the positions, the layout, frames
 *     ring_wait.c     spins, sleeps and wakes                               writes the events, the patience
 *
 *     mapping:   struct sf_ring_shared | nothing, up to SF_RING_DATA_OFFSET | usable bytes of frames
 *
 * Zero pages are an empty ring, but for the layout and its maker's place in the holders. No pointer stands in it. Its
 * layout may change freely: all who hold a ring are forks of one process and run the same code. */
#ifndef SF_CORE_RING_RING_INTERNAL_H
#define SF_CORE_RING_RING_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "core/os/lock.h"
#include "core/ring/holders.h"
#include "core/ring/ring.h"
#include "core/ring/ring_layout.h"

#define SF_RING_CACHE_LINE 64
#define SF_RING_PAGE 4096u
#define SF_RING_FORKS_KEPT 8u /* of one process, that can still be named */

/* Each group on lines of its own, so that those who use one do not take another's from a CPU that writes it. */
struct sf_ring_shared {
    /* hot: all of it under the lock, but for the number and for peeks */
    _Alignas(SF_RING_CACHE_LINE) struct sf_lock lock;
    _Atomic uint32_t number; /* the owner's label */
    _Atomic uint64_t head, next, tail, seq, base;
    /* read by all, seldom written */
    _Alignas(SF_RING_CACHE_LINE) struct sf_ring_layout layout;
    /* the waiters' words: twice the count of what happened, and bit 0: somebody may sleep. See ring_wait.c */
    _Alignas(SF_RING_CACHE_LINE) _Atomic uint32_t message_event;
    _Alignas(SF_RING_CACHE_LINE) _Atomic uint32_t room_event;
    _Alignas(SF_RING_CACHE_LINE) struct sf_holders holders;
};
#define SF_RING_DATA_OFFSET ((sizeof(struct sf_ring_shared) + SF_RING_PAGE - 1) / SF_RING_PAGE * SF_RING_PAGE)

/* Whether this process's waits spin before they sleep; any thread's, no partner. See ring_wait.c. */
struct sf_ring_patience {
    _Atomic uint32_t rest;  /* so many waits sleep at once before one spins again */
    _Atomic uint32_t pause; /* what `rest` was set to after the last spin that was in vain */
};

struct sf_ring {
    struct sf_ring_shared *shared;
    unsigned char *data; /* at SF_RING_DATA_OFFSET */
    uint64_t capacity, usable;
    size_t mapped;
    uint32_t tag; /* this process's; changes in a forked child only */
    struct sf_ring_patience message_patience, room_patience;
    _Atomic uint64_t interrupted_ns; /* since when signals have ended each sleep; 0: no; no partner */
    _Atomic uint64_t rechecked_ns;   /* when who is in the way was last looked up; no partner */
    struct {
        uint64_t serial;
        uint32_t tag;
    } forks[SF_RING_FORKS_KEPT];
    struct sf_ring *previous, *following; /* all of this process's; under ring_handle.c's mutex */
};

static inline uint64_t sf_ring_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* ring.c, for who waits: whether a message could be claimed now, and whether `bytes` could be reserved (true as
 * well when they never can be: sf_ring_reserve says so). The second frees what the dead left in the way; `thorough`
 * asks /proc about it even if that was done a moment ago. They take the lock. */
bool sf_ring_has_message(struct sf_ring *ring);
bool sf_ring_has_room(struct sf_ring *ring, uint64_t bytes, bool thorough);

/* ring_wait.c, for who has changed something: the seldom half of the two below. */
void sf_ring_wake_receiver(struct sf_ring_shared *shared);
void sf_ring_wake_sleepers(_Atomic uint32_t *event);

/* A message was published: one sleeper is enough. acq_rel, and in the next: see ring_wait.c. */
static inline void sf_ring_announce_message(struct sf_ring_shared *shared)
{
    if (__builtin_expect(atomic_fetch_add_explicit(&shared->message_event, 2, memory_order_acq_rel) & 1, 0))
        sf_ring_wake_receiver(shared);
}

/* Something happened that all who wait for the event should look at. */
static inline void sf_ring_announce_to_all(_Atomic uint32_t *event)
{
    if (__builtin_expect(atomic_fetch_add_explicit(event, 2, memory_order_acq_rel) & 1, 0))
        sf_ring_wake_sleepers(event);
}

#endif
