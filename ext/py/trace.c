/* The C side of snakefish.trace: joining a session, marks and spans. snakefish/trace.py starts the collector.
 *
 * A text is written to the log once; `texts` maps it to its number there. Numbers are void in another log (after a fork,
 * in another session), which sf_log_texts_era() tells. */
#include "py/types.h"

#include "core/log.h"
#include "core/ring.h"
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

/* The text's number in this log. 0, or -1 with an exception. */
static int number_of(PyObject *text, uint32_t *number)
{
    if (!texts && !(texts = PyDict_New()))
        return -1;
    if (texts_era != sf_log_texts_era()) {
        PyDict_Clear(texts);
        texts_era = sf_log_texts_era();
    }
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

static PyObject *write_text_event(PyObject *text, enum sf_event_kind kind, enum sf_phase phase)
{
    uint32_t number;
    if (!check_name(text))
        return NULL;
    if (!sf_log_enabled())
        Py_RETURN_NONE;
    if (number_of(text, &number))
        return NULL;
    sf_log_write(kind, phase, number, 0, 0);
    Py_RETURN_NONE;
}

static PyObject *mark(PyObject *module, PyObject *text)
{
    (void)module;
    return write_text_event(text, SF_EVENT_MARK, SF_PHASE_INSTANT);
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
        PyErr_Format(PyExc_RuntimeError,
                     "%R is no trace session of this user: it must be a directory, not a link, owned by the user and "
                     "closed to others", directory);
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
     "mark(name, /)\n--\n\nWrites a mark with that name (a str) into the trace; nothing when tracing is off. Does not block."},
    {"enabled", enabled, METH_NOARGS, "enabled()\n--\n\nTrue while this process writes events."},
    {"_trace_attach", attach, METH_VARARGS, "Joins the session in a directory; the second argument names this process."},
    {"_trace_detach", detach, METH_NOARGS, "Leaves the session."},
    {"_trace_request_stop", request_stop, METH_NOARGS, "Asks the collector to finish."},
    {"_trace_directory", directory, METH_NOARGS, "The session's directory, '' if there is none."},
    {NULL, NULL, 0, NULL},
};

/* ---- trace.span(name): a context manager ---- */

struct span {
    PyObject_HEAD
    PyObject *name;
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

static PyObject *span_enter(PyObject *self, PyObject *unused)
{
    (void)unused;
    PyObject *name = ((struct span *)self)->name;
    PyObject *done = write_text_event(name ? name : Py_None, SF_EVENT_SPAN, SF_PHASE_BEGIN);
    if (!done)
        return NULL;
    Py_DECREF(done);
    return Py_NewRef(self);
}

static PyObject *span_exit(PyObject *self, PyObject *args)
{
    (void)args;
    PyObject *name = ((struct span *)self)->name;
    PyObject *done = write_text_event(name ? name : Py_None, SF_EVENT_SPAN, SF_PHASE_END);
    if (!done)
        return NULL;
    Py_DECREF(done);
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
    {"__exit__", span_exit, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(span_doc, "span(name)\n--\n\nA context manager that writes the begin and the end of its block, with that name (a str), into\n"
                       "the trace; nothing when tracing is off. May be used again, and nested.");

static PyType_Slot span_slots[] = {
    {Py_tp_doc, (void *)span_doc},         {Py_tp_new, PyType_GenericNew}, {Py_tp_init, span_init},
    {Py_tp_dealloc, span_dealloc},         {Py_tp_methods, span_methods},  {0, NULL},
};

PyType_Spec sf_span_spec = {
    .name = "snakefish.trace.span",
    .basicsize = sizeof(struct span),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = span_slots,
};
