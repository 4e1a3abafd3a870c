/* The one place where error codes of the core become Python exceptions. */
#ifndef SF_PY_BASE_ERRORS_H
#define SF_PY_BASE_ERRORS_H

#include "py/base/compat.h"

#include <stdbool.h>
#include <stdint.h>

extern PyObject *sf_ChildDied; /* snakefish.ChildDied: RuntimeError with .pid .exit_status .name */

/* A traceback of a child's exception has come since the last fork. */
extern bool sf_error_came_home;

/* Makes the exception classes and adds them to the module. 0, or -1 with an exception. */
int sf_errors_init(PyObject *module);

/* Raises for -errno: MemoryError for -ENOMEM, TimeoutError for -ETIMEDOUT, else RuntimeError "<doing>: <errno's text>".
 * doing: what failed, as in "cannot fork". Returns NULL. */
PyObject *sf_error(int code, const char *doing);

/* Makes (does not raise) a ChildDied with these attributes. cause: its __cause__, borrowed; NULL: none. A new
 * reference, or NULL with an exception. */
PyObject *sf_error_child_died(PyObject *message, int pid, int32_t exit_status, PyObject *name, PyObject *cause);

/* "was killed by signal 9 (Killed)", "ended with exit status 3", ... A new reference, or NULL with
 * an exception. */
PyObject *sf_error_fate(int32_t exit_status);

/* Adds a note (PEP 678), which a traceback shows below the message; Python before 3.11 only keeps it in __notes__.
 * Steals note; NULL: an exception says why there is none. Swallows what goes wrong. */
void sf_error_add_note(PyObject *exception, PyObject *note);

/* A new RemoteTraceback that shows `text` (str): the __cause__ of exceptions that come from a child. NULL with an
 * exception. */
PyObject *sf_error_remote_traceback(PyObject *text);

#endif
