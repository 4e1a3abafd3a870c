/* trace.instrument, messages: what the methods of connections and queues are wrapped in. core/pipes numbers them.
 *
 *     send:      SEND begin, (pickling), SEND end, WRITE begin, (write; in a WAIT if the pipe is full), WRITE end
 *     receive:   RECEIVE begin, WAIT begin, (until there is something), WAIT end, (read), COPIED, RECEIVE end
 *
 * SEND ends before the first byte is written, since the message may be received before its write returns.
 *
 * Each wrapper is one call from Python, which begins, calls what it wraps, and ends: a signal handler's exception
 * finds no place between these where it would leave a call that never ends, or a pipe with a writer for ever. */
#include "py/base/types.h"
#include "py/trace/instrument.h"
#include "py/trace/instrument_call.h"

#include "core/log/pipe_numbers.h"
#include "py/trace/stretch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>

static __thread uint64_t last_bytes; /* of this thread's last message */

static bool is_ready(int fd, short events)
{
    struct pollfd one = {.fd = fd, .events = events};
    return poll(&one, 1, 0) != 0;
}

/* ---- sending ---- */

/* original, connection, ... */
static PyObject *send(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    (void)module;
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

/* Becomes the pipe's writer: others may write at the same time, if they do not lock. 0, or -1 with an exception. */
static int become_writer(uint32_t pipe, struct sf_call *call, uint64_t *seq)
{
    struct timespec pause = {0, 20000};
    while (sf_pipe_numbers_write_begin(pipe, seq) == -EAGAIN) {
        sf_call_wait_begin(call, SF_WAIT_ROOM); /* the other one is not done for want of it, most likely */
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

static uint64_t bytes_of(PyObject *buffer)
{
    Py_ssize_t bytes = PyObject_Size(buffer);
    if (bytes < 0)
        PyErr_Clear();
    return bytes < 0 ? 0 : (uint64_t)bytes;
}

/* original, connection, buffer */
static PyObject *write_message(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    (void)module;
    if (!sf_instrument_has(count, 3))
        return NULL;
    struct sf_connection connection = sf_connection_of(args[1]);
    uint32_t pipe = connection.out, told = 0;
    uint64_t bytes = last_bytes = bytes_of(args[2]), seq;
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
        told = sf_call_era();
        sf_log_write(SF_EVENT_WRITE, SF_PHASE_BEGIN, sf_pipe_numbers_channel(pipe), 0, 0);
        if (!is_ready(connection.fd, POLLOUT))
            sf_call_wait_begin(call,
                               SF_WAIT_ROOM); /* it is the write that waits, if it does: the pipe may take it yet */
    }
    written = sf_instrument_call(args[0], args + 1, count - 1, keywords);
    sf_pipe_numbers_write_end(pipe, written != NULL);
    sf_call_wait_end(call);
    if (told && told == sf_call_era())
        sf_log_write(SF_EVENT_WRITE, SF_PHASE_END, sf_pipe_numbers_channel(pipe), written ? bytes : 0, 0);
out:
    sf_call_end(own);
    return written;
}

/* ---- receiving ---- */

/* looks: whether to look for a message now; a lock is to be waited for first. */
static PyObject *receive_from(struct sf_connection connection, bool looks, PyObject *original, PyObject *const *args,
                              Py_ssize_t count, PyObject *keywords)
{
    struct sf_call *call = NULL;
    if (connection.in && !sf_call_around(connection.in, SF_EVENT_RECEIVE))
        call = sf_call_begin(connection.in, SF_EVENT_RECEIVE);
    if (call && looks && !is_ready(connection.fd, POLLIN))
        sf_call_wait_begin(call, SF_WAIT_MESSAGE);
    PyObject *received = sf_instrument_call(original, args, count, keywords);
    sf_call_end(call);
    return received;
}

/* original, connection, ...: reading waits */
static PyObject *receive(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    (void)module;
    if (!sf_instrument_has(count, 2))
        return NULL;
    return receive_from(sf_connection_of(args[1]), false, args[0], args + 1, count - 1, keywords);
}

/* original, the queue's connection, whether it blocks, ... */
static PyObject *get(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    (void)module;
    if (!sf_instrument_has(count, 3))
        return NULL;
    int blocks = PyObject_IsTrue(args[2]);
    if (blocks < 0)
        return NULL;
    return receive_from(sf_connection_of(args[1]), blocks, args[0], args + 3, count - 3, keywords);
}

/* Sleeps until there is something to read; not where reading would not either. 0, or -1 with an exception. */
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

/* Bytes of the message that was read, -1: nothing was read, -2: an error came, and bytes may be gone. */
static int64_t bytes_read(PyObject *buffer)
{
    static PyObject *tell;
    if (!buffer)
        return PyErr_ExceptionMatches(PyExc_EOFError) ? -1 : -2;
    if (buffer == Py_None) /* the message is longer than the caller takes */
        return -2;
    PyObject *position = NULL;
    if (tell || (tell = PyUnicode_InternFromString("tell")))
        position = PyObject_CallMethodNoArgs(buffer, tell);
    long long bytes = position ? PyLong_AsLongLong(position) : 0;
    Py_XDECREF(position);
    PyErr_Clear();
    return bytes < 0 ? 0 : bytes;
}

/* original, connection, ... */
static PyObject *read_message(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    (void)module;
    if (!sf_instrument_has(count, 2))
        return NULL;
    struct sf_connection connection = sf_connection_of(args[1]);
    uint32_t pipe = connection.in;
    if (!pipe)
        return sf_instrument_call(args[0], args + 1, count - 1, keywords);
    struct sf_call *call = sf_call_around(pipe, SF_EVENT_RECEIVE), *own = NULL;
    PyObject *buffer = NULL;
    if (!call)
        call = own = sf_call_begin(pipe, SF_EVENT_RECEIVE);
    if (call && !is_ready(connection.fd, POLLIN) && wait_readable(call, connection.fd))
        goto out;
    sf_call_wait_end(call);
    if (call)
        call->taken = true;
    uint64_t from = sf_log_stretch_begin(), seq = 0;
    sf_pipe_numbers_read_begin(pipe);
    buffer = sf_instrument_call(args[0], args + 1, count - 1, keywords);
    int64_t bytes = bytes_read(buffer);
    if (bytes == -1)
        sf_pipe_numbers_read_quit(pipe);
    else if (bytes < 0)
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

/* original, ...: its result is what was pickled */
static PyObject *pickle(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    (void)module;
    if (!sf_instrument_has(count, 1))
        return NULL;
    uint64_t from = sf_log_stretch_begin();
    PyObject *pickled = sf_instrument_call(args[0], args + 1, count - 1, keywords);
    sf_log_stretch(SF_EVENT_PICKLED, from, pickled && from ? bytes_of(pickled) : 0);
    return pickled;
}

/* original, bytes, ... */
static PyObject *unpickle(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    (void)module;
    if (!sf_instrument_has(count, 1))
        return NULL;
    uint64_t from = sf_log_stretch_begin();
    PyObject *object = sf_instrument_call(args[0], args + 1, count - 1, keywords);
    sf_log_stretch(SF_EVENT_PICKLED, from, object && from && count > 1 ? bytes_of(args[1]) : 0);
    return object;
}

static PyObject *sent_bytes(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyLong_FromUnsignedLongLong(last_bytes);
}

PyMethodDef sf_instrument_message_functions[] = {
    {"_instrument_send", SF_WRAPPER(send), "A call that pickles and writes: original, connection, ..."},
    {"_instrument_write", SF_WRAPPER(write_message), "The write of a message: original, connection, buffer."},
    {"_instrument_receive", SF_WRAPPER(receive), "A call that reads and unpickles: original, connection, ..."},
    {"_instrument_get", SF_WRAPPER(get), "The same of a queue: original, its connection, whether it blocks, ..."},
    {"_instrument_read", SF_WRAPPER(read_message), "The reading of a message: original, connection, ..."},
    {"_instrument_pickle", SF_WRAPPER(pickle), "original, ...: gives bytes."},
    {"_instrument_unpickle", SF_WRAPPER(unpickle), "original, bytes, ..."},
    {"_instrument_sent_bytes", sent_bytes, METH_NOARGS, "Bytes of this thread's last message."},
    {NULL, NULL, 0, NULL},
};
