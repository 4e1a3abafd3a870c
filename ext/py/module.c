/* The module snakefish._snakefish: tables only. Its state belongs to the process (one log, one list of children), so it
 * can be imported in the main interpreter only. */
#include "py/base/types.h"

#include "core/log/log.h"
#include "py/base/debug.h"
#include "py/base/errors.h"
#include "py/message/message.h"
#include "py/task/child.h"
#include "py/task/fork.h"
#include "py/task/function.h"
#include "py/task/handlers.h"
#include "py/task/kept.h"
#include "py/task/protocol.h"
#include "py/trace/constants.h"
#include "py/trace/thread_names.h"
#include "py/workers/direct.h"

static PyMethodDef functions[] = {
    {"_at_exit", sf_child_at_exit, METH_NOARGS, "Stops running Generators, then waits for all running children."},
    {"_sweep", sf_kept_sweep_function, METH_NOARGS, "Lets Threads go that have ended."},
    {NULL, NULL, 0, NULL},
};

/* Steals the type, which may be NULL with an exception. 0, or -1 with an exception. */
static int add_type(PyObject *module, PyObject *type, const char *name)
{
    if (!type)
        return -1;
    int failed = PyModule_AddObjectRef(module, name, type);
    Py_DECREF(type);
    return failed;
}

static int execute(PyObject *module)
{
#ifndef PYPY_VERSION
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "snakefish works in the main interpreter only, because it forks");
        return -1;
    }
#endif
    sf_debug_from_environment();
    int error = sf_log_init();
    if (error) {
        sf_error(error, "cannot set up snakefish");
        return -1;
    }
    sf_kept_init();
    sf_thread_names_init();
    if (sf_errors_init(module) || sf_function_init() || sf_handlers_init() || sf_fork_init() || sf_protocol_init() ||
        sf_direct_init() || sf_constants_add(module) ||
        add_type(module, sf_type_from_spec(&sf_channel_spec), "Channel") ||
        add_type(module, sf_type_from_spec(&sf_thread_spec), "Thread") ||
        add_type(module, sf_type_from_spec(&sf_generator_spec), "Generator") ||
        add_type(module, sf_type_from_spec(&sf_crew_spec), "_Crew") ||
        add_type(module, sf_type_from_spec(&sf_items_spec), "_Items") ||
        add_type(module, sf_span_type(), "_trace_span") || PyModule_AddFunctions(module, functions) ||
        PyModule_AddFunctions(module, sf_map_functions) || PyModule_AddFunctions(module, sf_imap_functions) ||
        PyModule_AddFunctions(module, sf_clock_functions) || PyModule_AddFunctions(module, sf_trace_functions) ||
        PyModule_AddFunctions(module, sf_thread_names_functions) ||
        PyModule_AddFunctions(module, sf_programs_functions) || PyModule_AddFunctions(module, sf_remote_functions) ||
        PyModule_AddFunctions(module, sf_changes_functions) || PyModule_AddFunctions(module, sf_samples_functions) ||
        PyModule_AddFunctions(module, sf_instrument_message_functions) ||
        PyModule_AddFunctions(module, sf_instrument_pipe_functions) ||
        PyModule_AddFunctions(module, sf_instrument_pickle_functions) ||
        PyModule_AddFunctions(module, sf_instrument_task_functions))
        return -1;
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_snakefish",
    .m_doc = "The C part of snakefish; import snakefish instead.",
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__snakefish(void); /* a declaration, for -Wmissing-prototypes; the only exported name */

PyMODINIT_FUNC PyInit__snakefish(void)
{
    return PyModuleDef_Init(&module);
}
