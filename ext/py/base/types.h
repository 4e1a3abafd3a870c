/* What module.c takes from the other files: the spec of each Python type, and the table of each file that has functions
 * of the module. They are declared here together, because most of these files need no header otherwise. */
#ifndef SF_PY_BASE_TYPES_H
#define SF_PY_BASE_TYPES_H

#include "py/base/compat.h"

extern PyType_Spec sf_thread_spec, sf_generator_spec, sf_channel_spec, sf_crew_spec, sf_items_spec;
PyObject *sf_span_type(void); /* a new type, or NULL with an exception */
extern PyMethodDef sf_map_functions[], sf_imap_functions[], sf_clock_functions[], sf_trace_functions[];
extern PyMethodDef sf_thread_names_functions[], sf_programs_functions[], sf_remote_functions[], sf_changes_functions[];
extern PyMethodDef sf_samples_functions[];
extern PyMethodDef sf_instrument_message_functions[], sf_instrument_pipe_functions[], sf_instrument_task_functions[],
    sf_instrument_pickle_functions[];

#endif
