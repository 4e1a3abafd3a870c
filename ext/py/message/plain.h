/* Plain objects: written and read here faster than pickle does, with the same result. An object is plain if it and all
 * that it contains is immutable, or if it is a list or dict of such objects:
 *
 *     scalar   None, a bool, an int of 64 bits, a float, an ASCII str
 *     row      a scalar, or a tuple of scalars
 *     plain    a row, a list of rows, a dict of rows (its keys too)
 *
 * of exactly these types. Everything else is pickled. So are a container with a long str and one of more than a MiB:
 * they may contain one object many times, which pickle writes only once. Reading may give two equal objects where there
 * was one; for immutable objects no correct program depends on that.
 *
 *     value:  'N' | 'T' | 'F' | 'i' int64 | 'd' double | 's' uint32 length, the characters
 *             't' uint32 count, values | 'l' uint32 count, values | 'm' uint32 count, keys and values by turns
 *             'I' uint32 count, int64s | 'D' uint32 count, doubles           a list of nothing else
 *
 * in the machine's byte order, not aligned: it never leaves the machine. CPython only; on PyPy no object is plain. */
#ifndef SF_PY_MESSAGE_PLAIN_H
#define SF_PY_MESSAGE_PLAIN_H

#include "py/base/compat.h"

#define SF_PLAIN_FEW_BYTES 256 /* most plain objects need no more */

struct sf_plain {
    char *data; /* the value as written, valid until sf_plain_fini; may point to `first`, so the struct must not be
                   copied */
    size_t bytes;
    /* private */
    size_t room;
    char first[SF_PLAIN_FEW_BYTES];
};

/* Writes the object. 1: written, 0: it is not plain, -1 with MemoryError. The caller calls sf_plain_fini in each case.
 */
int sf_plain_write(struct sf_plain *plain, PyObject *object);
void sf_plain_fini(struct sf_plain *plain);

/* The object written at `data`: a new reference, or NULL with MemoryError. Trusts the bytes, which sf_plain_write
 * wrote. */
PyObject *sf_plain_read(const char *data);

#endif
