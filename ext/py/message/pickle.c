/* Pickling by pickle.dumps and pickle.loads with the highest protocol. See pickle.h. Each call is logged as a PICKLED
 * stretch. */
#include "py/message/pickle.h"

#include "core/log/log.h"

#define SPARE_LEAST_BYTES (64 << 10)
#define SPARE_MOST_BYTES (1 << 20)
#ifdef PYPY_VERSION
#define SPARES false /* its bytes objects cannot be written again */
#else
#define SPARES true
#endif

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

PyObject *sf_pickle_loads_begin(PyObject *bytes, uint64_t size)
{
    uint64_t from = sf_log_stretch_begin();
    return log_loaded(from, PyObject_CallOneArg(loads, bytes), (Py_ssize_t)size);
}

PyObject *sf_pickle_loads_bytes(PyObject *bytes)
{
    return sf_pickle_loads_begin(bytes, (uint64_t)PyBytes_GET_SIZE(bytes));
}

/* The memory of the last large pickle is kept for the next one: fresh memory costs more than the copy into it. Pickle
 * ends at its last opcode, so the bytes object may be longer than the pickle. */
static PyObject *spare; /* under the interpreter lock */

PyObject *sf_pickle_new_bytes(uint64_t size)
{
    if (spare && (uint64_t)PyBytes_GET_SIZE(spare) >= size && size > SPARE_LEAST_BYTES) {
        PyObject *bytes = spare;
        spare = NULL;
        return bytes;
    }
    return PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
}

void sf_pickle_drop_bytes(PyObject *bytes)
{
    bool worth = SPARES && Py_REFCNT(bytes) == 1 && PyBytes_GET_SIZE(bytes) > SPARE_LEAST_BYTES &&
                 PyBytes_GET_SIZE(bytes) <= SPARE_MOST_BYTES;
    if (worth && (!spare || PyBytes_GET_SIZE(spare) < PyBytes_GET_SIZE(bytes))) {
        PyObject *old = spare;
        spare = bytes;
        Py_XDECREF(old);
        return;
    }
    Py_DECREF(bytes);
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
