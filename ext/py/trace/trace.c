/* snakefish.trace in C: joining a session, and marks. Spans are in span.c; collector.c starts the collector. */
#include "py/base/types.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>

#include "core/log/log.h"
#include "core/log/usage.h"
#include "core/ring/ring.h"
#include "py/base/arguments.h"
#include "py/base/errors.h"
#include "py/trace/channels.h"
#include "py/trace/collector.h"
#include "py/trace/instrument.h"
#include "py/trace/texts.h"

static PyObject *mark(PyObject *Py_UNUSED(module), PyObject *text)
{
    if (!sf_texts_check(text) || sf_texts_write(text, SF_EVENT_MARK, SF_PHASE_INSTANT, 0, 0))
        return NULL;
    Py_RETURN_NONE;
}

/* What a shared variable has cost: ext/snakefish/_merge_trace.py. A name that cannot be written is left out, because a
 * trace must not end what the program does. */
static PyObject *variable(PyObject *Py_UNUSED(module), PyObject *args)
{
    int kind;
    PyObject *name;
    unsigned long long a, b;
    if (!PyArg_ParseTuple(args, "iOKK:_trace_variable", &kind, &name, &a, &b))
        return NULL;
    assert(kind == SF_EVENT_EXTRACTED || kind == SF_EVENT_MERGED);
    if (name == Py_None || !sf_texts_check(name) || sf_texts_write(name, kind, SF_PHASE_INSTANT, a, b)) {
        PyErr_Clear();
        sf_log_write(kind, SF_PHASE_INSTANT, 0, a, b);
    }
    Py_RETURN_NONE;
}

static PyObject *enabled(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    return PyBool_FromLong(sf_log_enabled());
}

/* For Channels that were made before the session began. */
static void log_channel(struct sf_ring *ring, void *context)
{
    (void)context;
    if (sf_ring_number(ring))
        sf_channels_log(ring);
}

static PyObject *attach(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *directory;
    const char *name;
    if (!PyArg_ParseTuple(args, "O&s:_trace_attach", PyUnicode_FSConverter, &directory, &name))
        return NULL;
    sf_log_set_name(name);
    int error = sf_log_attach(PyBytes_AS_STRING(directory));
    if (!error) {
        sf_usage_begin();
        sf_ring_each(log_channel, NULL);
        sf_instrument_log_pipes();
    }
    if (error == -EPERM)
        PyErr_Format(PyExc_RuntimeError,
                     "%R is no trace session of this user: it must be a directory, not a link, owned by the user, "
                     "and nobody else may access it",
                     directory);
    else if (error == -EPROTO)
        PyErr_Format(PyExc_RuntimeError, "%R holds no trace session of this version of snakefish", directory);
    else if (error == -ESHUTDOWN)
        PyErr_Format(PyExc_RuntimeError, "the trace session in %R is over", directory);
    else if (error == -EALREADY)
        PyErr_SetString(PyExc_RuntimeError, "tracing is on already: call trace.stop() first");
    else if (error)
        sf_error(error, "cannot join the trace session");
    Py_DECREF(directory);
    if (error)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *rename_process(PyObject *Py_UNUSED(module), PyObject *text)
{
    const char *name = PyUnicode_AsUTF8(text);
    if (!name)
        return NULL;
    sf_log_rename(name);
    Py_RETURN_NONE;
}

static PyObject *directory(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    return PyUnicode_DecodeFSDefault(sf_log_directory());
}

static PyObject *forks(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    return PyLong_FromUnsignedLong(sf_log_forks());
}

PyMethodDef sf_trace_functions[] = {
    {"mark", mark, METH_O,
     "mark(name, /)\n--\n\nWrites a mark with that name (a str) into the trace; does nothing when tracing is off.\n"
     "Does not block. TypeError when name is no str, ValueError when UTF-8 cannot encode it."},
    {"enabled", enabled, METH_NOARGS, "enabled()\n--\n\nWhether this process writes events."},
    {"_trace_variable", variable, METH_VARARGS, "Writes what a shared variable, or None, has cost: kind, name, a, b."},
    {"_trace_attach", attach, METH_VARARGS,
     "Joins the session in a directory; the second argument names this process."},
    {"_trace_rename", rename_process, METH_O, "Gives this process another name."},
    {"_trace_directory", directory, METH_NOARGS, "The session's directory, '' if there is none."},
    {"_trace_forks", forks, METH_NOARGS, "How many forks lie before this process: another number than its ancestors'."},
    {"_trace_launch", sf_collector_launch, METH_VARARGS, "Starts the collector; see ext/py/trace/collector.h."},
    {"_trace_go", sf_collector_go, METH_O, "Lets it collect."},
    {"_trace_session", sf_collector_session, METH_NOARGS, "The session whose collector this process has started."},
    {"_trace_finish", sf_collector_finish, METH_O, "Asks the collector to finish, and waits for it."},
    {"_trace_abandon", sf_collector_abandon, METH_O, "Takes back what was started."},
    {NULL, NULL, 0, NULL},
};
