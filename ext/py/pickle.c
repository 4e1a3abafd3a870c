/* Pickling by pickle.dumps and pickle.loads with the highest protocol. */
#include "py/pickle.h"

static PyObject *dumps, *loads, *protocol, *callback_keyword, *buffers_keyword;

int sf_pickle_init(void)
{
    PyObject *module = PyImport_ImportModule("pickle");
    if (!module)
        return -1;
    dumps = PyObject_GetAttrString(module, "dumps");
    loads = PyObject_GetAttrString(module, "loads");
    protocol = PyObject_GetAttrString(module, "HIGHEST_PROTOCOL");
    Py_DECREF(module);
    callback_keyword = Py_BuildValue("(s)", "buffer_callback");
    buffers_keyword = Py_BuildValue("(s)", "buffers");
    return dumps && loads && protocol && callback_keyword && buffers_keyword ? 0 : -1;
}

static PyObject *check_bytes(PyObject *bytes)
{
    if (bytes && !PyBytes_CheckExact(bytes)) {
        Py_DECREF(bytes);
        PyErr_SetString(PyExc_TypeError, "pickle.dumps did not return bytes");
        return NULL;
    }
    return bytes;
}

PyObject *sf_pickle_dumps(PyObject *object)
{
    PyObject *arguments[] = {object, protocol};
    return check_bytes(PyObject_Vectorcall(dumps, arguments, 2, NULL));
}

PyObject *sf_pickle_dumps_buffers(PyObject *object, PyObject *callback)
{
    PyObject *arguments[] = {object, protocol, callback};
    return check_bytes(PyObject_Vectorcall(dumps, arguments, 2, callback_keyword));
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

PyObject *sf_pickle_loads_buffers(PyObject *bytes, PyObject *buffers)
{
    PyObject *arguments[] = {bytes, buffers};
    return PyObject_Vectorcall(loads, arguments, 1, buffers_keyword);
}
