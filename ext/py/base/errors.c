/* Exceptions: error codes of the core as Python exceptions, and the package's own classes. See errors.h. */
#include "py/base/errors.h"

#include <errno.h>
#include <string.h>

#include "core/os/process.h"

PyObject *sf_ChildDied;
bool sf_error_came_home;
static PyObject *remote_traceback; /* class, from snakefish._child */

int sf_errors_init(PyObject *module)
{
    PyObject *attributes = Py_BuildValue("{s:O,s:O,s:O}", "pid", Py_None, "exit_status", Py_None, "name", Py_None);
    if (!attributes)
        return -1;
    sf_ChildDied = PyErr_NewExceptionWithDoc(
        "snakefish.ChildDied",
        "A child process was killed, or ended without leaving a result.\n\n"
        "pid: its process id. exit_status: n after sys.exit(n) or os._exit(n), -N after signal N, None if unknown.\n"
        "name: the name of its Thread, Generator or map worker.",
        PyExc_RuntimeError, attributes);
    Py_DECREF(attributes);
    if (!sf_ChildDied || PyModule_AddObjectRef(module, "ChildDied", sf_ChildDied))
        return -1;
    PyObject *child = PyImport_ImportModule("snakefish._child");
    if (!child)
        return -1;
    remote_traceback = PyObject_GetAttrString(child, "RemoteTraceback");
    Py_DECREF(child);
    return remote_traceback ? 0 : -1;
}

PyObject *sf_error(int code, const char *doing)
{
    if (code == -ENOMEM)
        PyErr_Format(PyExc_MemoryError, "%s: no memory or address space left", doing);
    else if (code == -ETIMEDOUT)
        PyErr_Format(PyExc_TimeoutError, "%s: timed out", doing);
    else
        PyErr_Format(PyExc_RuntimeError, "%s: %s", doing, strerror(-code));
    return NULL;
}

PyObject *sf_error_fate(int32_t exit_status)
{
    if (exit_status == SF_PROCESS_STATUS_UNKNOWN)
        return PyUnicode_FromString("was reaped by something else in this program, its exit status is unknown");
    if (exit_status < 0)
        return PyUnicode_FromFormat("was killed by signal %d (%s)", (int)-exit_status, strsignal(-exit_status));
    return PyUnicode_FromFormat("ended with exit status %d", (int)exit_status);
}

PyObject *sf_error_child_died(PyObject *message, int pid, int32_t exit_status, PyObject *name, PyObject *cause)
{
    PyObject *died = PyObject_CallFunctionObjArgs(sf_ChildDied, message, NULL);
    if (!died)
        return NULL;
    PyObject *number = PyLong_FromLong(pid);
    PyObject *status = exit_status == SF_PROCESS_STATUS_UNKNOWN ? Py_NewRef(Py_None) : PyLong_FromLong(exit_status);
    int failed = !number || !status || PyObject_SetAttrString(died, "pid", number) ||
                 PyObject_SetAttrString(died, "exit_status", status) || PyObject_SetAttrString(died, "name", name);
    Py_XDECREF(number);
    Py_XDECREF(status);
    if (failed)
        Py_CLEAR(died);
    else if (cause)
        PyException_SetCause(died, Py_NewRef(cause));
    return died;
}

PyObject *sf_error_remote_traceback(PyObject *text)
{
    sf_error_came_home = true;
    return PyObject_CallFunctionObjArgs(remote_traceback, text, NULL);
}

void sf_error_add_note(PyObject *exception, PyObject *note)
{
    PyErr_Clear();
    PyObject *notes = note ? PyObject_GetAttrString(exception, "__notes__") : NULL;
    PyErr_Clear();
    if (note && !notes) {
        notes = PyList_New(0);
        if (notes && PyObject_SetAttrString(exception, "__notes__", notes))
            Py_CLEAR(notes);
    }
    if (notes && PyList_Check(notes))
        PyList_Append(notes, note);
    PyErr_Clear();
    Py_XDECREF(notes);
    Py_XDECREF(note);
}
