/* trace.instrument, pipes: which numbers of core/pipes a connection has, and which are told to a session. */
#include "py/base/types.h"
#include "py/trace/instrument.h"

#include "core/log/log.h"
#include "core/log/pipe_numbers.h"
#include "py/base/errors.h"

#include <unistd.h>

static PyObject *word_handle, *word_pipes; /* attributes of a connection: its descriptor; its pipes, once found */

/* Says in the trace, once in a process, that there are pipes without events. */
static void tell_full(void)
{
    static const char text[] = "trace.instrument: too many pipes, the messages of new ones are not traced";
    static pid_t told;
    if (told == getpid())
        return;
    told = getpid();
    uint32_t number = sf_log_text(text, sizeof text - 1);
    sf_log_write(SF_EVENT_MARK, SF_PHASE_INSTANT, number, 0, 0);
}

static struct sf_pipe_end find(PyObject *connection, int fd)
{
    PyObject *known = PyObject_GetAttr(connection, word_pipes);
    if (known) {
        unsigned long long both = PyLong_AsUnsignedLongLong(known);
        Py_DECREF(known);
        return (struct sf_pipe_end){(uint32_t)(both >> 32), (uint32_t)both};
    }
    PyErr_Clear();
    struct sf_pipe_end end = sf_pipe_numbers_find(fd);
    if (!end.out && !end.in) {
        if (sf_pipe_numbers_full())
            tell_full();
        return end;
    }
    PyObject *both = PyLong_FromUnsignedLongLong((unsigned long long)end.out << 32 | end.in);
    if (!both || PyObject_SetAttr(connection, word_pipes, both))
        PyErr_Clear(); /* it is looked for again */
    Py_XDECREF(both);
    return end;
}

struct sf_connection sf_connection_of(PyObject *connection)
{
    struct sf_connection none = {0, 0, -1};
    PyObject *handle = PyObject_GetAttr(connection, word_handle);
    long fd = handle && handle != Py_None ? PyLong_AsLong(handle) : -1;
    Py_XDECREF(handle);
    if (fd < 0) {
        PyErr_Clear();
        return none;
    }
    struct sf_pipe_end end = find(connection, (int)fd);
    return (struct sf_connection){end.out, end.in, (int)fd};
}

bool sf_instrument_has(Py_ssize_t count, Py_ssize_t least)
{
    if (count < least)
        PyErr_Format(PyExc_TypeError, "at least %zd arguments are wanted, not %zd", least, count);
    return count >= least;
}

static void announce(uint32_t pipe)
{
    sf_log_write(SF_EVENT_CHANNEL, SF_PHASE_INSTANT, sf_pipe_numbers_channel(pipe), sf_pipe_numbers_capacity(pipe), 0);
}

void sf_instrument_announce(void)
{
    sf_pipe_numbers_each(announce);
}

static PyObject *declare(PyObject *module, PyObject *args)
{
    (void)module;
    int reader, writer, duplex;
    if (!PyArg_ParseTuple(args, "iip:_instrument_declare", &reader, &writer, &duplex))
        return NULL;
    if (sf_pipe_numbers_declare(reader, writer, duplex) == 0) {
        struct sf_pipe_end end = sf_pipe_numbers_find(writer);
        announce(end.out);
        if (end.in != end.out)
            announce(end.in);
    }
    Py_RETURN_NONE;
}

static PyObject *uncount(PyObject *module, PyObject *descriptor)
{
    (void)module;
    long fd = PyLong_AsLong(descriptor);
    if (fd == -1 && PyErr_Occurred())
        return NULL;
    struct sf_pipe_end end = sf_pipe_numbers_find((int)fd);
    if (end.out)
        sf_pipe_numbers_read_lost(end.out);
    if (end.in)
        sf_pipe_numbers_read_lost(end.in);
    Py_RETURN_NONE;
}

static PyObject *begin(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    if (!word_handle && !(word_handle = PyUnicode_InternFromString("_handle")))
        return NULL;
    if (!word_pipes && !(word_pipes = PyUnicode_InternFromString("_snakefish_pipes")))
        return NULL;
    int error = sf_pipe_numbers_init();
    if (error)
        return sf_error(error, "cannot map memory for the counts of messages");
    Py_RETURN_NONE;
}

static PyObject *forget(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    sf_pipe_numbers_forget();
    Py_RETURN_NONE;
}

PyMethodDef sf_instrument_pipe_functions[] = {
    {"_instrument_begin", begin, METH_NOARGS, "Makes the table of pipes: before any of the other functions."},
    {"_instrument_forget", forget, METH_NOARGS, "This process counts no more."},
    {"_instrument_declare", declare, METH_VARARGS, "A new pair of descriptors: reader, writer, duplex."},
    {"_instrument_uncount", uncount, METH_O, "A descriptor goes to a process that does not count."},
    {NULL, NULL, 0, NULL},
};
