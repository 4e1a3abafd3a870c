/* Lists of ints as arrays: INTEGERS messages (message.h). Results of map are often such lists, and are made one by one:
 * an int that goes into an array at once is freed at once, so a worker needs no memory for all of them. No code of the
 * program runs here. */
#ifndef SF_PY_MESSAGE_INTEGERS_H
#define SF_PY_MESSAGE_INTEGERS_H

#include "py/base/compat.h"

#include <stdbool.h>
#include <stdint.h>

#include "core/ring/ring.h"

/* Whether the object is an int, of exactly this type, of 64 bits. */
static inline bool sf_integers_get(PyObject *object, int64_t *value)
{
    return PyLong_CheckExact(object) && sf_integer_value(object, value);
}

/* The list of what is in the claimed slot from byte `at` on: a new reference, or NULL with MemoryError. */
PyObject *sf_integers_open(const struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at);

#endif
