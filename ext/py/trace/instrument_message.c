/* trace.instrument, messages: the wrappers of the methods of connections and queues. core/log/pipe_numbers.c numbers
 * the messages.
 *
 *     send:      SEND begin, (pickling), SEND end, WRITE begin, (write; in a WAIT if the pipe is full), WRITE end
 *     receive:   RECEIVE begin, WAIT begin, (until there is something), WAIT end, (read), COPIED, RECEIVE end
 *
 * SEND ends before the first byte is written, because the message may be received before its write returns.
 *
 * Python calls one C function, which begins the call, calls the method, and ends the call. So the exception of a signal
 * handler cannot come in between, and leave a call that never ends or a pipe that has a writer for ever.
 *
 * The arguments of each wrapper are the method that it wraps, then its own arguments, then the method's. */
#include "py/base/types.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>

#include "core/log/pipe_numbers.h"
#include "py/trace/instrument.h"
#include "py/trace/instrument_call.h"
#include "py/trace/stretch.h"

static __thread uint64_t last_bytes; /* of the message that this thread wrote last */

static bool is_ready(int fd, short events)
{
    struct pollfd one = {.fd = fd, .events = events};
    return poll(&one, 1, 0) != 0;
}

/* ---- sending ---- */

/* method, connection, ... */
static PyObject *call_send(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    if (!sf_instrument_has(count, 2))
        return NULL;
    uint32_t pipe = sf_connection_of(args[1]).out;
    struct sf_call *call = NULL;
    if (pipe && !sf_call_around(pipe, SF_EVENT_SEND))
        call = sf_call_begin(pipe, SF_EVENT_SEND);
    PyObject *sent = sf_instrument_call(args[0], args + 1, count - 1, keywords);
    sf_call_end(call);
    return sent;
}

/* Waits until no other thread or process writes to the pipe (they may, where the program takes no lock), and makes this
 * one its writer. 0, or -1 with an exception. */
static int become_writer(uint32_t pipe, struct sf_call *call, uint64_t *seq)
{
    struct timespec pause = {0, 20000};
    while (sf_pipe_numbers_write_begin(pipe, seq) == -EAGAIN) {
        sf_call_wait_begin(call, SF_WAIT_ROOM); /* most likely the other one waits for room */
        Py_BEGIN_ALLOW_THREADS;
        nanosleep(&pause, NULL);
        Py_END_ALLOW_THREADS;
        if (pause.tv_nsec < 1000000)
            pause.tv_nsec *= 2;
        if (sf_check_signals())
            return -1;
    }
    sf_call_wait_end(call);
    return 0;
}

static uint64_t length_of(PyObject *buffer)
{
    Py_ssize_t bytes = PyObject_Size(buffer);
    if (bytes < 0)
        PyErr_Clear();
    return bytes < 0 ? 0 : (uint64_t)bytes;
}

/* method, connection, buffer */
static PyObject *call_write(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    if (!sf_instrument_has(count, 3))
        return NULL;
    struct sf_connection connection = sf_connection_of(args[1]);
    uint32_t pipe = connection.out, era = 0;
    uint64_t bytes = last_bytes = length_of(args[2]), seq;
    if (!pipe)
        return sf_instrument_call(args[0], args + 1, count - 1, keywords);
    struct sf_call *call = sf_call_around(pipe, SF_EVENT_SEND), *own = NULL;
    PyObject *written = NULL;
    if (!call)
        call = own = sf_call_begin(pipe, SF_EVENT_SEND);
    if (become_writer(pipe, call, &seq))
        goto out;
    sf_call_finish(call, seq, bytes);
    if (call) {
        era = sf_call_era();
        sf_log_write(SF_EVENT_WRITE, SF_PHASE_BEGIN, sf_pipe_numbers_channel(pipe), 0, 0);
        if (!is_ready(connection.fd, POLLOUT)) /* then the write itself will wait */
            sf_call_wait_begin(call, SF_WAIT_ROOM);
    }
    written = sf_instrument_call(args[0], args + 1, count - 1, keywords);
    sf_pipe_numbers_write_end(pipe, written != NULL);
    sf_call_wait_end(call);
    if (era && era == sf_call_era())
        sf_log_write(SF_EVENT_WRITE, SF_PHASE_END, sf_pipe_numbers_channel(pipe), written ? bytes : 0, 0);
out:
    sf_call_end(own);
    return written;
}

/* ---- receiving ---- */

/* waits: whether the wait for a message may begin here. Otherwise call_read begins it. */
static PyObject *receive_from(struct sf_connection connection, bool waits, PyObject *method, PyObject *const *args,
                              Py_ssize_t count, PyObject *keywords)
{
    struct sf_call *call = NULL;
    if (connection.in && !sf_call_around(connection.in, SF_EVENT_RECEIVE))
        call = sf_call_begin(connection.in, SF_EVENT_RECEIVE);
    if (call && waits && !is_ready(connection.fd, POLLIN))
        sf_call_wait_begin(call, SF_WAIT_MESSAGE);
    PyObject *received = sf_instrument_call(method, args, count, keywords);
    sf_call_end(call);
    return received;
}

/* method, connection, ...; the method calls call_read, which waits */
static PyObject *call_receive(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    if (!sf_instrument_has(count, 2))
        return NULL;
    return receive_from(sf_connection_of(args[1]), false, args[0], args + 1, count - 1, keywords);
}

