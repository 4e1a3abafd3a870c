/* Callables: the function behind them, its globals, its name. */
#ifndef SF_PY_TASK_FUNCTION_H
#define SF_PY_TASK_FUNCTION_H

#include "py/base/compat.h"

/* Once, before the others. 0, or -1 with an exception. */
int sf_function_init(void);

/* The __globals__ of the function behind f (looking through functools.partial, bound methods, callable objects and
 * functools.lru_cache), or
 * the caller's where f has none (a builtin). A new reference, or NULL with an exception. */
PyObject *sf_function_globals(PyObject *f);

/* Whether the function behind f is a generator function. 1, 0, or -1 with an exception. */
int sf_function_is_generator(PyObject *f);

#endif
