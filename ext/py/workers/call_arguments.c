/* The arguments of maps. See call_arguments.h. */
#include "py/workers/call_arguments.h"

#include "py/base/arguments.h"
#include "py/base/caller.h"

int sf_call_integer(PyObject *value, const char *name, int64_t least, const char *meaning, int64_t *out)
{
    if (value && PyBool_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s must be an int, not the bool %R", name, value);
        return -1;
    }
    return value == Py_None ? 0 : sf_argument_integer(value, name, least, meaning, out);
}

bool sf_call_is_callable(PyObject *f, PyObject *iterable)
{
    if (PyCallable_Check(f) || !PyCallable_Check(iterable))
        return sf_argument_is_callable(f, "f", false);
    PyErr_Format(PyExc_TypeError, "f must be callable, not %.200s: f is the first argument, args the second",
                 Py_TYPE(f)->tp_name);
    return false;
}

bool sf_call_has_one_iterable(const char *function, const char *instead, PyObject *args)
{
    for (Py_ssize_t i = 2; i < PyTuple_GET_SIZE(args); i++) {
        PyObject *given = PyTuple_GET_ITEM(args, i);
        if (PyCallable_Check(given) || PyUnicode_Check(given) || (!Py_TYPE(given)->tp_iter && !PySequence_Check(given)))
            continue;
        PyErr_Format(PyExc_TypeError, "%s takes one iterable of arguments, not several: for f(a, b) write %s", function,
                     instead);
        return false;
    }
    return true;
}

bool sf_call_has_executor(PyObject *kwargs)
{
    return kwargs && (PyDict_GetItemString(kwargs, "executor") || PyDict_GetItemString(kwargs, "local"));
}

PyObject *sf_call_on_executor(const char *function, PyObject *args, PyObject *kwargs)
{
    PyObject *result = NULL, *globals = sf_caller_globals(NULL, NULL);
    PyObject *module = globals ? PyImport_ImportModule("snakefish._submit_call") : NULL;
    if (module)
        result = PyObject_CallMethod(module, "call", "sOOO", function, args, kwargs, globals);
    Py_XDECREF(module);
    Py_XDECREF(globals);
    return result;
}
