/* Reading arguments, with errors that name the argument. */
#ifndef SF_PY_BASE_ARGUMENTS_H
#define SF_PY_BASE_ARGUMENTS_H

#include "py/base/compat.h"

#include <stdbool.h>
#include <stdint.h>

/* An int (or an object with __index__) of at least `least`. value NULL leaves *out as it is. 0, or -1 with TypeError,
 * or with ValueError, also for an int that 64 bits cannot hold. meaning: what `least` means, for the message, as in "0:
 * an even split"; NULL: nothing special. */
int sf_argument_integer(PyObject *value, const char *name, int64_t least, const char *meaning, int64_t *out);

/* iter() of an iterable, or NULL with TypeError that names it, or with what __iter__ raised. */
PyObject *sf_argument_iterator(PyObject *value, const char *name);

/* The items of an iterable as a new list, or NULL with TypeError, or with what iterating raised. */
PyObject *sf_argument_list(PyObject *value, const char *name);

/* Whether f is callable, or None where it is optional. If not: false, with TypeError. */
bool sf_argument_is_callable(PyObject *f, const char *name, bool optional);

/* Whether no keyword is one that other libraries use for one of these arguments, as Thread(target=f). If there is one:
 * false, with TypeError that says what it is called here. names ends with NULL. example: a right call, for the message.
 * It leaves other unknown keywords to the parser. */
bool sf_argument_knows_keywords(const char *function, const char *example, char *const *names, PyObject *kwargs);

/* Parses the arguments of a METH_FASTCALL | METH_KEYWORDS method: sets given[i] (borrowed) to the argument names[i]. An
 * argument that is not given leaves given[i] as it is; the first `required` must be given. 0, or -1 with TypeError. */
int sf_argument_fast(const char *method, const char *const *names, int most, int required, PyObject *const *args,
                     Py_ssize_t count, PyObject *keywords, PyObject **given);

#endif
