/* Reading arguments so that the error names the one that is wrong. */
#ifndef SF_PY_BASE_ARGUMENTS_H
#define SF_PY_BASE_ARGUMENTS_H

#include "py/base/compat.h"

#include <stdbool.h>
#include <stdint.h>

/* An int (or what has __index__) of at least `least`; NULL leaves *out as it is. 0, or -1 with TypeError, or ValueError
 * also for one that has no room in 64 bits. meaning: of `least`, for the message: "0: an even split"; NULL: none. */
int sf_argument_integer(PyObject *value, const char *name, int64_t least, const char *meaning, int64_t *out);

/* iter() of an iterable. NULL with TypeError that names it, or with what __iter__ raised. */
PyObject *sf_argument_iterator(PyObject *value, const char *name);

/* An iterable as a new list. NULL with TypeError, or with what iterating raised. */
PyObject *sf_argument_list(PyObject *value, const char *name);

/* Raises TypeError unless f is callable, or None where it is optional. */
bool sf_argument_is_callable(PyObject *f, const char *name, bool optional);

/* The arguments of a METH_FASTCALL | METH_KEYWORDS method: fills given[i] (borrowed) for names[i]; those that are not
 * given stay as they are. The first `required` must be. 0, or -1 with TypeError. */
int sf_argument_fast(const char *method, const char *const *names, int most, int required, PyObject *const *args,
                     Py_ssize_t count, PyObject *keywords, PyObject **given);

#endif
