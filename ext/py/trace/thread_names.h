/* The names of Python's threads, for the log: each thread that writes events is introduced there by its name, and a new
 * name is told when it is given, by a setter of threading.Thread.name that lasts as long as the session. */
#ifndef SF_PY_TRACE_THREAD_NAMES_H
#define SF_PY_TRACE_THREAD_NAMES_H

#include "py/base/compat.h"

/* From now on threads have their names in the log. Once, when the module is loaded. */
void sf_thread_names_init(void);

/* Tells the name of the calling thread, whose threading.Thread that is: threading does not know it yet. Does nothing if
 * it is none. Raises nothing. */
void sf_thread_names_tell(PyObject *thread);

#endif
