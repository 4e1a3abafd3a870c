/* Pickling by pickle.dumps and pickle.loads with the highest protocol. See pickle.h. Each call is logged as a PICKLED
 * stretch. */
#include "py/message/pickle.h"

#include "core/log/log.h"

#ifdef PYPY_VERSION
#define PICKLE "pickle"
#else
#define PICKLE "_pickle" /* the same functions: pickle takes them from there, and imports more besides */
#endif

static PyObject *dumps, *loads, *highest_protocol, *callback_keyword, *buffers_keyword;

/* A part that is there stays, so that a call that a signal handler interrupts can be repeated. */
static int import_pickle(void)
{
    PyObject *module = PyImport_ImportModule(PICKLE);
    if (!module)
        return -1;
    if (!highest_protocol)
        highest_protocol = PyLong_FromLong(-1);
    if (!callback_keyword)
        callback_keyword = Py_BuildValue("(s)", "buffer_callback");
    if (!buffers_keyword)
        buffers_keyword = Py_BuildValue("(s)", "buffers");
    if (!loads)
        loads = PyObject_GetAttrString(module, "loads");
    if (!dumps && loads && highest_protocol && callback_keyword && buffers_keyword)
        dumps = PyObject_GetAttrString(module, "dumps"); /* last: sf_pickle_import looks at it */
    Py_DECREF(module);
    return dumps ? 0 : -1;
}

int sf_pickle_import(void)
{
    return dumps ? 0 : import_pickle();
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
    if (sf_pickle_import())
        return NULL;
    PyObject *arguments[] = {object, highest_protocol};
    uint64_t from = sf_log_stretch_begin();
    return check_bytes(from, PyObject_Vectorcall(dumps, arguments, 2, NULL));
}

PyObject *sf_pickle_dumps_buffers(PyObject *object, PyObject *callback)
{
    if (sf_pickle_import())
        return NULL;
    PyObject *arguments[] = {object, highest_protocol, callback};
    uint64_t from = sf_log_stretch_begin();
    return check_bytes(from, PyObject_Vectorcall(dumps, arguments, 2, callback_keyword));
}

PyObject *sf_pickle_loads(const void *data, Py_ssize_t bytes)
{
    if (sf_pickle_import())
        return NULL;
    uint64_t from = sf_log_stretch_begin();
    PyObject *view = PyMemoryView_FromMemory((char *)data, bytes, PyBUF_READ);
    if (!view)
        return NULL;
    PyObject *object = log_loaded(from, PyObject_CallOneArg(loads, view), bytes);
    /* raises if the object keeps a view of this memory, which Python does not own */
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
    if (sf_pickle_import())
        return NULL;
    uint64_t from = sf_log_stretch_begin();
    return log_loaded(from, PyObject_CallOneArg(loads, bytes), PyBytes_GET_SIZE(bytes));
}

PyObject *sf_pickle_loads_buffers(PyObject *bytes, PyObject *buffers)
{
    if (sf_pickle_import())
        return NULL;
    PyObject *arguments[] = {bytes, buffers};
    uint64_t from = sf_log_stretch_begin();
    Py_ssize_t size = PyObject_Length(bytes);
    return log_loaded(from, PyObject_Vectorcall(loads, arguments, 1, buffers_keyword), size);
}
