/* An object as a message. Where its type allows it, the object's bytes are copied once into shared memory and once out
 * of it. A message goes over a ring in one piece (Channel), or over a stream in several (map, Generator: departure.h,
 * arrival.h).
 *
 *     uint32 kind, uint32 count, then by kind
 *     PLAIN       a plain object (plain.h): what most small messages are
 *     PICKLE      the pickle, with everything in it
 *     BYTES       the bytes of a bytes object
 *     BYTEARRAY   the bytes of a bytearray
 *     PARTS       uint64 sizes[1 + count], the pickle, then `count` out-of-band buffers (pickle protocol 5), each
 *                 padded to begin at a multiple of 16
 *
 * The sender writes a message, the receiver only reads it. Both are processes of one program: the bytes are trusted. */
#ifndef SF_PY_MESSAGE_MESSAGE_H
#define SF_PY_MESSAGE_MESSAGE_H

#include "py/base/compat.h"

#include <stdbool.h>
#include <sys/uio.h>

#include "core/ring/ring.h"
#include "py/message/plain.h"

enum sf_message_kind {
    SF_MESSAGE_PICKLE = 1,
    SF_MESSAGE_BYTES,
    SF_MESSAGE_BYTEARRAY,
    SF_MESSAGE_PARTS,
    SF_MESSAGE_PLAIN
};

/* A message to send. Its parts point to the object's own memory where possible, which stays as it is until
 * sf_message_fini. A struct sf_message points into itself: it must not be copied. */
struct sf_message {
    uint64_t bytes;      /* of all parts */
    struct iovec *parts; /* what to send, in order */
    int count;           /* of parts */
    /* private */
    uint64_t head;        /* kind and count */
    struct iovec pair[2]; /* the parts where there are two: the head and the body */
    Py_buffer body;       /* the pickle, or the bytes */
    PyObject *buffers;    /* list of PickleBuffers; NULL: none */
    Py_buffer *views;     /* of the buffers */
    Py_ssize_t viewed;    /* how many of the views are taken */
    uint64_t *table;      /* of PARTS: the head and the sizes */
    struct sf_plain plain;
};

int sf_message_init(void); /* 0, or -1 with an exception */

/* Makes a message of an object; pickles it where no other kind fits. 0, or -1 with pickle's exception. */
int sf_message_pack(struct sf_message *message, PyObject *object);

/* Whether an object can be packed. If not: false, with pickle's exception. */
bool sf_message_can_pack(PyObject *object);

/* Makes a BYTES message of any object with a contiguous buffer. 0, or -1 with TypeError or BufferError. */
int sf_message_pack_buffer(struct sf_message *message, PyObject *object);

/* Copies the message into a reserved slot of message->bytes bytes. Releases the interpreter lock where that is long. */
void sf_message_put(const struct sf_message *message, struct sf_ring *ring, const struct sf_ring_slot *slot);

/* Frees what pack took. To be called also after a pack that failed. */
void sf_message_fini(struct sf_message *message);

/* Opens the message that begins at byte `at` of the claimed slot, and releases the slot as soon as its bytes are no
 * longer needed. A new reference, or NULL with what unpickling raised. want_bytes: TypeError for anything but bytes. */
PyObject *sf_message_open(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at, bool want_bytes);

/* For a message that arrives in pieces. gather makes a bytes or bytearray object that the pieces are copied into. The
 * message is `total` bytes long and begins with the eight bytes `head`; its first *skipped bytes are not copied. A new
 * reference, or NULL with MemoryError. open_gathered makes the object from it once all bytes are there: a new
 * reference, or NULL with what unpickling raised. It steals `gathered`. */
PyObject *sf_message_gather(uint64_t head, uint64_t total, uint64_t *skipped);
PyObject *sf_message_open_gathered(uint64_t head, PyObject *gathered);

/* Whether opening a message that begins with these eight bytes runs code of the program, which may raise anything. */
bool sf_message_runs_code(uint64_t head);

/* For such a message that is a list, and that raised when it was opened: opens it item by item. A new reference to a
 * tuple: a list of the items before the first that raised, and what this one raised, or None if none did. Or NULL with
 * an exception that is not about an item. Leaves `gathered` to the caller. */
PyObject *sf_message_open_singly(uint64_t head, PyObject *gathered);

#endif