/* method, the queue's connection, whether it blocks, ... */
static PyObject *call_get(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    if (!sf_instrument_has(count, 3))
        return NULL;
    int blocks = PyObject_IsTrue(args[2]);
    if (blocks < 0)
        return NULL;
    return receive_from(sf_connection_of(args[1]), blocks, args[0], args + 3, count - 3, keywords);
}

/* Sleeps until there is something to read. Returns at once for a descriptor that does not block, because reading it
 * would not wait either. 0, or -1 with an exception. */
static int wait_readable(struct sf_call *call, int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_NONBLOCK))
        return 0;
    struct pollfd one = {.fd = fd, .events = POLLIN};
    int error;
    sf_call_wait_begin(call, SF_WAIT_MESSAGE);
    do {
        Py_BEGIN_ALLOW_THREADS;
        error = poll(&one, 1, -1) < 0 ? errno : 0;
        Py_END_ALLOW_THREADS;
        if (error == EINTR && sf_check_signals())
            return -1;
    } while (error == EINTR);
    return 0;
}

enum { NOTHING_READ = -1, READ_IN_PART = -2 };

/* Bytes of the message that was read into the buffer (io.BytesIO); NOTHING_READ; or READ_IN_PART: reading failed, and
 * bytes of the message may be lost. */
static int64_t count_read(PyObject *buffer)
{
    static PyObject *name_tell;
    if (!buffer)
        return PyErr_ExceptionMatches(PyExc_EOFError) ? NOTHING_READ : READ_IN_PART;
    if (buffer == Py_None) /* the message is longer than the caller allows */
        return READ_IN_PART;
    PyObject *position = NULL;
    if (name_tell || (name_tell = PyUnicode_InternFromString("tell")))
        position = PyObject_CallMethodNoArgs(buffer, name_tell);
    long long bytes = position ? PyLong_AsLongLong(position) : 0;
    Py_XDECREF(position);
    PyErr_Clear();
    return bytes < 0 ? 0 : bytes;
}

/* method, connection, ... */
static PyObject *call_read(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    if (!sf_instrument_has(count, 2))
        return NULL;
    struct sf_connection connection = sf_connection_of(args[1]);
    uint32_t pipe = connection.in;
    if (!pipe) /* a socket, a pipe from before: most of the time it waits for the message */
        return sf_instrument_call_waiting(SF_WAIT_MESSAGE, 0, args[0], args + 1, count - 1, keywords);
    struct sf_call *call = sf_call_around(pipe, SF_EVENT_RECEIVE), *own = NULL;
    PyObject *buffer = NULL;
    if (!call)
        call = own = sf_call_begin(pipe, SF_EVENT_RECEIVE);
    if (call && !is_ready(connection.fd, POLLIN) && wait_readable(call, connection.fd))
        goto out;
    sf_call_wait_end(call);
    if (call)
        call->transferring = true;
    uint64_t from = sf_log_stretch_begin(), seq = 0;
    sf_pipe_numbers_read_begin(pipe);
    buffer = sf_instrument_call(args[0], args + 1, count - 1, keywords);
    int64_t bytes = count_read(buffer);
    if (bytes == NOTHING_READ)
        sf_pipe_numbers_read_quit(pipe);
    else if (bytes == READ_IN_PART)
        sf_pipe_numbers_read_lost(pipe);
    else
        seq = sf_pipe_numbers_read_end(pipe);
    if (call && bytes >= SF_STRETCH_LEAST_BYTES)
        sf_log_stretch(SF_EVENT_COPIED, from, (uint64_t)bytes);
    sf_call_finish(call, seq, bytes > 0 ? (uint64_t)bytes : 0);
out:
    sf_call_end(own);
    return buffer;
}

/* ---- pickling ---- */

/* method, ...; returns_pickle: the method returns the pickle; else the pickle is the method's first argument */
static PyObject *call_pickler(bool returns_pickle, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    if (!sf_instrument_has(count, 1))
        return NULL;
    uint64_t from = sf_log_stretch_begin();
    PyObject *result = sf_instrument_call(args[0], args + 1, count - 1, keywords);
    PyObject *pickle = !result || !from ? NULL : returns_pickle ? result : count > 1 ? args[1] : NULL;
    sf_log_stretch(SF_EVENT_PICKLED, from, pickle ? length_of(pickle) : 0);
    return result;
}

static PyObject *call_pickle(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    return call_pickler(true, args, count, keywords);
}

static PyObject *call_unpickle(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    return call_pickler(false, args, count, keywords);
}

static PyObject *sent_bytes(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    return PyLong_FromUnsignedLongLong(last_bytes);
}

PyMethodDef sf_instrument_message_functions[] = {
    {"_instrument_send", SF_WRAPPER(call_send), "A method that pickles and writes: method, connection, ..."},
    {"_instrument_write", SF_WRAPPER(call_write), "The write of a message: method, connection, buffer."},
    {"_instrument_receive", SF_WRAPPER(call_receive), "A method that reads and unpickles: method, connection, ..."},
    {"_instrument_get", SF_WRAPPER(call_get), "The same of a queue: method, its connection, whether it blocks, ..."},
    {"_instrument_read", SF_WRAPPER(call_read), "The read of a message: method, connection, ..."},
    {"_instrument_pickle", SF_WRAPPER(call_pickle), "method, ...: returns the pickle."},
    {"_instrument_unpickle", SF_WRAPPER(call_unpickle), "method, pickle, ..."},
    {"_instrument_sent_bytes", sent_bytes, METH_NOARGS, "Bytes of the message that this thread wrote last."},
    {NULL, NULL, 0, NULL},
};
