/* The code that is calling: extract and merge get its globals. */
#ifndef SF_PY_BASE_CALLER_H
#define SF_PY_BASE_CALLER_H

#include "py/base/compat.h"

/* What extract and merge get. given: the argument `globals`; NULL or None: the globals() of the Python code that calls
 * us. self: the object that this code is making, whose own methods (a subclass's __init__) do not count; NULL: none. A
 * new reference, or NULL with TypeError. */
PyObject *sf_caller_globals(PyObject *given, PyObject *self);

/* extract or merge (`who`) has raised, with these globals. If it was KeyError, adds a note that names their module.
 * Python shows notes from 3.11 on; before that they are only in __notes__. Leaves the exception set. */
void sf_caller_note_key_error(const char *who, PyObject *globals);

#endif
