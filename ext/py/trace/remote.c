/* The two sides of a traced remote chunk, for snakefish/_submitted_trace.py (the worker) and _submit_trace.py (the
 * caller): thin wrappers of core/log/parcel.h and relay.h, and the clock. */
#include "py/base/types.h"

#include <errno.h>
#include <string.h>

#include "core/log/log.h"
#include "core/log/parcel.h"
#include "core/log/relay.h"
#include "core/os/monotonic.h"
#include "py/base/errors.h"

/* A reading of the counter and of CLOCK_MONOTONIC, the narrowest of a few. */
static PyObject *read_clock(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    enum { READINGS = 5 };
    uint64_t tsc = 0, narrowest = UINT64_MAX;
    int64_t ns = 0;
    for (int i = 0; i < READINGS; i++) {
        uint64_t before = sf_tsc_read_fenced();
        int64_t now_ns = sf_monotonic_ns();
        uint64_t width = sf_tsc_read_fenced() - before;
        if (width < narrowest) {
            narrowest = width;
            tsc = before + width / 2;
            ns = now_ns;
        }
    }
    return Py_BuildValue("(KL)", (unsigned long long)tsc, (long long)ns);
}

static PyObject *next_submit(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    return PyLong_FromUnsignedLongLong(sf_log_next_submit());
}

/* ---- in the worker ---- */

static PyObject *begin(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *directory;
    const char *name;
    if (!PyArg_ParseTuple(args, "O&s:_remote_begin", PyUnicode_FSConverter, &directory, &name))
        return NULL;
    int error = sf_parcel_begin(PyBytes_AS_STRING(directory), name);
    Py_DECREF(directory);
    return error && error != -EALREADY ? sf_error(error, "cannot record the chunk") : PyBool_FromLong(!error);
}

static PyObject *pause_recording(PyObject *Py_UNUSED(module), PyObject *paused)
{
    sf_parcel_pause(paused == Py_True);
    Py_RETURN_NONE;
}

static PyObject *write_waited(PyObject *Py_UNUSED(module), PyObject *since)
{
    uint64_t from = PyLong_AsUnsignedLongLong(since);
    if (PyErr_Occurred())
        return NULL;
    if (sf_log_enabled()) {
        sf_log_write_at(from, SF_EVENT_WAIT, SF_PHASE_BEGIN, 0, SF_WAIT_REQUEST, 0);
        sf_log_write_fenced(SF_EVENT_WAIT, SF_PHASE_END, 0, SF_WAIT_REQUEST, 0);
    }
    Py_RETURN_NONE;
}

static struct sf_record taken[SF_PARCEL_RECORDS]; /* under the interpreter lock */

static size_t room_for(int most)
{
    return most < 0 ? 0 : most < SF_PARCEL_RECORDS ? (size_t)most : SF_PARCEL_RECORDS;
}

/* What _submit_trace.py calls a parcel. */
static PyObject *parcel_tuple(const struct sf_parcel *parcel)
{
    const struct sf_log_header *h = &parcel->header;
    char name[SF_NAME_BYTES + 1] = {0};
    memcpy(name, h->name, SF_NAME_BYTES);
    uint64_t torn = h->begun - h->head - h->lost;
    return Py_BuildValue("(IKIKKIyKKy#KIN)", h->pid, (unsigned long long)h->start_tsc, h->parent_pid,
                         (unsigned long long)h->parent_tsc, (unsigned long long)h->family_high << 32 | h->family,
                         h->task, name, (unsigned long long)parcel->first, (unsigned long long)parcel->end,
                         (const char *)taken, (Py_ssize_t)(parcel->count * sizeof *taken), (unsigned long long)h->lost,
                         parcel->is_over && torn == 1 ? 1u : 0u, PyBool_FromLong(parcel->is_over));
}

static PyObject *take_own(PyObject *Py_UNUSED(module), PyObject *args)
{
    int most;
    struct sf_parcel parcel;
    if (!PyArg_ParseTuple(args, "i:_remote_take_own", &most))
        return NULL;
    if (!sf_parcel_take_own(taken, room_for(most), &parcel))
        Py_RETURN_NONE;
    return parcel_tuple(&parcel);
}

static PyObject *take(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *file;
    int most;
    struct sf_parcel parcel;
    if (!PyArg_ParseTuple(args, "O&i:_remote_take", PyUnicode_FSConverter, &file, &most))
        return NULL;
    int error = sf_parcel_take(PyBytes_AS_STRING(file), taken, room_for(most), &parcel);
    Py_DECREF(file);
    if (error)
        Py_RETURN_NONE;
    return parcel_tuple(&parcel);
}

