/* A message that arrives over a stream in several pieces (core/result/stream.h). */
#ifndef SF_PY_MESSAGE_ARRIVAL_H
#define SF_PY_MESSAGE_ARRIVAL_H

#include "py/base/compat.h"

#include "core/result/stream.h"

/* One source's message under way, or kept; zeros between two messages. */
struct sf_arrival {
    PyObject *target; /* bytes or bytearray that is being filled, or is full; owned; NULL: there is no message */
    uint64_t skipped; /* bytes at the message's beginning that are not copied into target */
    uint64_t head;    /* the message's first eight bytes */
};

/* Takes a pulled piece and releases its slot; copies without the interpreter lock. 1: the message is whole, and *object
 * is what it was (a new reference), or NULL with what unpickling raised. 0: more pieces follow. -1 with an exception.
 */
int sf_arrival_take(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                    const struct sf_ring_slot *slot, uint64_t bytes, PyObject **object);

/* The same, but does not open a message whose opening runs code of the program: when such a one is whole, it is kept in
 * `arrival`, and 2 is returned. With 1, *object is there or MemoryError is raised. */
int sf_arrival_keep(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                    const struct sf_ring_slot *slot, uint64_t bytes, PyObject **object);

/* Opens a kept message, which stays kept, so that this can be done again. A new reference, or NULL with what unpickling
 * raised. */
PyObject *sf_arrival_open(const struct sf_arrival *arrival);

/* The same for a list whose opening has raised. Result as of sf_message_open_singly. */
PyObject *sf_arrival_open_singly(const struct sf_arrival *arrival);

/* Drops a message that is kept or did not arrive whole, if there is one. */
void sf_arrival_clear(struct sf_arrival *arrival);

#endif
