/* trace.instrument, messages: the wrappers of the methods of connections and queues. core/log/pipe_numbers.c numbers
 * the messages.
 *
 *     send:      SEND begin, (pickling), SEND end, WRITE begin, (write; in a WAIT if the pipe is full), WRITE end
 *     receive:   RECEIVE begin, WAIT begin, (read of the first bytes), WAIT end, (read), COPIED, RECEIVE end
 *
 * SEND ends before the first byte is written, because the message may be received before its write returns.
 *
 * What is wrapped does all reading, writing and waiting itself, so errors, timeouts and signals are the same as
 * without. There is one exception: where several threads or processes write to one pipe at once, they do it in turn.
 *
 * Python calls one C function, which begins the call, calls the method, and ends the call. So the exception of a signal
 * handler cannot come in between, and leave a call that never ends or a pipe that has a writer for ever.
 *
 * The arguments of each wrapper are the method that it wraps, then its own arguments, then the method's. */
#include "py/base/types.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "core/log/pipe_numbers.h"
#include "core/os/monotonic.h"
#include "py/trace/instrument.h"
#include "py/trace/instrument_call.h"
#include "py/trace/stretch.h"

enum { STOPPED_WRITER_NS = 1000000000 }; /* a writer that makes others wait that long is taken to be stopped */

static __thread uint64_t last_bytes; /* of the message that this thread wrote last */
/* What this thread waits for where it waits for a message: MESSAGE, or WORK in the call of a worker for its next task.
 */
static __thread enum sf_wait for_message = SF_WAIT_MESSAGE;

static bool is_ready(int fd, short events)
{
    struct pollfd one = {.fd = fd, .events = events};
    return poll(&one, 1, 0) != 0;
}

/* ---- what a message looks like in its pipe ---- */

/* A Connection writes the length as 4 bytes, and before one that does not fit into them 4 bytes more that say so. */
static uint64_t bytes_in_pipe(uint64_t bytes)
{
    return bytes + (bytes > INT32_MAX ? 12 : 4);
}

#ifdef PYPY_VERSION /* Looking into a buffer is slow there: the length alone is compared. */
static int64_t look_at(PyObject *buffer, struct sf_pipe_message *out)
{
    Py_ssize_t bytes = PyObject_Size(buffer);
    *out = (struct sf_pipe_message){.bytes = bytes < 0 ? 0 : bytes_in_pipe((uint64_t)bytes)};
    return bytes;
}
#else
/* Of its first and last bytes: that is enough to notice most messages of others, and takes little time. */
static uint32_t checksum(const void *content, uint64_t bytes)
{
    enum { EDGE = 64 };
    unsigned char edges[2 * EDGE] = {0};
    uint64_t sum = bytes, edge = bytes < EDGE ? bytes : EDGE, word;
    if (bytes) {
        memcpy(edges, content, edge);
        memcpy(edges + EDGE, (const char *)content + bytes - edge, edge);
    }
    for (size_t at = 0; at < sizeof edges; at += sizeof word) {
        memcpy(&word, edges + at, sizeof word);
        sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        sum ^= sum >> 29;
    }
    return (uint32_t)(sum ^ sum >> 32);
}

/* The message whose content is in this buffer: its bytes, or -1 with an exception. */
static int64_t look_at(PyObject *buffer, struct sf_pipe_message *out)
{
    Py_buffer view;
    if (PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE))
        return -1;
    out->bytes = bytes_in_pipe((uint64_t)view.len);
    out->check = checksum(view.buf, (uint64_t)view.len);
    int64_t bytes = view.len;
    PyBuffer_Release(&view);
    return bytes;
}
#endif

/* ---- sending ---- */

/* method, connection, ... */
static PyObject *call_send(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    if (!sf_instrument_has(count, 2))
        return NULL;
    uint32_t pipe = sf_connection_of(args[1]).out;
    struct sf_call *call = NULL;
    if (pipe && !sf_call_around(args[1], SF_EVENT_SEND))
        call = sf_call_begin(args[1], pipe, SF_EVENT_SEND);
    PyObject *sent = sf_instrument_call(args[0], args + 1, count - 1, keywords);
    sf_call_end(call);
    return sent;
}

