/* snakefish.Channel: pickled objects over a core ring.
 *
 * `users` counts the calls under way, which may sleep without the interpreter lock: dispose() from another thread
 * wakes them, and the last one out frees the ring. */
#include "py/base/types.h"

#include "core/log/log.h"
#include "core/ring/ring.h"
#include "py/base/arguments.h"
#include "py/base/errors.h"
#include "py/base/wait.h"
#include "py/message/message.h"

#include <errno.h>

#define DEFAULT_BYTES (INT64_C(2) << 30)

struct channel {
    PyObject_HEAD struct sf_ring *ring; /* NULL: disposed, or never initialised */
    unsigned users;
    bool disposed;
    PyObject *weakrefs;
};

/* A call under way. */
struct transfer {
    struct channel *channel;
    struct sf_ring_slot slot;
    uint64_t bytes;
};

static bool enter(struct channel *channel)
{
    if (!channel->ring || channel->disposed) {
        PyErr_SetString(PyExc_RuntimeError, "the Channel is disposed: make a new one");
        return false;
    }
    channel->users++;
    return true;
}

static void leave(struct channel *channel)
{
    if (--channel->users == 0 && channel->disposed) {
        sf_ring_free(channel->ring);
        channel->ring = NULL;
    }
}

static void dispose(struct channel *channel)
{
    if (!channel->ring || channel->disposed)
        return;
    channel->disposed = true;
    channel->users++;
    if (channel->users > 1)
        sf_ring_wake_all(channel->ring);
    leave(channel);
}

static int channel_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"size", NULL};
    struct channel *channel = (struct channel *)self;
    PyObject *size = NULL;
    int64_t bytes = DEFAULT_BYTES;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:Channel", keywords, &size))
        return -1;
    if (channel->ring || channel->disposed) {
        PyErr_SetString(PyExc_RuntimeError, "a Channel is initialised once: make a new one");
        return -1;
    }
    if (sf_argument_integer(size, "size", SF_RING_MIN_BYTES, "in bytes", &bytes))
        return -1;
    int error = sf_ring_new(&channel->ring, (uint64_t)bytes);
    if (error) {
        sf_error(error, "cannot map the Channel's memory");
        return -1;
    }
    uint32_t number = sf_log_next_channel();
    sf_ring_set_number(channel->ring, number);
    sf_log_write(SF_EVENT_CHANNEL, SF_PHASE_INSTANT, number, (uint64_t)bytes, 0);
    return 0;
}

/* ---- sending ---- */

static int try_reserve(void *what)
{
    struct transfer *transfer = what;
    if (transfer->channel->disposed)
        return -ESHUTDOWN;
    return sf_ring_reserve(transfer->channel->ring, transfer->bytes, &transfer->slot);
}

static int sleep_for_room(void *what, int64_t timeout_ns)
{
    struct transfer *transfer = what;
    return sf_ring_wait_room(transfer->channel->ring, transfer->bytes, timeout_ns);
}

/* Raises for a wait that did not end well. Returns NULL. */
static PyObject *refuse(struct transfer *transfer, int error, bool sending)
{
    long long bytes = (long long)transfer->bytes, size = (long long)sf_ring_capacity(transfer->channel->ring);
    if (error == SF_RAISED)
        return NULL;
    if (error == -ESHUTDOWN)
        PyErr_SetString(PyExc_RuntimeError, "the Channel was disposed by another thread meanwhile");
    else if (error == -EMSGSIZE)
        PyErr_Format(PyExc_OverflowError, "the message has %lld bytes: it can never fit into the Channel's %lld", bytes,
                     size);
    else if (error == -EAGAIN && sending)
        PyErr_Format(PyExc_OverflowError,
                     "no room in the Channel for a message of %lld bytes: receive first, or send "
                     "with block=True",
                     bytes);
    else if (error == -EAGAIN)
        PyErr_SetString(PyExc_IndexError, "no message in the Channel");
    else if (error == -ETIMEDOUT)
        PyErr_Format(PyExc_TimeoutError, sending ? "no room in the Channel within the timeout"
                                                 : "no message in the Channel within the timeout");
    else if (error == -EPIPE && sending)
        PyErr_SetString(PyExc_BrokenPipeError, "nobody is left to make room: no other process has this Channel");
    else if (error == -EPIPE)
        PyErr_SetString(PyExc_EOFError, "nobody is left to send: no other process has this Channel");
    else
        sf_error(error, sending ? "cannot send" : "cannot receive");
    return NULL;
}

/* Sends a packed message. The SEND span's end is stamped and written before the message is visible, so that every
 * message that was received was logged as sent. 0, or -1 with an exception. */
