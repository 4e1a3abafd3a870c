/* What the files of trace.instrument's C side share: the pipes of a connection, and their tables of functions. */
#ifndef SF_PY_TRACE_INSTRUMENT_H
#define SF_PY_TRACE_INSTRUMENT_H

#include "py/base/compat.h"

#include <stdbool.h>
#include <stdint.h>

/* A multiprocessing Connection, or what stands for one. */
struct sf_connection {
    uint32_t out, in; /* the pipes that it writes into and reads from; 0: none that is known */
    int fd;
};

/* {0, 0, -1} where it is closed, or something else. Raises nothing. */
struct sf_connection sf_connection_of(PyObject *connection);

/* Writes a CHANNEL event for each pipe that is known already: after this process has joined a session. */
void sf_instrument_announce(void);

/* All functions of _instrument.py that wrap take what they wrap first, and the arguments for that last. False, with
 * a TypeError: there are fewer than `least`. */
bool sf_instrument_has(Py_ssize_t count, Py_ssize_t least);

/* original(args...), of `count` arguments in which those of the keywords are not counted. */
static inline PyObject *sf_instrument_call(PyObject *original, PyObject *const *args, Py_ssize_t count,
                                           PyObject *keywords)
{
    return PyObject_Vectorcall(original, args, (size_t)count, keywords);
}

#define SF_WRAPPER(name) (PyCFunction)(void (*)(void)) name, METH_FASTCALL | METH_KEYWORDS

#endif
