/* A process's handles of rings: made, freed, listed, and kept right over forks. What a ring is: ring.h.
 *
 * Fork. A handle is copied by fork and works in the child, also in one made by os.fork: the ring counts the child as a
 * holder from before the fork (pthread_atfork). */
#ifndef SF_CORE_RING_RING_HANDLE_H
#define SF_CORE_RING_RING_HANDLE_H

#include <stdint.h>
#include <sys/types.h>

#define SF_RING_MIN_BYTES 1024u

struct sf_ring; /* one process's handle */

/* Maps a new ring of exactly capacity_bytes (frames included): zero pages that cost nothing until touched. The handle
 * is the caller's until sf_ring_free. 0, -EINVAL: below SF_RING_MIN_BYTES, -ENOMEM: no memory or address space (also
 * for an absurd size). */
int sf_ring_new(struct sf_ring **out, uint64_t capacity_bytes);

/* Unmaps the ring in this process only. No other thread may be inside a call on it. NULL is allowed. */
void sf_ring_free(struct sf_ring *ring);

/* As given to sf_ring_new. */
uint64_t sf_ring_capacity(const struct sf_ring *ring);

/* After a fork, in the parent: says the child's pid, so that its death before its first step is noticed. Optional:
 * without it (os.fork by others) a child that dies in that instant counts as alive for SF_HOLDERS_FORK_NS. */
void sf_ring_name_child(pid_t child);

/* A label in the shared memory, for the ring's owner: a channel's number, 0 for internal rings. */
void sf_ring_set_number(struct sf_ring *ring, uint32_t number);
uint32_t sf_ring_number(const struct sf_ring *ring);

/* Calls visit for every ring that this process holds. visit must not make or free rings. */
void sf_ring_each(void (*visit)(struct sf_ring *ring, void *context), void *context);

#endif
