/* Pickling and unpickling with the pickle module, which is looked up once. */
#ifndef SF_PY_MESSAGE_PICKLE_H
#define SF_PY_MESSAGE_PICKLE_H

#include "py/base/compat.h"

#include <stdbool.h>
#include <stdint.h>

int sf_pickle_init(void); /* to be called before the others. 0, or -1 with an exception */

/* The pickle as a bytes object, or NULL with pickle's exception. callback: is called with each buffer that travels out
 * of band (pickle protocol 5). */
PyObject *sf_pickle_dumps(PyObject *object);
PyObject *sf_pickle_dumps_buffers(PyObject *object, PyObject *callback);

/* The object pickled in a bytes object; buffers: those that travelled out of band, in the order of the callback. NULL
 * with pickle's exception. */
PyObject *sf_pickle_loads_bytes(PyObject *bytes);
PyObject *sf_pickle_loads_buffers(PyObject *bytes, PyObject *buffers);

/* The same where buffers are arrays of bytes, which become the arrays that were pickled (snakefish/_arrays.py). again:
 * they were given to an object that did not get ready, so it needs copies. */
PyObject *sf_pickle_loads_arrays(PyObject *bytes, PyObject *buffers, bool again);

/* A bytes object for a pickle of `size` bytes, perhaps longer than that, to be written and loaded: a new reference, or
 * NULL with MemoryError. drop takes the reference, and keeps the memory for the next one. */
PyObject *sf_pickle_new_bytes(uint64_t size);
void sf_pickle_drop_bytes(PyObject *bytes);
PyObject *sf_pickle_loads_begin(PyObject *bytes, uint64_t size); /* of the pickle at its beginning */

#endif
