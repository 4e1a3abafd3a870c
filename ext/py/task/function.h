/* The function behind a callable: its name, and whether it is a generator function. */
#ifndef SF_PY_TASK_FUNCTION_H
#define SF_PY_TASK_FUNCTION_H

#include "py/base/compat.h"

/* To be called once, before the others. 0, or -1 with an exception. */
int sf_function_init(void);

/* What f is called in names and messages: its __name__, or its type's where it has none. A new str, or NULL with an
 * exception. */
PyObject *sf_function_name(PyObject *f);

/* Whether f is a generator function, or wraps one: in functools.partial, a bound method, a callable object, or anything
 * with __wrapped__, as functools.wraps makes it. 1, 0, or -1 with an exception. */
int sf_function_is_generator(PyObject *f);

#endif
