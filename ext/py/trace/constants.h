/* The numbers of the log's format, as constants of the module. */
#ifndef SF_PY_TRACE_CONSTANTS_H
#define SF_PY_TRACE_CONSTANTS_H

#include "py/base/compat.h"

/* Adds the ids of events, and the phases, outcomes, waits and kinds of tasks that the Python files use. -1: with an
 * exception. */
int sf_constants_add(PyObject *module);

#endif
