/* trace.instrument, processes and Pools: spans around calls, waits, tasks. These calls are rare, so a few general
 * functions serve all of them. As in instrument_message.c, Python calls one C function for each wrapped call. */
#include "py/base/types.h"

#include "core/log/log.h"
#include "core/log/pipe_numbers.h"
#include "core/log/usage.h"
#include "py/trace/instrument.h"
#include "py/trace/instrument_call.h"

/* The callers are our own Python files, whose ints are in range. 0, or -1 with an exception. */
static int parse_integers(PyObject *const *args, int wanted, long long *out)
{
    for (int i = 0; i < wanted; i++) {
        out[i] = PyLong_AsLongLong(args[i]);
        if (out[i] == -1 && PyErr_Occurred())
            return -1;
    }
    return 0;
}

static PyObject *write_event(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    long long given[5]; /* kind, phase, object, a, b */
    if (!sf_instrument_has(count, 5) || parse_integers(args, 5, given))
        return NULL;
    sf_log_write_fenced((enum sf_event_kind)given[0], (enum sf_phase)given[1], (uint32_t)given[2], (uint64_t)given[3],
                        (uint64_t)given[4]);
    Py_RETURN_NONE;
}

/* Calls ended(error or None), which returns (a, b) for the END. 0, or -1 with what ended raised. */
static int end_values(PyObject *ended, PyObject *error, long long *values)
{
    PyObject *pair = PyObject_CallOneArg(ended, error ? error : Py_None);
    int failed = !pair || !PyArg_ParseTuple(pair, "LL", &values[0], &values[1]);
    Py_XDECREF(pair);
    return failed ? -1 : 0;
}

/* method, kind, object, a, b, ended, ... */
static PyObject *call_in_span(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    long long given[4], end[2] = {0, 0};
    if (!sf_instrument_has(count, 6) || parse_integers(args + 1, 4, given))
        return NULL;
    enum sf_event_kind kind = (enum sf_event_kind)given[0];
    uint32_t object = (uint32_t)given[1], era = sf_call_era();
    sf_log_write_fenced(kind, SF_PHASE_BEGIN, object, (uint64_t)given[2], (uint64_t)given[3]);
    PyObject *result = sf_instrument_call(args[0], args + 6, count - 6, keywords);
    PyObject *error = result ? NULL : sf_take_raised();
    int failed = end_values(args[5], error, end);
    if (era == sf_call_era())
        sf_log_write_fenced(kind, SF_PHASE_END, object, (uint64_t)end[0], (uint64_t)end[1]);
    if (failed) { /* most likely a signal handler raised: its exception replaces the other, as in a finally block */
        Py_CLEAR(result);
        Py_XDECREF(error);
    } else if (error) {
        sf_put_raised(error);
    }
    return result;
}

/* sf_call_era() at the BEGIN of the WAIT in which call_in_wait has this thread; 0: it is in none. A wait is often made
 * of other waits, and the outermost one says what it is for. */
static __thread uint32_t wait_era __attribute__((tls_model("initial-exec")));

PyObject *sf_instrument_call_waiting(enum sf_wait reason, uint64_t number, PyObject *method, PyObject *const *args,
                                     Py_ssize_t count, PyObject *keywords)
{
    uint32_t era = sf_call_era(), before = wait_era;
    if (sf_call_is_waiting() || wait_era == era)
        era = 0; /* no WAIT is written, because one is open */
    if (era) {
        wait_era = era;
        sf_log_write(SF_EVENT_WAIT, SF_PHASE_BEGIN, 0, reason, number);
    }
    PyObject *result = sf_instrument_call(method, args, count, keywords);
    if (era && era == sf_call_era())
        sf_log_write(SF_EVENT_WAIT, SF_PHASE_END, 0, reason, number);
    wait_era = before;
    return result;
}

