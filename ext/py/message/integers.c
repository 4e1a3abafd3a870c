/* Lists of ints as arrays. See integers.h. */
#include "py/message/integers.h"

#define SOME 512 /* are copied out of the ring at a time: they stay in the first level cache */

/* Puts ints into the list from place `to` on. 0, or -1 with MemoryError. */
static int put(PyObject *list, Py_ssize_t to, const int64_t *values, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *number = PyLong_FromLongLong(values[i]);
        if (!number)
            return -1;
        PyList_SET_ITEM(list, to + i, number);
    }
    return 0;
}

PyObject *sf_integers_open(const struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at)
{
    int64_t some[SOME];
    Py_ssize_t count = (Py_ssize_t)((slot->bytes - at) / sizeof *some);
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0, n; list && i < count; i += n) {
        n = count - i < SOME ? count - i : SOME;
        sf_ring_get(ring, slot, at + (uint64_t)i * sizeof *some, some, (uint64_t)n * sizeof *some);
        if (put(list, i, some, n))
            Py_CLEAR(list);
    }
    return list;
}
