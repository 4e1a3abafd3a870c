/* The C side of snakefish.trace: joining a session, marks and spans. snakefish/trace.py starts the collector.
 *
 * A text is written to the log once; `texts` maps it to its number there. Numbers are void in another log (after a
 * fork, in another session), which sf_log_texts_era() tells. */
#include "py/types.h"

#include "core/log.h"
#include "core/ring.h"
#include "py/arguments.h"
#include "py/errors.h"

#include <errno.h>
#include <stdbool.h>

static PyObject *texts;
static uint32_t texts_era;

/* Whether a name can be written: the same answer with tracing on and off. If not, an exception. */
static bool check_name(PyObject *text)
{
    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "name must be a str, not %.200s", Py_TYPE(text)->tp_name);
        return false;
    }
    if (PyUnicode_AsUTF8(text))
        return true;
    if (PyErr_ExceptionMatches(PyExc_UnicodeError))
        PyErr_SetString(PyExc_ValueError, "name must be text that can be written as UTF-8");
    return false;
}

/* Some of `texts` by their address, which is where a literal stands each time. */
#define RECENT 16
static struct {
    PyObject *text; /* owned */
    uint32_t number;
} recent[RECENT];

static inline size_t place_of(PyObject *text)
{
    return ((uintptr_t)text >> 4) % RECENT;
}

static void forget_texts(void)
{
    PyDict_Clear(texts);
    for (size_t i = 0; i < RECENT; i++)
        Py_CLEAR(recent[i].text);
    texts_era = sf_log_texts_era();
}

/* The text's number in this log, by `texts`. 0, or -1 with an exception. */
static int look_up(PyObject *text, uint32_t *number)
{
    PyObject *known = PyDict_GetItemWithError(texts, text);
    if (known) {
        *number = (uint32_t)PyLong_AsUnsignedLong(known);
        return 0;
    }
    if (PyErr_Occurred())
        return -1;
    Py_ssize_t bytes;
    const char *utf8 = PyUnicode_AsUTF8AndSize(text, &bytes);
    if (!utf8)
        return -1;
    *number = sf_log_text(utf8, (uint64_t)bytes);
    PyObject *fresh = PyLong_FromUnsignedLong(*number);
    int failed = !fresh || PyDict_SetItem(texts, text, fresh);
    Py_XDECREF(fresh);
    return failed ? -1 : 0;
}

/* The same. */
static inline int number_of(PyObject *text, uint32_t *number)
{
    if (!texts && !(texts = PyDict_New()))
        return -1;
    if (texts_era != sf_log_texts_era())
        forget_texts();
    size_t place = place_of(text);
    if (recent[place].text == text) {
        *number = recent[place].number;
        return 0;
    }
    if (look_up(text, number))
        return -1;
    PyObject *before = recent[place].text;
    recent[place].text = Py_NewRef(text);
    recent[place].number = *number;
    Py_XDECREF(before); /* may run a __del__ that comes here */
    return 0;
}

/* The text is known to be one. 0, or -1 with an exception. */
static inline int write_text_event(PyObject *text, enum sf_event_kind kind, enum sf_phase phase)
{
    uint32_t number;
    if (!sf_log_enabled())
        return 0;
    if (number_of(text, &number))
        return -1;
    sf_log_write(kind, phase, number, 0, 0);
    return 0;
}