/* method, reason, what it waits for (a connection, a task's number, or None), ... */
static PyObject *call_in_wait(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    long long reason;
    uint64_t number = 0;
    if (!sf_instrument_has(count, 3) || parse_integers(args + 1, 1, &reason))
        return NULL;
    PyObject *what = args[2];
    if (PyLong_Check(what)) {
        number = PyLong_AsUnsignedLong(what);
    } else if (what != Py_None) {
        struct sf_connection connection = sf_connection_of(what);
        uint32_t pipe = reason == SF_WAIT_ROOM ? connection.out : connection.in;
        number = pipe ? sf_pipe_numbers_channel(pipe) : 0;
        if (!pipe && reason == SF_WAIT_ROOM) /* of a pipe that is not known nothing is said */
            return sf_instrument_call(args[0], args + 3, count - 3, keywords);
    }
    return sf_instrument_call_waiting((enum sf_wait)reason, number, args[0], args + 3, count - 3, keywords);
}

/* method, task, its name, ... */
static PyObject *call_forking(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    long long task;
    if (!sf_instrument_has(count, 3) || parse_integers(args + 1, 1, &task))
        return NULL;
    const char *name = PyUnicode_AsUTF8(args[2]);
    if (!name)
        return NULL;
    sf_log_fork_as((uint32_t)task, name);
    PyObject *result = sf_instrument_call(args[0], args + 3, count - 3, keywords);
    sf_log_fork_as(0, NULL); /* the method may have raised before it forked */
    return result;
}

/* method, ... */
static PyObject *call_forking_unseen(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count,
                                     PyObject *keywords)
{
    if (!sf_instrument_has(count, 1))
        return NULL;
    sf_log_fork_unseen();
    PyObject *result = sf_instrument_call(args[0], args + 1, count - 1, keywords);
    sf_log_fork_as(0, NULL);
    return result;
}

/* method, bytes, ... */
static PyObject *call_copying(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    long long bytes;
    if (!sf_instrument_has(count, 2) || parse_integers(args + 1, 1, &bytes))
        return NULL;
    uint64_t from = sf_log_stretch_begin();
    PyObject *result = sf_instrument_call(args[0], args + 2, count - 2, keywords);
    sf_log_stretch(SF_EVENT_COPIED, from, result ? (uint64_t)bytes : 0);
    return result;
}

static PyObject *new_task(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *name;
    Py_ssize_t bytes;
    int kind;
    if (!PyArg_ParseTuple(args, "s#i:_instrument_new_task", &name, &bytes, &kind))
        return NULL;
    uint32_t number = sf_log_next_task();
    if (sf_log_enabled())
        sf_log_write(SF_EVENT_TASK, SF_PHASE_INSTANT, number, sf_log_text(name, (uint64_t)bytes), (uint64_t)kind);
    return PyLong_FromUnsignedLong(number);
}

static PyObject *family(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    return PyLong_FromUnsignedLongLong(sf_log_family());
}

static PyObject *write_usage(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    sf_usage_write();
    Py_RETURN_NONE;
}

static PyObject *forget_calls(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    sf_call_forget();
    Py_RETURN_NONE;
}

PyMethodDef sf_instrument_task_functions[] = {
    {"_instrument_event", (PyCFunction)(void (*)(void))write_event, METH_FASTCALL,
     "Writes any event: kind, phase, object, a, b."},
    {"_instrument_span", SF_WRAPPER(call_in_span),
     "A call in a span: method, kind, object, a, b, ended, ...; ended(what was raised or None) returns the "
     "END's (a, b)."},
    {"_instrument_wait", SF_WRAPPER(call_in_wait), "A call in a WAIT: method, reason, connection or task or None, ..."},
    {"_instrument_fork_as", SF_WRAPPER(call_forking), "A call that forks: method, task, its name, ..."},
    {"_instrument_fork_unseen", SF_WRAPPER(call_forking_unseen),
     "A call that forks what is no part of the program: method, ..."},
    {"_instrument_copy", SF_WRAPPER(call_copying), "A call that copies so many bytes: method, bytes, ..."},
    {"_instrument_new_task", new_task, METH_VARARGS, "name, kind: a new task of that name; its number."},
    {"_instrument_family", family, METH_NOARGS, "Identifies the processes that share this process's task numbers."},
    {"_instrument_usage", write_usage, METH_NOARGS, "Writes the CPU time of a process that is about to end."},
    {"_instrument_in_child", forget_calls, METH_NOARGS, "In a child: forgets the parent's calls."},
    {NULL, NULL, 0, NULL},
};