/* Waits until no other thread or process writes to the pipe (they may, where the program takes no lock), and makes this
 * one its writer. But if there is room in the pipe all the time, the other writer is stopped, and nothing would make
 * this one wait without us: then the pipe is no longer counted. 0, or -1 with an exception. */
static int become_writer(struct sf_connection connection, const struct sf_pipe_message *message, struct sf_call *call,
                         uint64_t *seq)
{
    struct timespec pause = {0, 20000};
    int64_t room_since = 0;
    while (sf_pipe_numbers_write_begin(connection.out, message, seq) == -EAGAIN) {
        int64_t now = sf_monotonic_ns();
        sf_call_wait_begin(call, SF_WAIT_ROOM); /* most likely the other one waits for room */
        if (!is_ready(connection.fd, POLLOUT))
            room_since = 0;
        else if (!room_since)
            room_since = now;
        else if (now - room_since > STOPPED_WRITER_NS)
            sf_pipe_numbers_stop(connection.out);
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

/* method, connection, buffer */
static PyObject *call_write(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    if (!sf_instrument_has(count, 3))
        return NULL;
    struct sf_connection connection = sf_connection_of(args[1]);
    struct sf_pipe_message message;
    uint32_t pipe = connection.out, era = 0;
    int64_t bytes = look_at(args[2], &message);
    uint64_t seq;
    if (bytes < 0)
        PyErr_Clear(); /* the method will say what it thinks of it */
    last_bytes = bytes < 0 ? 0 : (uint64_t)bytes;
    if (!pipe || bytes < 0)
        return sf_instrument_call(args[0], args + 1, count - 1, keywords);
    struct sf_call *call = sf_call_around(args[1], SF_EVENT_SEND), *own = NULL;
    PyObject *written = NULL;
    if (!call)
        call = own = sf_call_begin(args[1], pipe, SF_EVENT_SEND);
    if (become_writer(connection, &message, call, &seq))
        goto out;
    sf_call_finish(call, seq, (uint64_t)bytes);
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
        sf_log_write(SF_EVENT_WRITE, SF_PHASE_END, sf_pipe_numbers_channel(pipe), written ? (uint64_t)bytes : 0, 0);
out:
    sf_call_end(own);
    return written;
}

/* ---- receiving ---- */

static bool has_message(struct sf_connection connection)
{
    int holds = sf_pipe_numbers_holds(connection.in);
    return holds < 0 ? is_ready(connection.fd, POLLIN) : holds;
}

/* waits: whether the wait for a message may begin here. Otherwise call_read begins it. */
static PyObject *receive_from(PyObject *object, bool waits, PyObject *method, PyObject *const *args, Py_ssize_t count,
                              PyObject *keywords)
{
    struct sf_connection connection = sf_connection_of(object);
    struct sf_call *call = NULL;
    if (connection.in && !sf_call_around(object, SF_EVENT_RECEIVE))
        call = sf_call_begin(object, connection.in, SF_EVENT_RECEIVE);
    if (call && waits && !has_message(connection))
        sf_call_wait_begin(call, for_message);
    PyObject *received = sf_instrument_call(method, args, count, keywords);
    sf_call_end(call);
    return received;
}

/* method, connection, ...; the method calls call_read, which waits */
static PyObject *call_receive(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    if (!sf_instrument_has(count, 2))
        return NULL;
    return receive_from(args[1], false, args[0], args + 1, count - 1, keywords);
}

/* method, the queue's connection, whether it blocks, ... */
static PyObject *call_get(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    if (!sf_instrument_has(count, 3))
        return NULL;
    int blocks = PyObject_IsTrue(args[2]);
    if (blocks < 0)
        return NULL;
    return receive_from(args[1], blocks, args[0], args + 3, count - 3, keywords);
}

/* method, ... */
static PyObject *call_for_work(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    if (!sf_instrument_has(count, 1))
        return NULL;
    for_message = SF_WAIT_WORK;
    PyObject *got = sf_instrument_call(args[0], args + 1, count - 1, keywords);
    for_message = SF_WAIT_MESSAGE;
    return got;
}

/* Looks at the message that was read (an io.BytesIO). Its bytes, or -1. */
static int64_t look_at_read(PyObject *read, struct sf_pipe_message *out)
{
#ifdef PYPY_VERSION
    static PyObject *name_tell;
    PyObject *position = NULL;
    if (name_tell || (name_tell = PyUnicode_InternFromString("tell")))
        position = PyObject_CallMethodNoArgs(read, name_tell);
    long long bytes = position ? PyLong_AsLongLong(position) : -1;
    Py_XDECREF(position);
    *out = (struct sf_pipe_message){.bytes = bytes < 0 ? 0 : bytes_in_pipe((uint64_t)bytes)};
#else
    static PyObject *name_getbuffer;
    PyObject *view = NULL;
    if (name_getbuffer || (name_getbuffer = PyUnicode_InternFromString("getbuffer")))
        view = PyObject_CallMethodNoArgs(read, name_getbuffer);
    int64_t bytes = view ? look_at(view, out) : -1;
    Py_XDECREF(view);
#endif
    if (bytes < 0)
        PyErr_Clear();
    return bytes;
}

/* method, connection, ... */
static PyObject *call_read(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    if (!sf_instrument_has(count, 2))
        return NULL;
    struct sf_connection connection = sf_connection_of(args[1]);
    struct sf_pipe_message message;
    uint32_t pipe = connection.in;
    if (connection.fd < 0) /* it is closed, which the method says */
        return sf_instrument_call(args[0], args + 1, count - 1, keywords);
    if (!pipe) /* it is neither a pipe nor a socket, but a terminal, say: most of the time it waits for the message */
        return sf_instrument_call_waiting(SF_WAIT_MESSAGE, 0, args[0], args + 1, count - 1, keywords);
    struct sf_call *call = sf_call_around(args[1], SF_EVENT_RECEIVE), *own = NULL;
    int64_t bytes = -1;
    uint64_t seq = 0;
    if (!call)
        call = own = sf_call_begin(args[1], pipe, SF_EVENT_RECEIVE);
    if (call && !has_message(connection))
        sf_call_wait_begin(call, for_message);
    if (call)
        call->transferring = true;
    PyObject *read = sf_instrument_call(args[0], args + 1, count - 1, keywords);
    sf_call_wait_end(call);
    if (read && read != Py_None)
        bytes = look_at_read(read, &message);
    if (bytes >= 0)
        seq = sf_pipe_numbers_read(pipe, connection.fd, &message);
    else if (read || (call && call->begun)) /* a part of it was read, or it is longer than the caller allows */
        sf_pipe_numbers_stop(pipe);
    if (call && bytes >= SF_STRETCH_LEAST_BYTES)
        sf_log_stretch(SF_EVENT_COPIED, call->begun_tsc, (uint64_t)bytes);
    sf_call_finish(call, seq, bytes > 0 ? (uint64_t)bytes : 0);
    sf_call_end(own);
    return read;
}

/* method, connection, ...: reads bytes of a message */
static PyObject *call_read_part(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count,
                                PyObject *keywords)
{
    if (!sf_instrument_has(count, 2))
        return NULL;
    PyObject *read = sf_instrument_call(args[0], args + 1, count - 1, keywords);
    if (read)
        sf_call_has_bytes(args[1]);
    return read;
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
    {"_instrument_read_part", SF_WRAPPER(call_read_part), "The read of bytes of a message: method, connection, ..."},
    {"_instrument_for_work", SF_WRAPPER(call_for_work), "A call whose waits for messages are for work: method, ..."},
    {"_instrument_sent_bytes", sent_bytes, METH_NOARGS, "Bytes of the message that this thread wrote last."},
    {NULL, NULL, 0, NULL},
};
