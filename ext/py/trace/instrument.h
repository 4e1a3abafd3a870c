/* What the C files of trace.instrument share: the pipes of a connection, and how a wrapper calls what it wraps. */
#ifndef SF_PY_TRACE_INSTRUMENT_H
#define SF_PY_TRACE_INSTRUMENT_H

#include "py/base/compat.h"

#include <stdbool.h>
#include <stdint.h>

#include "abi/log_format.h"

/* A multiprocessing Connection, or an object that is used as one. */
struct sf_connection {
    uint32_t out, in; /* numbers of the pipes that it writes into and reads from; 0: none that is known */
    int fd;           /* the connection's own */
};

/* {0, 0, -1} for a closed connection or another object. Raises nothing. */
struct sf_connection sf_connection_of(PyObject *connection);

/* Writes a CHANNEL event for each pipe that is known already: after this process has joined a session. */
void sf_instrument_log_pipes(void);

/* Whether a wrapper was called with at least `least` arguments. If not: false, with TypeError. A wrapper's first
 * argument is the method that it wraps, and its last ones are that method's arguments. */
bool sf_instrument_has(Py_ssize_t count, Py_ssize_t least);

/* method(args...). count: of the positional arguments. */
static inline PyObject *sf_instrument_call(PyObject *method, PyObject *const *args, Py_ssize_t count,
                                           PyObject *keywords)
{
    return PyObject_Vectorcall(method, args, (size_t)count, keywords);
}

/* The same in a WAIT span, unless this thread is in one. number: what WAIT's b is (events.def). */
PyObject *sf_instrument_call_waiting(enum sf_wait reason, uint64_t number, PyObject *method, PyObject *const *args,
                                     Py_ssize_t count, PyObject *keywords);

#define SF_WRAPPER(name) (PyCFunction)(void (*)(void)) name, METH_FASTCALL | METH_KEYWORDS

#endif