static int send_message(struct channel *channel, const struct sf_message *message, bool block, int64_t deadline)
{
    struct transfer transfer = {.channel = channel, .bytes = message->bytes};
    struct sf_waiting waiting = {try_reserve, sleep_for_room, &transfer, SF_WAIT_ROOM, sf_ring_number(channel->ring)};
    int error = sf_wait(&waiting, block, deadline);
    if (error) {
        refuse(&transfer, error, true);
        return -1;
    }
    sf_message_put(message, channel->ring, &transfer.slot);
    sf_log_write(SF_EVENT_SEND, SF_PHASE_END, sf_ring_number(channel->ring), transfer.slot.seq, message->bytes);
    sf_ring_publish(channel->ring, &transfer.slot);
    return 0;
}

static PyObject *send(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords, bool raw)
{
    static const char *const names[] = {"obj", "block", "timeout"};
    static const char *const raw_names[] = {"buffer", "block", "timeout"};
    struct channel *channel = (struct channel *)self;
    PyObject *given[3] = {NULL, Py_False, NULL};
    int64_t deadline;
    if (sf_argument_fast(raw ? "send_bytes" : "send_pyobj", raw ? raw_names : names, 3, 1, args, count, keywords,
                         given))
        return NULL;
    int block = PyObject_IsTrue(given[1]), failed;
    if (block < 0 || sf_wait_deadline(given[2], &deadline) || !enter(channel))
        return NULL;
    uint32_t number = sf_ring_number(channel->ring);
    struct sf_message message;
    sf_log_write(SF_EVENT_SEND, SF_PHASE_BEGIN, number, 0, 0);
    failed = raw ? sf_message_pack_buffer(&message, given[0]) : sf_message_pack(&message, given[0]);
    if (!failed)
        failed = send_message(channel, &message, block, deadline);
    if (failed)
        sf_log_write(SF_EVENT_SEND, SF_PHASE_END, number, 0, 0);
    sf_message_fini(&message);
    leave(channel);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *channel_send_pyobj(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    return send(self, args, count, keywords, false);
}

static PyObject *channel_send_bytes(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    return send(self, args, count, keywords, true);
}

/* ---- receiving ---- */

static int try_claim(void *what)
{
    struct transfer *transfer = what;
    if (transfer->channel->disposed)
        return -ESHUTDOWN;
    return sf_ring_claim(transfer->channel->ring, &transfer->slot);
}

static int sleep_for_message(void *what, int64_t timeout_ns)
{
    struct transfer *transfer = what;
    return sf_ring_wait_message(transfer->channel->ring, timeout_ns);
}

static PyObject *receive(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords, bool raw)
{
    static const char *const names[] = {"block", "timeout"};
    struct channel *channel = (struct channel *)self;
    PyObject *given[2] = {Py_True, NULL}, *object = NULL;
    int64_t deadline;
    if (sf_argument_fast(raw ? "receive_bytes" : "receive_pyobj", names, 2, 0, args, count, keywords, given))
        return NULL;
    int block = PyObject_IsTrue(given[0]);
    if (block < 0 || sf_wait_deadline(given[1], &deadline) || !enter(channel))
        return NULL;
    struct transfer transfer = {.channel = channel};
    uint32_t number = sf_ring_number(channel->ring);
    struct sf_waiting waiting = {try_claim, sleep_for_message, &transfer, SF_WAIT_MESSAGE, number};
    sf_log_write(SF_EVENT_RECEIVE, SF_PHASE_BEGIN, number, 0, 0);
    int error = sf_wait(&waiting, block, deadline);
    if (error) {
        sf_log_write(SF_EVENT_RECEIVE, SF_PHASE_END, number, 0, 0);
        refuse(&transfer, error, false);
    } else {
        sf_log_write_fenced(SF_EVENT_RECEIVE, SF_PHASE_END, number, transfer.slot.seq, transfer.slot.bytes);
        object = sf_message_open(channel->ring, &transfer.slot, 0, raw);
    }
    leave(channel);
    return object;
}

static PyObject *channel_receive_pyobj(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    return receive(self, args, count, keywords, false);
}

static PyObject *channel_receive_bytes(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    return receive(self, args, count, keywords, true);
}

static Py_ssize_t channel_length(PyObject *self)
{
    struct channel *channel = (struct channel *)self;
    if (!enter(channel))
        return -1;
    Py_ssize_t length = (Py_ssize_t)sf_ring_length(channel->ring);
    leave(channel);
    return length;
}

/* ---- the rest ---- */

static PyObject *channel_dispose(PyObject *self, PyObject *unused)
{
    (void)unused;
    dispose((struct channel *)self);
    Py_RETURN_NONE;
}

static PyObject *channel_enter(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct channel *channel = (struct channel *)self;
    if (!enter(channel))
        return NULL;
    leave(channel);
    return Py_NewRef(self);
}

static PyObject *channel_exit(PyObject *self, PyObject *args)
{
    (void)args;
    dispose((struct channel *)self);
    Py_RETURN_FALSE;
}

static PyObject *channel_reduce(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    PyErr_SetString(PyExc_TypeError, "a Channel cannot be pickled: processes get it by being forked after it was made");
    return NULL;
}

static PyObject *channel_repr(PyObject *self)
{
    struct channel *channel = (struct channel *)self;
    if (!channel->ring || channel->disposed)
        return PyUnicode_FromString("<snakefish.Channel, disposed>");
    return PyUnicode_FromFormat("<snakefish.Channel %u, %lld bytes>", (unsigned)sf_ring_number(channel->ring),
                                (long long)sf_ring_capacity(channel->ring));
}

/* An empty channel is no less a channel. */
static int channel_bool(PyObject *self)
{
    (void)self;
    return 1;
}

static void channel_dealloc(PyObject *self)
{
    struct channel *channel = (struct channel *)self;
    PyTypeObject *type = Py_TYPE(self);
    if (channel->weakrefs)
        PyObject_ClearWeakRefs(self);
    sf_ring_free(channel->ring);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"send_pyobj", (PyCFunction)(void (*)(void))channel_send_pyobj, METH_FASTCALL | METH_KEYWORDS,
     "send_pyobj(obj, block=False, timeout=None)\n--\n\nPickles obj and puts it into the channel, whole or not at "
     "all.\n\n"
     "OverflowError when there is no room; with block=True it waits for room instead, at most timeout seconds (None:\n"
     "for ever; TimeoutError), but not when the message can never fit. BrokenPipeError when it waits and no other "
     "live\n"
     "process or thread could make room. Whatever pickling raises comes through."},
    {"receive_pyobj", (PyCFunction)(void (*)(void))channel_receive_pyobj, METH_FASTCALL | METH_KEYWORDS,
     "receive_pyobj(block=True, timeout=None)\n--\n\nTakes the oldest message and unpickles it.\n\n"
     "Blocks until there is one, at most timeout seconds (None: for ever; TimeoutError); with block=False IndexError\n"
     "when there is none. EOFError when it waits and no other live process or thread could send."},
    {"send_bytes", (PyCFunction)(void (*)(void))channel_send_bytes, METH_FASTCALL | METH_KEYWORDS,
     "send_bytes(buffer, block=False, timeout=None)\n--\n\nAs send_pyobj, for the bytes of any object with a "
     "contiguous\n"
     "buffer, without pickling them."},
    {"receive_bytes", (PyCFunction)(void (*)(void))channel_receive_bytes, METH_FASTCALL | METH_KEYWORDS,
     "receive_bytes(block=True, timeout=None)\n--\n\nAs receive_pyobj, for a message of bytes, which it returns as "
     "bytes.\n\n"
     "TypeError when the message was another object; it is gone then."},
    {"dispose", channel_dispose, METH_NOARGS,
     "dispose()\n--\n\nGives this process's share of the memory back; other processes keep theirs. Messages in it are\n"
     "lost with the last of them. Calling it again does nothing."},
    {"__enter__", channel_enter, METH_NOARGS, NULL},
    {"__exit__", channel_exit, METH_VARARGS, NULL},
    {"__reduce__", channel_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct channel, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(doc,
             "Channel(size=2147483648)\n--\n\n"
             "A queue of objects in shared memory, for any number of senders and receivers in this process and\n"
             "those forked from it after it was made.\n\n"
             "size: bytes of the ring, at least 1024; each message takes 32 and its pickle, rounded up to 8. Memory\n"
             "is taken when it is touched, not before. ValueError: too small; MemoryError: no address space left.\n"
             "A message is received once, whole; messages of one sender arrive in order. As a context manager it\n"
             "disposes of itself.");

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)doc},   {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, channel_init}, {Py_tp_dealloc, channel_dealloc},
    {Py_tp_repr, channel_repr}, {Py_sq_length, channel_length},
    {Py_nb_bool, channel_bool}, {Py_tp_methods, methods},
    {Py_tp_members, members},   {0, NULL},
};

PyType_Spec sf_channel_spec = {
    .name = "snakefish.Channel",
    .basicsize = sizeof(struct channel),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
