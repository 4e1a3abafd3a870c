/* trace.instrument, pipes: which pipes of core/log/pipe_numbers.h a connection has, and their CHANNEL events. */
#include "py/base/types.h"

#include <unistd.h>

#include "core/log/log.h"
#include "core/log/pipe_numbers.h"
#include "py/base/errors.h"
#include "py/trace/instrument.h"

/* Attributes of a connection: its descriptor, and its two pipes as one int, once they are found. */
static PyObject *name_handle, *name_pipes;

/* Writes a mark, once in each process, that there are pipes without events. */
static void log_full(void)
{
    static const char text[] = "trace.instrument: too many pipes, the messages of new ones are not traced";
    static pid_t logged_by;
    if (logged_by == getpid())
        return;
    logged_by = getpid();
    uint32_t number = sf_log_text(text, sizeof text - 1);
    sf_log_write(SF_EVENT_MARK, SF_PHASE_INSTANT, number, 0, 0);
}

static struct sf_pipe_end find_pipes(PyObject *connection, int fd)
{
    PyObject *known = PyObject_GetAttr(connection, name_pipes);
    if (known) {
        unsigned long long both = PyLong_AsUnsignedLongLong(known);
        Py_DECREF(known);
        return (struct sf_pipe_end){(uint32_t)(both >> 32), (uint32_t)both};
    }
    PyErr_Clear();
    struct sf_pipe_end end = sf_pipe_numbers_find(fd);
    if (!end.out && !end.in) {
        if (sf_pipe_numbers_full())
            log_full();
        return end;
    }
    PyObject *both = PyLong_FromUnsignedLongLong((unsigned long long)end.out << 32 | end.in);
    if (!both || PyObject_SetAttr(connection, name_pipes, both))
        PyErr_Clear(); /* the next call looks for it again */
    Py_XDECREF(both);
    return end;
}

struct sf_connection sf_connection_of(PyObject *connection)
{
    struct sf_connection none = {0, 0, -1};
    PyObject *handle = PyObject_GetAttr(connection, name_handle);
    long fd = handle && handle != Py_None ? PyLong_AsLong(handle) : -1;
    Py_XDECREF(handle);
    if (fd < 0) {
        PyErr_Clear();
        return none;
    }
    struct sf_pipe_end end = find_pipes(connection, (int)fd);
    return (struct sf_connection){end.out, end.in, (int)fd};
}

bool sf_instrument_has(Py_ssize_t count, Py_ssize_t least)
{
    if (count < least)
        PyErr_Format(PyExc_TypeError, "at least %zd arguments are needed, not %zd", least, count);
    return count >= least;
}

static void log_pipe(uint32_t pipe)
{
    sf_log_write(SF_EVENT_CHANNEL, SF_PHASE_INSTANT, sf_pipe_numbers_channel(pipe), sf_pipe_numbers_capacity(pipe), 0);
}

void sf_instrument_log_pipes(void)
{
    sf_pipe_numbers_each(log_pipe);
}

static PyObject *declare_pipe(PyObject *Py_UNUSED(module), PyObject *args)
{
    int reader, writer, duplex;
    if (!PyArg_ParseTuple(args, "iip:_instrument_declare", &reader, &writer, &duplex))
        return NULL;
    if (sf_pipe_numbers_declare(reader, writer, duplex) == 0) {
        struct sf_pipe_end end = sf_pipe_numbers_find(writer);
        log_pipe(end.out);
        if (end.in != end.out)
            log_pipe(end.in);
    }
    Py_RETURN_NONE;
}

static PyObject *uncount_pipe(PyObject *Py_UNUSED(module), PyObject *descriptor)
{
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

static PyObject *begin_counting(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    if (!name_handle && !(name_handle = PyUnicode_InternFromString("_handle")))
        return NULL;
    if (!name_pipes && !(name_pipes = PyUnicode_InternFromString("_snakefish_pipes")))
        return NULL;
    int error = sf_pipe_numbers_init();
    if (error)
        return sf_error(error, "cannot map memory for the counts of messages");
    Py_RETURN_NONE;
}

static PyObject *end_counting(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    sf_pipe_numbers_forget();
    Py_RETURN_NONE;
}

PyMethodDef sf_instrument_pipe_functions[] = {
    {"_instrument_begin", begin_counting, METH_NOARGS,
     "Makes the table of pipes. To be called before the other functions."},
    {"_instrument_forget", end_counting, METH_NOARGS,
     "From now on messages have no numbers: this process does not count them any more."},
    {"_instrument_declare", declare_pipe, METH_VARARGS, "Registers a new pair of descriptors: reader, writer, duplex."},
    {"_instrument_uncount", uncount_pipe, METH_O,
     "A descriptor is passed to a process that does not count: its messages have no numbers from now on."},
    {NULL, NULL, 0, NULL},
};
