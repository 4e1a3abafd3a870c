/* A process's handles of rings: made, freed, listed, and kept right over forks. What a ring is: ring.h.
 *
 * Fork. A handle is copied by fork and works in the child, also in one made by os.fork: the ring counts the child as a
 * holder from before the fork (pthread_atfork). */
#ifndef SF_CORE_RING_RING_HANDLE_H
#define SF_CORE_RING_RING_HANDLE_H

#include <stdint.h>
#include <sys/types.h>

#define SF_RING_MIN_BYTES 1024u
#define SF_RING_FRAME_BYTES 32u /* that each message takes besides its own, which are rounded up to 8 */

struct sf_ring; /* one process's handle */

/* Maps a new ring of exactly capacity_bytes (frames included): zero pages that cost nothing until touched. The handle
 * is the caller's until sf_ring_free. 0, -EINVAL: below SF_RING_MIN_BYTES, -ENOMEM: no memory or address space (also
 * for an absurd size). */
int sf_ring_new(struct sf_ring **out, uint64_t capacity_bytes);

/* Maps a new ring that holds messages of capacity_bytes together, at least 1. Frames, padding and the first label_bytes
 * of each message, at most SF_RING_MOST_LABEL_BYTES, do not count: memory for them is mapped beside. A message counts
 * at least 1 byte, until it is released and no older message is left. Memory beside is mapped for SF_RING_MOST_MESSAGES
 * messages of any size, and for more if they are larger; for less where the address space is short (ulimit -v). 0,
 * -EINVAL or -ENOMEM. */
#define SF_RING_MOST_LABEL_BYTES 8u
#define SF_RING_MOST_MESSAGES (UINT64_C(1) << 25)
int sf_ring_new_counting(struct sf_ring **out, uint64_t capacity_bytes, uint32_t label_bytes);

/* Unmaps the ring in this process only. No other thread may be inside a call on it. NULL is allowed. */
void sf_ring_free(struct sf_ring *ring);

/* As given to the function that made it. */
uint64_t sf_ring_capacity(const struct sf_ring *ring);

/* After a fork, in the parent: says the child's pid, so that its death before its first step is noticed. Optional:
 * without it (os.fork by others) a child that dies in that instant counts as alive for SF_HOLDERS_FORK_NS. */
void sf_ring_name_child(pid_t child);

/* A label in the shared memory, for the ring's owner: a channel's number, 0 for internal rings. */
void sf_ring_set_number(struct sf_ring *ring, uint32_t number);
uint32_t sf_ring_number(const struct sf_ring *ring);

/* A name for people, set once, in this process and those forked from it later. 0 or -ENOMEM. sf_ring_name: it may hold
 * NUL; NULL: there is none. It lives as long as the ring. */
int sf_ring_set_name(struct sf_ring *ring, const char *name, size_t bytes);
const char *sf_ring_name(const struct sf_ring *ring, size_t *bytes);

/* Calls visit for every ring that this process holds. visit must not make or free rings. */
void sf_ring_each(void (*visit)(struct sf_ring *ring, void *context), void *context);

#endif
