/* A message that arrives over a stream in several pieces (core/result/stream.h). */
#ifndef SF_PY_MESSAGE_ARRIVAL_H
#define SF_PY_MESSAGE_ARRIVAL_H

#include "py/base/compat.h"

#include "core/result/stream.h"
#include "py/message/incoming.h"

/* One source's message under way; zeros between two messages. */
struct sf_arrival {
    struct sf_incoming incoming;
};

static inline bool sf_arrival_is_under_way(const struct sf_arrival *arrival)
{
    return arrival->incoming.total != 0;
}

/* Takes a pulled piece and releases its slot; copies without the interpreter lock. 1: the message is whole, and *object
 * is what it was (a new reference), or NULL with what unpickling raised. 0: more pieces follow. -1 with an exception.
 */
int sf_arrival_take(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                    const struct sf_ring_slot *slot, uint64_t bytes, PyObject **object);

/* Drops a message that did not arrive whole, if there is one. */
void sf_arrival_clear(struct sf_arrival *arrival);

#endif
