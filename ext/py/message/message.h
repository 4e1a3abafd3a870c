/* An object as a message. Where its type allows it, the object's bytes are copied once into shared memory and once out
 * of it. A message goes over a ring in one piece (Channel), or over a stream in several (map, Generator: departure.h,
 * arrival.h).
 *
 *     uint32 kind, uint32 count, then by kind
 *     PLAIN       the pickle of a plain object with `count` items (plain.h): what most small messages are
 *     PICKLE      the pickle, with everything in it
 *     BYTES       the bytes of a bytes object
 *     BYTEARRAY   the bytes of a bytearray
 *     PARTS       uint64 buffer[count] (its size, and flags), the pickle, then the buffers that go out of band (pickle
 *                 protocol 5); large ones of results may have gone ahead of the message (offer.h)
 *     INTEGERS    int64 each: a list of ints (integers.h); of map's workers only, and always in one piece
 *
 * The first eight bytes are the message's label. The others are its own bytes: what a Channel counts, and traces show.
 * They are never more than pickle.dumps(object, 5) has, and just as many for PLAIN and PICKLE.
 *
 * Out of band goes what would be copied once more in the pickle, or what its receiver has to own: buffers of
 * SF_MESSAGE_LARGE_BYTES and more, and those of numpy arrays that may be changed. Each arrives in an object of its own,
 * so that each is freed when nobody needs it any more (incoming.h).
 *
 * The sender writes a message, the receiver only reads it. Both are processes of one program: the bytes are trusted. */
#ifndef SF_PY_MESSAGE_MESSAGE_H
#define SF_PY_MESSAGE_MESSAGE_H

#include "py/base/compat.h"

#include <stdbool.h>
#include <sys/uio.h>

#include "core/ring/ring.h"
#include "py/message/plain.h"

#define SF_MESSAGE_LABEL_BYTES 8u
#define SF_MESSAGE_LARGE_BYTES (64u << 10)
/* From this size on a copy takes longer than releasing the interpreter lock and taking it again. */
#define SF_MESSAGE_UNLOCKED_BYTES (64u << 10)

/* In a buffer's word, above its size. */
#define SF_MESSAGE_READ_ONLY (UINT64_C(1) << 63)
#define SF_MESSAGE_ARRAY (UINT64_C(1) << 62) /* the buffer of a numpy array */
#define SF_MESSAGE_TAKEN (UINT64_C(1) << 61) /* its bytes are not in the message: the receiver has them (offer.h) */
#define SF_MESSAGE_BUFFER_BYTES (SF_MESSAGE_TAKEN - 1)

enum sf_message_kind {
    SF_MESSAGE_PICKLE = 1,
    SF_MESSAGE_BYTES,
    SF_MESSAGE_BYTEARRAY,
    SF_MESSAGE_PARTS,
    SF_MESSAGE_PLAIN,
    SF_MESSAGE_INTEGERS
};

/* A message to send. Its parts point to the object's own memory where possible, which stays as it is until
 * sf_message_fini. A struct sf_message points into itself: it must not be copied. */
struct sf_message {
    uint64_t bytes;      /* of all parts */
    struct iovec *parts; /* what to send, in order */
    int count;           /* of parts */
    /* private */
    uint64_t head;        /* the label: kind and count */
    struct iovec pair[2]; /* the parts where there are two: the label and the body */
    Py_buffer body;       /* the pickle, or the bytes */
    PyObject *buffers;    /* list of PickleBuffers; NULL: none */
    Py_buffer *views;     /* of the buffers */
    Py_ssize_t viewed;    /* how many of the views are taken */
    uint64_t *table;      /* of PARTS: the label and the buffers' words */
    struct sf_plain plain;
};

/* Makes a message of an object; pickles it where no other kind fits. 0, or -1 with pickle's exception. */
int sf_message_pack(struct sf_message *message, PyObject *object);

/* Whether an object can be packed. If not: false, with pickle's exception. */
bool sf_message_can_pack(PyObject *object);

/* Makes a BYTES message of any object with a contiguous buffer. 0, or -1 with TypeError or BufferError. */
int sf_message_pack_buffer(struct sf_message *message, PyObject *object);

/* Makes an INTEGERS message, which points to the values. */
void sf_message_pack_integers(struct sf_message *message, const int64_t *values, size_t count);

/* A packed message's buffer number i (< message->viewed), if it is of a numpy array that may be changed and its bytes
 * are in the message; else NULL. */
const struct iovec *sf_message_array(const struct sf_message *message, Py_ssize_t i);

/* The receiver has the bytes of this array already: they are not sent with the message. */
void sf_message_leave_out(struct sf_message *message, Py_ssize_t i);

/* Copies the message into a reserved slot of message->bytes bytes. Releases the interpreter lock where that is long. */
void sf_message_put(const struct sf_message *message, struct sf_ring *ring, const struct sf_ring_slot *slot);

/* Frees what pack took. To be called also after a pack that failed. */
void sf_message_fini(struct sf_message *message);

static inline uint64_t sf_message_label(enum sf_message_kind kind, uint32_t count)
{
    return (uint64_t)kind | (uint64_t)count << 32;
}

static inline enum sf_message_kind sf_message_kind_of(uint64_t label)
{
    return (enum sf_message_kind)(uint32_t)label;
}

/* Opens the message that begins at byte `at` of the claimed slot, which stays the caller's: it releases the slot, or
 * gives it back if an interruption came (py/base/interruption.h). The object is made from a copy: what unpickling calls
 * may fork, and the child's object must not change when the parent gives the room back. A new reference, or NULL with
 * what unpickling raised. want_bytes: TypeError for anything but bytes. */
PyObject *sf_message_open(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at, bool want_bytes);

/* Whether opening a message with this label runs code of the program, which may raise anything. */
static inline bool sf_message_runs_code(uint64_t label)
{
    return sf_message_kind_of(label) == SF_MESSAGE_PICKLE || sf_message_kind_of(label) == SF_MESSAGE_PARTS;
}

#endif
