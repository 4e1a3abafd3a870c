/* Plain objects: written and read here, faster than pickle does, with the same result. Plain is what is immutable all
 * the way down, or a new list or dict of such:
 *
 *     scalar   None, a bool, an int of 64 bits, a float, an ASCII str
 *     row      a scalar, or a tuple of scalars
 *     plain    a row, a list of rows, a dict of rows (its keys too)
 *
 * of exactly these types. Everything else is pickle's, and so is what would grow here because one object stands in it
 * many times (a long str in a container, a message of more than a MiB): pickle writes it once. Whether two equal
 * immutable objects are one cannot be relied on in Python, so nobody can tell the difference.
 *
 *     value:  'N' | 'T' | 'F' | 'i' int64 | 'd' double | 's' uint32 length, the characters
 *             't' uint32 count, values | 'l' uint32 count, values | 'm' uint32 count, keys and values by turns
 *             'I' uint32 count, int64s | 'D' uint32 count, doubles           a list of nothing else
 *
 * in the machine's byte order, not aligned: it never leaves the machine. CPython only; for PyPy nothing is plain. */
#ifndef SF_PY_MESSAGE_PLAIN_H
#define SF_PY_MESSAGE_PLAIN_H

#include "py/base/compat.h"

#define SF_PLAIN_FEW_BYTES 256 /* most plain objects need no more */

struct sf_plain {
    char *data; /* the value as written; the caller's until sf_plain_fini. Points into itself: not to be copied */
    size_t bytes;
    /* private */
    size_t room;
    char first[SF_PLAIN_FEW_BYTES];
};

/* Writes the object. 1: written, 0: it is not plain, -1: MemoryError is set. sf_plain_fini after each. */
int sf_plain_write(struct sf_plain *plain, PyObject *object);
void sf_plain_fini(struct sf_plain *plain);

/* The object written at `data`: a new reference, or NULL with MemoryError. Trusts the bytes: they are our own. */
PyObject *sf_plain_read(const char *data);

#endif