static PyObject *mark(PyObject *module, PyObject *text)
{
    (void)module;
    if (!check_name(text) || write_text_event(text, SF_EVENT_MARK, SF_PHASE_INSTANT))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *enabled(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyBool_FromLong(sf_log_enabled());
}

/* Channels that were made before the session began have to be told. */
static void announce(struct sf_ring *ring, void *context)
{
    (void)context;
    if (sf_ring_number(ring))
        sf_log_write(SF_EVENT_CHANNEL, SF_PHASE_INSTANT, sf_ring_number(ring), sf_ring_capacity(ring), 0);
}

static PyObject *attach(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *directory;
    const char *name;
    if (!PyArg_ParseTuple(args, "O&s:_trace_attach", PyUnicode_FSConverter, &directory, &name))
        return NULL;
    sf_log_set_name(name);
    int error = sf_log_attach(PyBytes_AS_STRING(directory));
    if (!error) {
        sf_ring_each(announce, NULL);
        sf_instrument_announce();
    }
    if (error == -EPERM)
        PyErr_Format(
            PyExc_RuntimeError,
            "%R is no trace session of this user: it must be a directory, not a link, owned by the user and "
            "closed to others",
            directory);
    else if (error == -EPROTO)
        PyErr_Format(PyExc_RuntimeError, "%R holds no trace session of this version of snakefish", directory);
    else if (error == -ESHUTDOWN)
        PyErr_Format(PyExc_RuntimeError, "the trace session in %R is over", directory);
    else if (error == -EALREADY)
        PyErr_SetString(PyExc_RuntimeError, "tracing is on already: trace.stop() first");
    else if (error)
        sf_error(error, "cannot join the trace session");
    Py_DECREF(directory);
    if (error)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *detach(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    sf_log_detach();
    Py_RETURN_NONE;
}

static PyObject *request_stop(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    sf_log_request_stop();
    Py_RETURN_NONE;
}

static PyObject *directory(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyUnicode_DecodeFSDefault(sf_log_directory());
}

PyMethodDef sf_trace_functions[] = {
    {"mark", mark, METH_O,
     "mark(name, /)\n--\n\nWrites a mark with that name (a str) into the trace; nothing when tracing is off. Does "
     "not block."},
    {"enabled", enabled, METH_NOARGS, "enabled()\n--\n\nTrue while this process writes events."},
    {"_trace_attach", attach, METH_VARARGS,
     "Joins the session in a directory; the second argument names this process."},
    {"_trace_detach", detach, METH_NOARGS, "Leaves the session."},
    {"_trace_request_stop", request_stop, METH_NOARGS, "Asks the collector to finish."},
    {"_trace_directory", directory, METH_NOARGS, "The session's directory, '' if there is none."},
    {NULL, NULL, 0, NULL},
};

/* ---- trace.span(name): a context manager ---- */

struct span {
    PyObject_HEAD PyObject *name; /* a text that can be written; NULL: __init__ was not called, or failed */
};

static int span_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"name", NULL};
    PyObject *name;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:span", keywords, &name) || !check_name(name))
        return -1;
    Py_XSETREF(((struct span *)self)->name, Py_NewRef(name));
    return 0;
}

#ifndef PYPY_VERSION
/* span("name"), without a tuple for its arguments. A span has nothing but its name, so one serves everybody: with a
 * literal for its name, where that stands in a loop, it is found by the literal's address. */
static PyObject *span_call(PyObject *type, PyObject *const *args, size_t count, PyObject *keywords)
{
    static struct span *kept[RECENT]; /* owned */
    static const char *const names[] = {"name"};
    PyObject *given[1];
    if (!keywords && PyVectorcall_NARGS(count) == 1)
        given[0] = args[0];
    else if (sf_argument_fast("span", names, 1, 1, args, PyVectorcall_NARGS(count), keywords, given))
        return NULL;
    size_t place = place_of(given[0]);
    if (kept[place] && kept[place]->name == given[0])
        return Py_NewRef((PyObject *)kept[place]);
    if (!check_name(given[0]))
        return NULL;
    struct span *span = PyObject_New(struct span, (PyTypeObject *)type);
    if (!span)
        return NULL;
    span->name = Py_NewRef(given[0]);
    Py_XSETREF(kept[place], (struct span *)Py_NewRef((PyObject *)span));
    return (PyObject *)span;
}
#endif

static int span_write(PyObject *self, enum sf_phase phase)
{
    PyObject *name = ((struct span *)self)->name;
    if (name)
        return write_text_event(name, SF_EVENT_SPAN, phase);
    PyErr_SetString(PyExc_RuntimeError, "__init__ was not called, or failed");
    return -1;
}

static PyObject *span_enter(PyObject *self, PyObject *unused)
{
    (void)unused;
    return span_write(self, SF_PHASE_BEGIN) ? NULL : Py_NewRef(self);
}

static PyObject *span_exit(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)args;
    (void)count;
    if (span_write(self, SF_PHASE_END))
        return NULL;
    Py_RETURN_FALSE;
}

static void span_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(((struct span *)self)->name);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef span_methods[] = {
    {"__enter__", span_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))span_exit, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(span_doc, "span(name)\n--\n\nA context manager that writes the begin and the end of its block, with "
                       "that name (a str), into\n"
                       "the trace; nothing when tracing is off. May be used again, and nested.");

static PyType_Slot span_slots[] = {
    {Py_tp_doc, (void *)span_doc}, {Py_tp_new, PyType_GenericNew}, {Py_tp_init, span_init},
    {Py_tp_dealloc, span_dealloc}, {Py_tp_methods, span_methods},  {0, NULL},
};

static PyType_Spec span_spec = {
    .name = "snakefish.trace.span",
    .basicsize = sizeof(struct span),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = span_slots,
};

PyObject *sf_span_type(void)
{
    PyObject *type = sf_type_from_spec(&span_spec);
#ifndef PYPY_VERSION
    if (type)
        ((PyTypeObject *)type)->tp_vectorcall = span_call;
#endif
    return type;
}