/* ---- in the caller ---- */

static const char relay_name[] = "snakefish.relay";

static void free_relay(PyObject *capsule)
{
    sf_relay_free(PyCapsule_GetPointer(capsule, relay_name));
}

static PyObject *open_relay(PyObject *Py_UNUSED(module), PyObject *args)
{
    unsigned pid, parent_pid, task, space;
    unsigned long long start_tsc, parent_tsc, family, worker_start;
    const char *name;
    if (!PyArg_ParseTuple(args, "IIIIKKKKy:_remote_relay", &pid, &parent_pid, &task, &space, &family, &worker_start,
                          &start_tsc, &parent_tsc, &name))
        return NULL;
    struct sf_log_header header = {.pid = pid,
                                   .parent_pid = parent_pid,
                                   .task = task,
                                   .space = space,
                                   .family = (uint32_t)family,
                                   .family_high = (uint32_t)(family >> 32),
                                   .start_tsc = worker_start};
    strncpy(header.name, name, SF_NAME_BYTES - 1);
    struct sf_relay *relay;
    if (sf_relay_open(&relay, &header, start_tsc, parent_tsc))
        Py_RETURN_NONE; /* the session has counted it, or is over */
    PyObject *capsule = PyCapsule_New(relay, relay_name, free_relay);
    if (!capsule)
        sf_relay_free(relay);
    return capsule;
}

static int read_line(PyObject *line, struct sf_relay_clock *out)
{
    unsigned long long from, to, entered, low, high;
    if (!PyArg_ParseTuple(line, "KKdKKK", &from, &to, &out->rate, &entered, &low, &high))
        return -1;
    out->from = from;
    out->to = to;
    out->entered = entered;
    out->low = low;
    out->high = high;
    return 0;
}

static PyObject *time_here(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *line;
    unsigned long long tsc;
    struct sf_relay_clock clock;
    if (!PyArg_ParseTuple(args, "O!K:_remote_time", &PyTuple_Type, &line, &tsc) || read_line(line, &clock))
        return NULL;
    return PyLong_FromUnsignedLongLong(sf_relay_time(&clock, tsc));
}

static PyObject *write_relay(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *capsule, *line;
    const char *data;
    Py_ssize_t bytes;
    unsigned long long missing, cut, lost, torn, error_ns;
    struct sf_relay_clock clock;
    if (!PyArg_ParseTuple(args, "OO!y#KKKKK:_remote_write", &capsule, &PyTuple_Type, &line, &data, &bytes, &missing,
                          &cut, &lost, &torn, &error_ns) ||
        read_line(line, &clock))
        return NULL;
    struct sf_relay *relay = PyCapsule_GetPointer(capsule, relay_name);
    if (!relay)
        return NULL;
    size_t count = (size_t)bytes / sizeof *taken;
    count = count < SF_PARCEL_RECORDS ? count : SF_PARCEL_RECORDS;
    memcpy(taken, data, count * sizeof *taken); /* aligned */
    sf_relay_lose(relay, missing);
    sf_relay_write(relay, &clock, taken, count, error_ns);
    sf_relay_lose(relay, cut);
    sf_relay_count(relay, lost, torn);
    Py_RETURN_NONE;
}

PyMethodDef sf_remote_functions[] = {
    {"_remote_clock", read_clock, METH_NOARGS, "(timestamp counter, CLOCK_MONOTONIC in ns), read at once."},
    {"_next_submit", next_submit, METH_NOARGS, "The number of the next task that is submitted."},
    {"_remote_begin", begin, METH_VARARGS,
     "directory, name: a session of this process and its forks; False: it is in one that goes on."},
    {"_remote_pause", pause_recording, METH_O, "True: nothing is recorded until False."},
    {"_remote_waited", write_waited, METH_O, "A WAIT for a request, from that time on until now."},
    {"_remote_take_own", take_own, METH_VARARGS, "most: a parcel of this process's log; None: it has none."},
    {"_remote_take", take, METH_VARARGS, "file, most: a parcel of that log in the session's directory, or None."},
    {"_remote_relay", open_relay, METH_VARARGS,
     "pid, parent_pid, task, space, family, its start, the start here, the parent's start here or 0, name: a log for "
     "it; "
     "None: there is none."},
    {"_remote_time", time_here, METH_VARARGS, "line, timestamp: that time here."},
    {"_remote_write", write_relay, METH_VARARGS,
     "relay, line, records, missing before them, cut after them, lost there, torn, error_ns."},
    {NULL, NULL, 0, NULL},
};
