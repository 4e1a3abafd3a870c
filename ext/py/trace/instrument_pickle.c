/* trace.instrument, pickling: how long it took, and how many bytes there were.
 *
 * An executor pickles each task, and its worker the result, as an object of its own that has the number of the task, a
 * carrier. Where such an object was pickled or unpickled, CARRIED follows its PICKLED at once and says so. The table of
 * their types is written and read with the interpreter lock held. */
#include "py/base/types.h"

#include "core/log/log.h"
#include "py/trace/instrument.h"

enum { CARRIERS = 8 };

static struct carrier {
    PyObject *type, *number; /* owned; the number is the attribute with this name. NULL: none */
    bool is_result;          /* or arguments */
} carriers[CARRIERS];

static uint64_t length_of(PyObject *buffer)
{
    Py_ssize_t bytes = PyObject_Size(buffer);
    if (bytes < 0)
        PyErr_Clear();
    return bytes < 0 ? 0 : (uint64_t)bytes;
}

static const struct carrier *carrier_of(PyObject *object)
{
    for (int i = 0; object && i < CARRIERS; i++)
        if (carriers[i].type == (PyObject *)Py_TYPE(object))
            return &carriers[i];
    return NULL;
}

/* The number of its task; -1: it has none. */
static long long task_in(const struct carrier *carrier, PyObject *object)
{
    PyObject *value = PyObject_GetAttr(object, carrier->number);
    long long number = value && PyLong_Check(value) ? PyLong_AsLongLong(value) : -1;
    Py_XDECREF(value);
    PyErr_Clear();
    return number;
}

/* PICKLED, and CARRIED right behind it: nothing may be written in between, so the number is read before. */
static void write_pickled(uint64_t from, PyObject *pickle, PyObject *object, bool unpickled)
{
    const struct carrier *carrier = pickle ? carrier_of(object) : NULL;
    long long number = carrier ? task_in(carrier, object) : -1;
    bool is_result = carrier && carrier->is_result;
    sf_log_stretch(SF_EVENT_PICKLED, from, pickle ? length_of(pickle) : 0);
    if (number >= 0)
        sf_log_write(SF_EVENT_CARRIED, SF_PHASE_INSTANT, 0, (uint64_t)number,
                     is_result ? (unpickled ? SF_CARRIED_RESULT_IN : SF_CARRIED_RESULT_OUT)
                               : (unpickled ? SF_CARRIED_ARGUMENTS_IN : SF_CARRIED_ARGUMENTS_OUT));
}

/* method, object, ...: returns the pickle */
static PyObject *call_pickle(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    if (!sf_instrument_has(count, 1))
        return NULL;
    uint64_t from = sf_log_stretch_begin();
    PyObject *pickle = sf_instrument_call(args[0], args + 1, count - 1, keywords);
    if (from)
        write_pickled(from, pickle, count > 1 ? args[1] : NULL, false);
    return pickle;
}

/* method, pickle, ...: returns the object */
static PyObject *call_unpickle(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    if (!sf_instrument_has(count, 1))
        return NULL;
    uint64_t from = sf_log_stretch_begin();
    PyObject *object = sf_instrument_call(args[0], args + 1, count - 1, keywords);
    if (from)
        write_pickled(from, object && count > 1 ? args[1] : NULL, object, true);
    return object;
}

/* type, the name of the attribute that has the number, whether it carries a result */
static PyObject *add_carrier(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *type, *number;
    int is_result;
    if (!PyArg_ParseTuple(args, "O!Up:_instrument_add_carrier", &PyType_Type, &type, &number, &is_result))
        return NULL;
    for (int i = 0; i < CARRIERS; i++)
        if (!carriers[i].type) {
            carriers[i] = (struct carrier){Py_NewRef(type), Py_NewRef(number), is_result};
            Py_RETURN_NONE;
        }
    PyErr_SetString(PyExc_RuntimeError, "there are too many kinds of tasks");
    return NULL;
}

static PyObject *remove_carrier(PyObject *Py_UNUSED(module), PyObject *type)
{
    for (int i = 0; i < CARRIERS; i++)
        if (carriers[i].type == type) {
            Py_CLEAR(carriers[i].type);
            Py_CLEAR(carriers[i].number);
        }
    Py_RETURN_NONE;
}

PyMethodDef sf_instrument_pickle_functions[] = {
    {"_instrument_pickle", SF_WRAPPER(call_pickle), "method, object, ...: returns the pickle."},
    {"_instrument_unpickle", SF_WRAPPER(call_unpickle), "method, pickle, ...: returns the object."},
    {"_instrument_add_carrier", add_carrier, METH_VARARGS,
     "Objects of this type carry a task's arguments, or its result: type, the attribute that is its number, "
     "is_result."},
    {"_instrument_remove_carrier", remove_carrier, METH_O, "No longer: type."},
    {NULL, NULL, 0, NULL},
};
