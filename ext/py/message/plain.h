/* Plain objects: pickled and unpickled here, faster than the pickle module does it, and with the same result. An object
 * is plain if it and all that it contains is immutable, or if it is a list or dict of such objects:
 *
 *     scalar   None, a bool, an int of 64 bits, a float, an ASCII str
 *     row      a scalar, or a tuple of scalars
 *     plain    a row, a list of rows, a dict of rows (its keys too)
 *
 * of exactly these types, with strs below 64 KiB, and a MiB in all. For everything else the pickle module is called.
 *
 * What is written is, byte for byte, what pickle.dumps(object, 5) of CPython writes: its opcodes, frames and memo. So
 * an object that stands in a message twice is one object at the other end if it is one after pickle (a str, a tuple),
 * and a message has the size that pickle says. Only what is written here is read here. On PyPy, and on machines that
 * are not little-endian, no object is plain. */
#ifndef SF_PY_MESSAGE_PLAIN_H
#define SF_PY_MESSAGE_PLAIN_H

#include "py/base/compat.h"

#define SF_PLAIN_LABEL_BYTES 8 /* before the pickle, for who sends it */
#define SF_PLAIN_FEW_BYTES 256 /* most plain objects need no more */

/* In a count, above the number of items. */
#define SF_PLAIN_NUMBERS (UINT32_C(1) << 31) /* all items are ints or floats */
#define SF_PLAIN_SHARED (UINT32_C(1) << 30)  /* something stands in the pickle twice: the reader needs a memo */
#define SF_PLAIN_ITEMS (SF_PLAIN_SHARED - 1)

/* Objects that have been written, and may stand in the message again: a list for a few, a hash table for more. */
#define SF_PLAIN_FEW_SEEN 8
struct sf_plain_seen {
    PyObject *object;
    uint32_t number; /* in the pickle's memo */
};

struct sf_plain {
    char *data;   /* the label's bytes, then the pickle; valid until sf_plain_fini. May point to `first`, so the struct
                     must not be copied */
    size_t bytes; /* of both */
    uint32_t count; /* of items of the list or dict, for the reader: it makes the list before it has met them */
    /* private */
    size_t room;
    size_t frame;                /* where the current frame's header is */
    size_t quick_end;            /* what ends before it fits into the memory and into the frame */
    uint32_t memoized;           /* objects in the pickle's memo */
    uint32_t few;                /* used of few_seen */
    struct sf_plain_seen *table; /* of table_mask + 1 places, NULL objects are free; NULL: few_seen is in use */
    uint32_t table_mask, table_used;
    struct sf_plain_seen few_seen[SF_PLAIN_FEW_SEEN];
    char first[SF_PLAIN_LABEL_BYTES + SF_PLAIN_FEW_BYTES];
};

/* Writes the object. 1: written, 0: it is not plain, -1 with MemoryError. The caller calls sf_plain_fini in each case.
 */
int sf_plain_write(struct sf_plain *plain, PyObject *object);
void sf_plain_fini(struct sf_plain *plain);

/* The object of a pickle that sf_plain_write wrote, with its count: a new reference, or NULL with MemoryError. Trusts
 * the bytes. */
PyObject *sf_plain_read(const char *pickle, uint32_t count);

#endif
