/* An object as a message in a ring, copied once in and once out where its type allows it.
 *
 *     uint32 kind, uint32 count, then by kind
 *     PICKLE      the pickle, with everything in it
 *     BYTES       the bytes of a bytes object
 *     BYTEARRAY   the bytes of a bytearray
 *     PARTS       uint64 sizes[1 + count], the pickle, `count` out-of-band buffers (pickle protocol 5) */
#ifndef SF_PY_MESSAGE_H
#define SF_PY_MESSAGE_H

#include "py/compat.h"

#include "core/ring.h"

enum sf_message_kind { SF_MESSAGE_PICKLE = 1, SF_MESSAGE_BYTES, SF_MESSAGE_BYTEARRAY, SF_MESSAGE_PARTS };

/* A message about to be sent: what it is made of stays where it is. */
struct sf_message {
    enum sf_message_kind kind;
    uint64_t bytes;    /* in the ring */
    PyObject *buffers; /* list of PickleBuffers, NULL without */
    Py_ssize_t count;  /* of views that are held */
    Py_buffer one;     /* the pickle, or the bytes */
    Py_buffer *views;  /* of the buffers */
};

int sf_message_init(void); /* 0, or -1 with an exception */

/* Takes an object apart: pickles it where it has to. 0, or -1 with pickle's exception. */
int sf_message_pack(struct sf_message *message, PyObject *object);

/* The bytes of any object with a contiguous buffer. 0, or -1 with TypeError or BufferError. */
int sf_message_pack_buffer(struct sf_message *message, PyObject *object);

/* Copies it into the reserved slot of message->bytes bytes. Needs no interpreter lock. */
void sf_message_put(const struct sf_message *message, struct sf_ring *ring, const struct sf_ring_slot *slot);

/* Drops what pack took. Also after a pack that failed. */
void sf_message_fini(struct sf_message *message);

/* Opens the claimed message and releases its slot, as soon as its bytes are out. A new reference, or NULL with what
 * unpickling raised. want_bytes: bytes are wanted, and TypeError is raised for any other object. */
PyObject *sf_message_open(struct sf_ring *ring, const struct sf_ring_slot *slot, bool want_bytes);

#endif
