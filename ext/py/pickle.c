/* Pickling by pickle.dumps and pickle.loads with the highest protocol. */
#include "py/pickle.h"

static PyObject *dumps, *loads, *protocol;

int sf_pickle_init(void)
{
    PyObject *module = PyImport_ImportModule("pickle");
    if (!module)
        return -1;
    dumps = PyObject_GetAttrString(module, "dumps");
    loads = PyObject_GetAttrString(module, "loads");
    protocol = PyObject_GetAttrString(module, "HIGHEST_PROTOCOL");
    Py_DECREF(module);
    return dumps && loads && protocol ? 0 : -1;
}

PyObject *sf_pickle_dumps(PyObject *object)
{
    PyObject *bytes = PyObject_CallFunctionObjArgs(dumps, object, protocol, NULL);
    if (bytes && !PyBytes_CheckExact(bytes)) {
        Py_DECREF(bytes);
        PyErr_SetString(PyExc_TypeError, "pickle.dumps did not return bytes");
        return NULL;
    }
    return bytes;
}

PyObject *sf_pickle_loads(const void *data, Py_ssize_t bytes)
{
    PyObject *view = PyMemoryView_FromMemory((char *)data, bytes, PyBUF_READ);
    if (!view)
        return NULL;
    PyObject *object = PyObject_CallOneArg(loads, view);
    /* nothing that was unpickled may keep looking at memory that is not Python's */
    PyObject *raised = sf_take_raised();
    PyObject *released = PyObject_CallMethod(view, "release", NULL);
    Py_DECREF(view);
    if (!released) {
        Py_XDECREF(raised);
        Py_XDECREF(object);
        return NULL;
    }
    Py_DECREF(released);
    if (raised)
        sf_put_raised(raised);
    return object;
}

PyObject *sf_pickle_loads_bytes(PyObject *bytes)
{
    return PyObject_CallOneArg(loads, bytes);
}
