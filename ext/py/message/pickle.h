/* The pickle module, looked up once. */
#ifndef SF_PY_MESSAGE_PICKLE_H
#define SF_PY_MESSAGE_PICKLE_H

#include "py/base/compat.h"

int sf_pickle_init(void); /* 0, or -1 with an exception */

/* A bytes object, or NULL with pickle's exception. With a callback: it is called with each buffer that is to travel
 * out of band (pickle protocol 5). */
PyObject *sf_pickle_dumps(PyObject *object);
PyObject *sf_pickle_dumps_buffers(PyObject *object, PyObject *callback);

/* The object pickled in `bytes` bytes at `data`, which pickle reads in place; NULL with pickle's exception. */
PyObject *sf_pickle_loads(const void *data, Py_ssize_t bytes);

/* The object pickled in a bytes object; with the buffers that came out of band, in their order. */
PyObject *sf_pickle_loads_bytes(PyObject *bytes);
PyObject *sf_pickle_loads_buffers(PyObject *bytes, PyObject *buffers);

#endif
