/* The one place where codes of the core become Python exceptions. */
#ifndef SF_PY_BASE_ERRORS_H
#define SF_PY_BASE_ERRORS_H

#include "py/base/compat.h"

#include <stdint.h>

extern PyObject *sf_ChildDied; /* snakefish.ChildDied: RuntimeError with .pid .exit_status .name */

/* Adds the exceptions to the module. 0, or -1 with an exception. */
int sf_errors_init(PyObject *module);

/* Raises for -errno: MemoryError for -ENOMEM, TimeoutError for -ETIMEDOUT, else RuntimeError "<doing>: <errno's text>".
 * doing: what was tried, as in "cannot fork". Returns NULL. */
PyObject *sf_error(int code, const char *doing);

/* Makes (does not raise) a ChildDied with the attributes. cause: may be NULL, borrowed. A new reference or NULL. */
PyObject *sf_error_child_died(PyObject *message, int pid, int32_t exit_status, PyObject *name, PyObject *cause);

/* "was killed by signal 9 (Killed)", "ended with exit status 3", ... A new reference or NULL. */
PyObject *sf_error_fate(int32_t exit_status);

/* A RemoteTraceback that shows `text` (str): the __cause__ of exceptions that come from a child. */
PyObject *sf_error_remote_traceback(PyObject *text);

#endif
