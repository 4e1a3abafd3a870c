/* A message that arrives over a stream in pieces (core/result/stream.h). */
#ifndef SF_PY_MESSAGE_ARRIVAL_H
#define SF_PY_MESSAGE_ARRIVAL_H

#include "py/base/compat.h"

#include "core/result/stream.h"
#include "py/message/incoming.h"

/* One source's message under way, or whole and not opened yet; zeros between two messages. */
struct sf_arrival {
    struct sf_incoming incoming;
    bool again; /* the last piece could not be taken, and comes again */
};

static inline bool sf_arrival_is_under_way(const struct sf_arrival *arrival)
{
    return arrival->incoming.total != 0;
}

/* Takes a pulled piece and releases its slot; copies without the interpreter lock where that is long. 0: more pieces
 * follow; 1: the message is whole, and *object is what it was (a new reference); 2: it is whole, and kept in `arrival`,
 * because its opening runs code of the program; -1 with an exception: the slot is still claimed, and the same call can be
 * made again. */
int sf_arrival_keep(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                    const struct sf_ring_slot *slot, uint64_t bytes, PyObject **object);

/* The same, but keeps each message that is whole: 1. */
int sf_arrival_gather(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                      const struct sf_ring_slot *slot, uint64_t bytes);

/* Opens a kept message, which stays kept, so that this can be done again. A new reference, or NULL with what unpickling
 * raised. */
PyObject *sf_arrival_open(struct sf_arrival *arrival);

/* The same for a list whose opening has raised. Result as of sf_incoming_open_singly. */
PyObject *sf_arrival_open_singly(struct sf_arrival *arrival);

/* Drops the message, if there is one. */
void sf_arrival_clear(struct sf_arrival *arrival);

#endif
