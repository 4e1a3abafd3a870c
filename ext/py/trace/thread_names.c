/* See thread_names.h. The log asks for a name when a thread writes its first event, which may be anywhere: an exception
 * may be set, and no Python code may run. So the name is read from where threading keeps it: threading._active, which
 * is a dict from ident to Thread, and _name of that. A thread that Python did not start has no name. */
#include "py/trace/thread_names.h"

#include "py/base/types.h"

#include "core/log/log.h"
#include "py/trace/texts.h"

/* A name of the object: an attribute that the object itself holds. NULL: it has none. A new reference. */
static PyObject *attribute(PyObject *object, const char *name)
{
    PyObject *key = object ? PyUnicode_InternFromString(name) : NULL;
    PyObject *value = key ? PyObject_GenericGetAttr(object, key) : NULL;
    Py_XDECREF(key);
    return value;
}

/* The name of a thread; NULL: it has none, perhaps with an exception. A new reference. */
static PyObject *find_name(uint64_t thread)
{
    PyObject *threading = PyDict_GetItemString(PyImport_GetModuleDict(), "threading");
    PyObject *threads = threading && PyModule_Check(threading) ? attribute(threading, "_active") : NULL;
    PyObject *ident = PyLong_FromUnsignedLongLong(thread), *name = NULL;
    if (threads && PyDict_Check(threads) && ident)
        name = attribute(PyDict_GetItemWithError(threads, ident), "_name");
    if (name && !PyUnicode_CheckExact(name))
        Py_CLEAR(name);
    Py_XDECREF(threads);
    Py_XDECREF(ident);
    return name;
}

/* Its number in the log; 0: the thread has no name. Raises nothing. */
static uint32_t name_of(uint32_t lane, uint64_t thread)
{
    uint32_t number = 0;
    if (sf_is_finalizing())
        return 0;
    PyObject *raised = sf_take_raised(), *name = find_name(thread);
    bool is_usual = name && lane == 0 && PyUnicode_CompareWithASCIIString(name, SF_FIRST_THREAD_NAME) == 0;
    if (name && !is_usual && sf_texts_check(name) && sf_texts_look_up(name, &number))
        number = 0;
    Py_XDECREF(name);
    PyErr_Clear();
    if (raised)
        sf_put_raised(raised);
    return number;
}

void sf_thread_names_init(void)
{
    sf_log_name_threads_by(name_of);
}

static PyObject *thread_renamed(PyObject *Py_UNUSED(module), PyObject *args)
{
    unsigned long long thread;
    PyObject *name;
    uint32_t number;
    if (!PyArg_ParseTuple(args, "KO!:_trace_thread_renamed", &thread, &PyUnicode_Type, &name))
        return NULL;
    if (!sf_log_enabled())
        Py_RETURN_NONE;
    if (!sf_texts_check(name))
        PyErr_Clear(); /* such a name is nobody's fault but cannot be written */
    else if (sf_texts_look_up(name, &number))
        return NULL;
    else
        sf_log_rename_thread(thread, number);
    Py_RETURN_NONE;
}

PyMethodDef sf_thread_names_functions[] = {
    {"_trace_thread_renamed", thread_renamed, METH_VARARGS, "ident, name: a thread has another name from now on."},
    {NULL, NULL, 0, NULL},
};
