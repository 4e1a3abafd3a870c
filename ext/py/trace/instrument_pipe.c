/* trace.instrument, pipes: which pipes of core/log/pipe_numbers.h a connection has, and their CHANNEL events. */
#include "py/base/types.h"

#include <limits.h>

#include "core/log/log.h"
#include "core/log/pipe_numbers.h"
#include "py/base/errors.h"
#include "py/trace/instrument.h"

/* Attributes of a connection: its descriptor, and its two pipes as one int, once they are found. */
static PyObject *name_handle, *name_pipes;

static void log_pipe(uint32_t pipe)
{
    uint64_t kind = pipe == SF_PIPE_TABLE_REST ? SF_CHANNEL_REST : SF_CHANNEL_PIPE;
    sf_log_write(SF_EVENT_CHANNEL, SF_PHASE_INSTANT, sf_pipe_numbers_channel(pipe), sf_pipe_numbers_capacity(pipe),
                 kind);
}

static struct sf_pipe_end find_pipes(PyObject *connection, int fd)
{
    PyObject *known = PyObject_GetAttr(connection, name_pipes);
    struct sf_pipe_end end;
    if (known) {
        unsigned long long both = PyLong_AsUnsignedLongLong(known);
        Py_DECREF(known);
        end = (struct sf_pipe_end){(uint32_t)(both >> 32), (uint32_t)both};
        if (sf_pipe_table_is_current(end.out) && sf_pipe_table_is_current(end.in))
            return end;
    }
    PyErr_Clear();
    Py_BEGIN_ALLOW_THREADS; /* it may take long */
    end = sf_pipe_table_find(fd);
    Py_END_ALLOW_THREADS;
    if (!end.out && !end.in)
        return end;
    /* Those that are not counted were not declared when they were made. */
    if (end.out && sf_pipe_numbers_holds(end.out) < 0)
        log_pipe(end.out);
    if (end.in && end.in != end.out && sf_pipe_numbers_holds(end.in) < 0)
        log_pipe(end.in);
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

void sf_instrument_log_pipes(void)
{
    sf_pipe_table_each(log_pipe);
}

static PyObject *declare_pipe(PyObject *Py_UNUSED(module), PyObject *args)
{
    int reader, writer, duplex;
    if (!PyArg_ParseTuple(args, "iip:_instrument_declare", &reader, &writer, &duplex))
        return NULL;
    int error;
    Py_BEGIN_ALLOW_THREADS; /* it may take long */
    error = sf_pipe_table_declare(reader, writer, duplex);
    Py_END_ALLOW_THREADS;
    if (!error) {
        struct sf_pipe_end end = sf_pipe_table_find(writer);
        log_pipe(end.out);
        if (end.in != end.out)
            log_pipe(end.in);
    }
    Py_RETURN_NONE;
}

/* ---- descriptors that are passed on ---- */

/* Stops the counts of a descriptor, or of all in a sequence, or in sequences in it. What else is in it is left to those
 * who get it after us. 0, or -1 with an exception that reading a sequence has raised. */
static int stop_each(PyObject *descriptors, int depth)
{
    if (PyLong_Check(descriptors)) {
        long fd = PyLong_AsLong(descriptors);
        if (fd == -1 && PyErr_Occurred())
            PyErr_Clear();
        else if (fd >= 0 && fd <= INT_MAX)
            sf_pipe_numbers_stop_fd((int)fd);
    } else if (depth > 0 && PySequence_Check(descriptors) && !PyBytes_Check(descriptors) &&
               !PyUnicode_Check(descriptors)) {
        PyObject *items = PySequence_Tuple(descriptors); /* a list may be changed meanwhile */
        int failed = items ? 0 : -1;
        for (Py_ssize_t i = 0; !failed && i < PyTuple_Size(items); i++)
            failed = stop_each(PyTuple_GetItem(items, i), depth - 1);
        Py_XDECREF(items);
        return failed;
    }
    return 0;
}

/* descriptors, whether an exec follows */
static PyObject *pass_on(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *descriptors;
    int inherits;
    if (!PyArg_ParseTuple(args, "Op:_instrument_pass_on", &descriptors, &inherits))
        return NULL;
    if (stop_each(descriptors, 3))
        return NULL;
    if (inherits)
        sf_pipe_numbers_stop_inherited();
    Py_RETURN_NONE;
}

static PyObject *counts(PyObject *Py_UNUSED(module), PyObject *pid)
{
    long number = PyLong_Check(pid) ? PyLong_AsLong(pid) : 0;
    if (number == -1 && PyErr_Occurred())
        PyErr_Clear();
    return PyBool_FromLong(number > 0 && number <= INT_MAX && sf_pipe_numbers_are_shared_with((pid_t)number));
}

static PyObject *begin_counting(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    if (!name_handle && !(name_handle = PyUnicode_InternFromString("_handle")))
        return NULL;
    if (!name_pipes && !(name_pipes = PyUnicode_InternFromString("_snakefish_pipes")))
        return NULL;
    int error = sf_pipe_table_init();
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
    {"_instrument_pass_on", pass_on, METH_VARARGS,
     "Descriptors are passed to a process that does not count, with inherits=True also those that an exec leaves open: "
     "their messages have no numbers from now on. descriptors: an int, or a sequence with ints in it; inherits."},
    {"_instrument_counts", counts, METH_O, "Whether the process with this pid shares the counts of messages."},
    {NULL, NULL, 0, NULL},
};
