/* A message that arrives over a stream in several pieces (core/result/stream.h). */
#ifndef SF_PY_MESSAGE_ARRIVAL_H
#define SF_PY_MESSAGE_ARRIVAL_H

#include "py/base/compat.h"

#include "core/result/stream.h"

/* One source's message under way; zeros between two messages. */
struct sf_arrival {
    PyObject *target; /* bytes or bytearray that is being filled, owned; NULL: no message is under way */
    uint64_t skipped; /* bytes at the message's beginning that are not copied into target */
    uint64_t head;    /* the message's first eight bytes */
};

/* Takes a pulled piece and releases its slot; copies without the interpreter lock. 1: the message is whole, and *object
 * is what it was (a new reference), or NULL with what unpickling raised. 0: more pieces follow. -1 with an exception.
 */
int sf_arrival_take(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                    const struct sf_ring_slot *slot, uint64_t bytes, PyObject **object);

/* The same in two steps, for those who cannot ask for the message again: nothing is lost when the program interrupts
 * one of them. gather copies the piece and releases its slot. 1: all bytes are there, to be opened; 0: more pieces
 * follow; -1 with an exception: the piece was not taken, and its slot is still claimed. */
int sf_arrival_gather(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                      const struct sf_ring_slot *slot, uint64_t bytes);

/* What the gathered message was: a new reference, or NULL with what unpickling raised. The bytes stay, to be opened
 * again or cleared. */
PyObject *sf_arrival_open(const struct sf_arrival *arrival);

/* Drops the message, if there is one. */
void sf_arrival_clear(struct sf_arrival *arrival);

#endif
