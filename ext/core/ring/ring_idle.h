/* Whether anybody is left who could end a wait at a ring, when all who live only wait themselves.
 *
 * A wait ends by -EPIPE when no other live process holds the ring (ring_wait.h). But processes that do nothing but wait
 * for each other are alive too: children that all receive from one ring, a pipeline of children whose source has ended,
 * and their parent, which waits at its exit for them to end. So a process says when it is idle:
 *
 *     active --(it sleeps; only a message, or room, at one ring can make it go on)--> idle --(awake)--> active
 *
 * and a process that has waited in vain looks whether all others that could send (receive) there are dead or idle, and
 * that the rings for which those wait have nothing for them; then for the holders of those rings, and so on. It does so
 * while it is active itself. So at most one of the waiting processes finds that all others are idle. Its wait ends; the
 * others go on waiting until it has ended too, or waits again.
 *
 * Why it is certain. Each slot of the holders has the number of its process's sleep. The search is done three times. If
 * all find the same sleeps, then all these processes slept from the end of the first search to the beginning of the
 * third. So nothing was sent or received during the second, and what that found at each of the rings stays so. Only a
 * signal handler could change it: like a handler in a process that is alone, it is not counted.
 *
 * A process may call itself idle only if it has no other thread that uses rings, and no timeout. */
#ifndef SF_CORE_RING_RING_IDLE_H
#define SF_CORE_RING_RING_IDLE_H

#include <stdint.h>

#include "core/ring/ring.h"

/* sf_ring_wait_message and sf_ring_wait_room for a process that may call itself idle. -EPIPE also when all other live
 * processes that could end the wait are idle. */
int sf_ring_wait_message_idle(struct sf_ring *ring, int64_t timeout_ns);
int sf_ring_wait_room_idle(struct sf_ring *ring, uint64_t bytes, int64_t timeout_ns);

/* For a process at its exit, around its sleep: until _end it uses no ring, and after it none for which anybody should
 * wait. */
void sf_ring_exit_begin(void);
void sf_ring_exit_end(void);

#endif
