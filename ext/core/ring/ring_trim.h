/* A drained ring gives its memory back: all but the first SF_RING_WARM_BYTES, which most rings never leave.
 *
 * Fresh pages cost ten times as much as warm ones. A steady stream of large messages drains the ring again and again,
 * so its pages must stay. So memory is given back only if the ring has been grown for a while, which is longer the more
 * it is: then a stream loses some percent of its time at most. Who drains the ring (the release of its last message) or
 * finds it empty (claim) does it. So a process that waits for messages does it in time. If nobody calls any more, the
 * memory stays.
 *
 *     trim_at_ns:   0: the ring has not grown | the time from which on memory is given back
 *
 * Why it is safe. It is done under the lock, and when no frame is in flight. Who writes or reads a message has a frame
 * in flight, and who wants a new one needs the lock. So nobody looks at the memory. Later frames are written before
 * they are read, so it does not matter that pages come back as zeros. A process killed in the middle has not yet
 * lowered layout.touched: the next one does it again. */
#ifndef SF_CORE_RING_RING_TRIM_H
#define SF_CORE_RING_RING_TRIM_H

#include <stdbool.h>

#include "core/ring/ring_handle.h"

#define SF_RING_WARM_BYTES (UINT64_C(8) << 20)
#define SF_RING_TRIM_NS_PER_BYTE 32u
#define SF_RING_TRIM_MOST_NS INT64_C(5000000000)

/* Locked. The ring has touched more than SF_RING_WARM_BYTES: starts the time, if it does not run. */
void sf_ring_trim_has_grown(struct sf_ring *ring);

/* Whether the time has come. Does not need the lock. */
bool sf_ring_trim_is_due(const struct sf_ring *ring);

/* Locked, with nothing in flight. Gives a piece of memory back; true: there is more. Takes some ms at most. */
bool sf_ring_trim_piece(struct sf_ring *ring);

#endif
