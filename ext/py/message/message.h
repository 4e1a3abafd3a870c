/* An object as a message: copied once in and once out where its type allows it. Over a ring in one piece (Channel), or
 * over a stream in several (map, Generator).
 *
 *     uint32 kind, uint32 count, then by kind
 *     PLAIN       a plain object (plain.h): what most small messages are
 *     PICKLE      the pickle, with everything in it
 *     BYTES       the bytes of a bytes object
 *     BYTEARRAY   the bytes of a bytearray
 *     PARTS       uint64 sizes[1 + count], the pickle, then `count` out-of-band buffers (pickle protocol 5), each
 *                 padded to begin at a multiple of 16 */
#ifndef SF_PY_MESSAGE_MESSAGE_H
#define SF_PY_MESSAGE_MESSAGE_H

#include "py/base/compat.h"

#include "core/result/stream.h"
#include "py/message/plain.h"
#include "py/trace/stretch.h"

enum sf_message_kind {
    SF_MESSAGE_PICKLE = 1,
    SF_MESSAGE_BYTES,
    SF_MESSAGE_BYTEARRAY,
    SF_MESSAGE_PARTS,
    SF_MESSAGE_PLAIN
};

#define SF_MESSAGE_TOLD_BYTES SF_STRETCH_LEAST_BYTES /* for workers/, until it uses sf_stretch_begin */

/* A message about to be sent: what it is made of stays where it is. It points into itself: not to be copied. */
struct sf_message {
    uint64_t bytes;      /* of all parts */
    struct iovec *parts; /* what to send, in order */
    int count;
    /* private */
    uint64_t head;
    struct iovec few[2];
    Py_buffer one;     /* the pickle, or the bytes */
    PyObject *buffers; /* list of PickleBuffers, NULL without */
    Py_buffer *views;  /* of the buffers; `held` of them */
    Py_ssize_t held;
    uint64_t *table; /* PARTS: head and sizes */
    struct sf_plain plain;
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

/* Opens the message that stands in the claimed slot from byte `at` on, and releases the slot as soon as its bytes are
 * out. A new reference, or NULL with what unpickling raised. want_bytes: bytes are wanted, and TypeError is raised for
 * any other object. */
PyObject *sf_message_open(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at, bool want_bytes);

/* A message that arrives over a stream; zeros between two messages. */
struct sf_arrival {
    PyObject *target; /* bytes or bytearray that is being filled */
    uint64_t skipped; /* bytes of the message that are not copied: its head */
    uint32_t kind;
};

/* Takes a pulled piece and releases its slot. 1: the message is whole, and *object is what it was, or NULL with what
 * unpickling raised; 0: more is to come; -1 with an exception. */
int sf_arrival_take(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                    const struct sf_ring_slot *slot, uint64_t bytes, PyObject **object);

void sf_arrival_clear(struct sf_arrival *arrival);

#endif
