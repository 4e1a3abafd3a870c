/* A message that is coming in. Its bytes are copied, in their order, to where they will stay: into the object itself,
 * or for a pickle into a copy of it. Each buffer that came out of band gets an object of its own.
 *
 *     sf_incoming_begin -> (sf_incoming_next, copy, sf_incoming_advance)... -> sf_incoming_open -> sf_incoming_clear
 *
 *     what was sent                         where its bytes go            what holds them in the end
 *     bytes, bytearray                      into a new one                that one
 *     a pickle, a plain object              into a bytes object           nothing: it is freed
 *     a buffer that may not be changed      into a bytes object           who unpickles it, for instance an array
 *     a buffer of an array                  into a new array of bytes     that array, which numpy's own type, shape and
 *                                                                         order are given to: it can be resized
 *     the same, taken before (offer.h)      they are there                an array of bytes that owns that memory
 *     another buffer                        into a bytearray              who unpickles it
 *
 * All functions need the interpreter lock. Between next and advance it may be released. */
#ifndef SF_PY_MESSAGE_INCOMING_H
#define SF_PY_MESSAGE_INCOMING_H

#include "py/base/compat.h"

#include <stdbool.h>
#include <stdint.h>

#include "core/ring/ring.h"
#include "py/message/taken.h"

/* All zeros: no message is under way. */
struct sf_incoming {
    uint64_t label, total;  /* its first eight bytes; how long it is, with them. total 0: none is under way */
    struct sf_taken *taken; /* the buffers that went ahead of it, and come before it is under way; NULL: none */
    /* private */
    uint64_t filled;    /* bytes of it that are there */
    uint64_t *table;    /* of PARTS: the words of the buffers */
    PyObject *body;     /* bytes: the pickle; or the bytes or bytearray object that was sent */
    PyObject *blocks;   /* list: one for each buffer */
    char *next;         /* where the next byte goes, */
    uint64_t room : 63; /* and how many more go there */
    bool opened : 1;
};

/* A message of so many bytes, the first eight of which have been read already. Drops one that did not become whole.
 * 0, or -1 with MemoryError. */
int sf_incoming_begin(struct sf_incoming *incoming, uint64_t label, uint64_t total);

/* Where the next bytes go, *room at most; NULL: all are there. */
char *sf_incoming_next(const struct sf_incoming *incoming, uint64_t *room);

/* How many bytes of the message are there, the first eight included. */
static inline uint64_t sf_incoming_filled(const struct sf_incoming *incoming)
{
    return incoming->filled;
}

/* So many of them are there. 0, or -1 with an exception: there is no memory for what follows. They are there all the
 * same; it goes on with an advance by 0 bytes. */
int sf_incoming_advance(struct sf_incoming *incoming, uint64_t bytes);

/* Copies bytes [at, at + bytes) of a claimed slot, which are the next ones of the message; without the interpreter lock
 * where that is long. 0, or -1 with an exception. */
int sf_incoming_take(struct sf_incoming *incoming, struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at,
                     uint64_t bytes);

/* Makes the object that was sent: a new reference, or NULL with what unpickling raised. It can be called again, if that
 * says nothing about the message (Ctrl-C). */
PyObject *sf_incoming_open(struct sf_incoming *incoming);

/* For a message whose opening runs code of the program, that is a list, and that raised when it was opened: opens it
 * item by item. A new reference to a tuple: a list of the items before the first that raised, and what this one raised,
 * or None if none did. Or NULL with an exception that is not about an item. */
PyObject *sf_incoming_open_singly(struct sf_incoming *incoming);

/* Drops what is there, if anything; also what was taken ahead. */
void sf_incoming_clear(struct sf_incoming *incoming);

#endif
