/* What the files of the ring share, and no other file includes: the memory that all processes see, and a
 * process's handle of it.
 *
 *     ring_handle.c   makes and frees handles, lists them, follows forks    writes struct sf_ring, joins the holders
 *     ring.c          frames: reserve, publish, claim, release              writes positions, layout, frames
 *     ring_bytes.c    the bytes of a message                                writes them, for its holder
 *     ring_wait.c     waits for messages and room                           writes struct sf_ring_waits
 *     ring_idle.c     who else waits, and for what                          writes this process's rest in the holders
 *     ring_trim.c     gives memory back                                     writes trim_at_ns and layout.touched
 *     ring_turn.c     one receiver at a time                                writes struct sf_ring_turn, elsewhere
 *
 *     mapping:   struct sf_ring_shared | unused, up to SF_RING_DATA_OFFSET | usable bytes of frames
 *
 * A new ring is zero pages, except for the layout and its maker's slot in the holders. The shared part holds no
 * pointers. It may change freely between versions: all who hold a ring are forks of one process and run the same code.
 */
#ifndef SF_CORE_RING_RING_INTERNAL_H
#define SF_CORE_RING_RING_INTERNAL_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/os/eventcount.h"
#include "core/os/lock.h"
#include "core/os/shm.h"
#include "core/ring/holders.h"
#include "core/ring/ring_layout.h"

#define SF_RING_CACHE_LINE 64
#define SF_RING_FORKS_KEPT 8u /* a process remembers so many of its last forks */

/* Each group is on cache lines of its own, so that a process that uses one is not slowed by writes to another. */
struct sf_ring_shared {
    /* used by every call; written under the lock, except number and returned; peeks read it without the lock */
    _Alignas(SF_RING_CACHE_LINE) struct sf_lock lock;
    _Atomic uint32_t number; /* the owner's label */
    _Atomic uint64_t head, next, tail, seq, base, counted, returned;
    /* read by all, rarely written */
    _Alignas(SF_RING_CACHE_LINE) struct sf_ring_layout layout;
    _Alignas(SF_RING_CACHE_LINE) struct sf_eventcount message_event; /* a message was published */
    uint64_t key; /* names the ring, to processes that come from one process by fork; constant, not 0 */
    _Alignas(SF_RING_CACHE_LINE) struct sf_eventcount room_event; /* a message was released */
    _Atomic int64_t trim_at_ns;                                   /* rarely used; see ring_trim.h */
    _Alignas(SF_RING_CACHE_LINE) struct sf_holders holders;
};
static_assert(sizeof(struct sf_ring_layout) <= SF_RING_CACHE_LINE, "each call reads it");
#define SF_RING_DATA_OFFSET                                                                                            \
    ((sizeof(struct sf_ring_shared) + SF_SHM_PAGE_BYTES - 1) / SF_SHM_PAGE_BYTES * SF_SHM_PAGE_BYTES)

/* What this process keeps about its waits for one event; see ring_wait.c. Any thread writes it; no partners. */
struct sf_ring_waits {
    _Atomic uint32_t skips_left; /* so many waits have no long spin before the next one has */
    _Atomic uint32_t skips;      /* the value that skips_left got after the last long spin without success */
    int64_t checked_ns;          /* when a wait last checked who lives: see core/os/liveness.h */
};

/* A fork of this process and the slot that was reserved for its child. */
struct sf_ring_fork {
    uint64_t serial; /* number of the fork in this process, from 1 */
    uint32_t tag;
};

struct sf_ring {
    struct sf_ring_shared *shared;
    unsigned char *data;  /* at SF_RING_DATA_OFFSET */
    uint64_t capacity;    /* bytes as asked for */
    uint64_t usable;      /* bytes of frames in memory */
    uint64_t limit;       /* of what the messages in flight count; UINT64_MAX: only the memory limits them */
    uint64_t label_bytes; /* of a message, that do not count */
    size_t mapped;
    uint32_t tag; /* this process's; changes only in a forked child */
    struct sf_ring_waits message_waits, room_waits;
    _Atomic int64_t head_checked_ns; /* when the holder of the frame at the head was last looked up; no partner */
    int64_t idle_checked_ns;         /* when ring_idle.c last looked whether others are idle */
    int mark;                        /* ring_idle.c's */
    char *name;                      /* UTF-8, of name_bytes bytes; NULL: it has none */
    size_t name_bytes;
    struct sf_ring_fork forks[SF_RING_FORKS_KEPT];
    struct sf_ring *previous, *following; /* all of this process's; under ring_handle.c's mutex */
};

#endif
