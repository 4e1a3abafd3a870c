/* Pickling by pickle.dumps and pickle.loads with the highest protocol. See pickle.h. Each call is logged as a PICKLED
 * stretch. */
#include "py/message/pickle.h"

#include "core/log/log.h"

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

/* Checks and logs the result of a pickle.dumps that began at `from`. */
static PyObject *check_bytes(uint64_t from, PyObject *bytes)
{
    if (bytes && !PyBytes_CheckExact(bytes)) {
        Py_DECREF(bytes);
        PyErr_SetString(PyExc_TypeError, "pickle.dumps did not return bytes");
        return NULL;
    }
    sf_log_stretch(SF_EVENT_PICKLED, from, bytes ? (uint64_t)PyBytes_GET_SIZE(bytes) : 0);
    return bytes;
}

/* Logs a pickle.loads of so many bytes that began at `from`. Returns its result. */
static PyObject *log_loaded(uint64_t from, PyObject *object, Py_ssize_t bytes)
{
    sf_log_stretch(SF_EVENT_PICKLED, from, object ? (uint64_t)bytes : 0);
    return object;
}

PyObject *sf_pickle_dumps(PyObject *object)
{
    PyObject *arguments[] = {object, protocol};
    uint64_t from = sf_log_stretch_begin();
    return check_bytes(from, PyObject_Vectorcall(dumps, arguments, 2, NULL));
}

PyObject *sf_pickle_dumps_buffers(PyObject *object, PyObject *callback)
{
    PyObject *arguments[] = {object, protocol, callback};
    uint64_t from = sf_log_stretch_begin();
    return check_bytes(from, PyObject_Vectorcall(dumps, arguments, 2, callback_keyword));
}

PyObject *sf_pickle_loads_bytes(PyObject *bytes)
{
    uint64_t from = sf_log_stretch_begin();
    return log_loaded(from, PyObject_CallOneArg(loads, bytes), PyBytes_GET_SIZE(bytes));
}

PyObject *sf_pickle_loads_buffers(PyObject *bytes, PyObject *buffers)
{
    PyObject *arguments[] = {bytes, buffers};
    uint64_t from = sf_log_stretch_begin();
    Py_ssize_t size = PyObject_Length(bytes);
    return log_loaded(from, PyObject_Vectorcall(loads, arguments, 1, buffers_keyword), size);
}

PyObject *sf_pickle_loads_arrays(PyObject *bytes, PyObject *buffers, bool again)
{
    uint64_t from = sf_log_stretch_begin();
    PyObject *module = PyImport_ImportModule("snakefish._arrays");
    PyObject *object =
        module ? PyObject_CallMethod(module, "loads", "OOO", bytes, buffers, again ? Py_True : Py_False) : NULL;
    Py_XDECREF(module);
    return log_loaded(from, object, PyBytes_GET_SIZE(bytes));
}
