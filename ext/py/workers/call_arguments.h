/* The arguments that map, starmap, imap and imap_unordered have in common, with errors that say what to write. */
#ifndef SF_PY_WORKERS_CALL_ARGUMENTS_H
#define SF_PY_WORKERS_CALL_ARGUMENTS_H

#include "py/base/compat.h"

#include <stdbool.h>
#include <stdint.h>

/* An int argument as of sf_argument_integer, where None is the default too, and a bool is refused. 0, or -1 with an
 * exception. */
int sf_call_integer(PyObject *value, const char *name, int64_t least, const char *meaning, int64_t *out);

/* Whether f is callable. If not: false, with TypeError, which says so if f and args have changed places. */
bool sf_call_is_callable(PyObject *f, PyObject *iterable);

/* Whether the positional arguments from the third on are no iterables of arguments, which the builtin map would take.
 * If one is: false, with TypeError that says what to write instead. */
bool sf_call_has_one_iterable(const char *function, const char *instead, PyObject *args);

/* Whether the call has one of the keywords of maps on an executor: executor, local. */
bool sf_call_has_executor(PyObject *kwargs);

/* What such a call returns, by snakefish/_submit_call.py; executor=None is a call without it. function: its name. */
PyObject *sf_call_on_executor(const char *function, PyObject *args, PyObject *kwargs);

#endif
