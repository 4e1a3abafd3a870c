/* snakefish.Channel: pickled objects over a core ring.
 *
 * `users` counts the calls under way, which may sleep without the interpreter lock. dispose() in another thread wakes
 * them, and the call that ends last frees the ring. Invariant: ring is not NULL while users > 0. The fields are written
 * and read under the interpreter lock; the ring synchronises processes by itself. */
#include "py/base/types.h"

#include <assert.h>
#include <errno.h>

#include "core/log/log.h"
#include "core/ring/ring_idle.h"
#include "core/ring/ring_wait.h"
#include "py/base/arguments.h"
#include "py/base/errors.h"
#include "py/base/interruption.h"
#include "py/base/wait.h"
#include "py/message/message.h"
#include "py/trace/channels.h"
#include "py/trace/texts.h"

#define DEFAULT_BYTES (INT64_C(2) << 30)

struct channel {
    PyObject_HEAD struct sf_ring *ring; /* owned; NULL: disposed, or never initialised */
    unsigned users;
    bool disposed;
    PyObject *weakrefs;
};

/* A message that a call sends or receives. */
struct transfer {
    struct channel *channel;
    struct sf_ring_slot slot;
    uint64_t bytes;
    bool for_ever; /* the call blocks, and has no timeout */
    bool in_vain;  /* a whole sleep has passed without result */
    bool is_idle;  /* this process does nothing else: see core/ring/ring_idle.h */
    bool is_busy;  /* another process keeps the ring's lock */
};

/* Of a message: without its label. What counts, and what traces show. */
static uint64_t own_bytes(uint64_t bytes)
{
    return bytes - SF_MESSAGE_LABEL_BYTES;
}

static bool begin_use(struct channel *channel)
{
    if (!channel->ring || channel->disposed) {
        PyErr_SetString(PyExc_RuntimeError, channel->disposed ? "the Channel is disposed: make a new one"
                                                              : "__init__ was not called, or failed");
        return false;
    }
    channel->users++;
    return true;
}

static void end_use(struct channel *channel)
{
    assert(channel->ring && channel->users > 0);
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
    end_use(channel);
}

/* Makes the ring. 0, or -1 with MemoryError. */
static int make_ring(struct channel *channel, uint64_t bytes, const char *name, Py_ssize_t name_bytes)
{
    struct sf_ring *ring;
    int error = sf_ring_new_counting(&ring, bytes, SF_MESSAGE_LABEL_BYTES);
    if (!error && name) {
        error = sf_ring_set_name(ring, name, (size_t)name_bytes);
        if (error)
            sf_ring_free(ring);
    }
    if (error) {
        sf_error(error, "cannot map the Channel's memory");
        return -1;
    }
    sf_ring_set_number(ring, sf_log_next_channel());
    channel->ring = ring;
    return 0;
}

static int channel_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"size", "name", NULL};
    struct channel *channel = (struct channel *)self;
    PyObject *size = NULL, *name = Py_None;
    int64_t bytes = DEFAULT_BYTES;
    const char *utf8 = NULL;
    Py_ssize_t name_bytes = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O$O:Channel", keywords, &size, &name))
        return -1;
    if (channel->ring || channel->disposed) {
        PyErr_SetString(PyExc_RuntimeError, "a Channel is initialised once: make a new one");
        return -1;
    }
    if (size == Py_True) { /* 1 as an int, and surely not meant so */
        PyErr_SetString(PyExc_ValueError, "size must be a number of bytes, not True");
        return -1;
    }
    if (sf_argument_integer(size, "size", 1, "in bytes", &bytes))
        return -1;
    if (name != Py_None && (!sf_texts_check(name) || !(utf8 = PyUnicode_AsUTF8AndSize(name, &name_bytes))))
        return -1;
    if (make_ring(channel, (uint64_t)bytes, utf8, name_bytes))
        return -1;
    sf_channels_log(channel->ring);
    return 0;
}

/* ---- sending ---- */

/* What a try has found. If the call is to sleep again, finds out whether this process may call itself idle meanwhile.
 * That is worth its time only when something does not come soon. */
static int tried(struct transfer *transfer, int got)
{
    transfer->is_busy = got == -EBUSY;
    if (got == -EAGAIN && transfer->for_ever && transfer->in_vain) {
        int threads = sf_wait_has_other_threads();
        if (threads < 0)
            return SF_RAISED;
        transfer->is_idle = !threads;
    }
    return got;
}

static int slept(struct transfer *transfer, int got)
{
    transfer->in_vain = got == -ETIMEDOUT;
    return got;
}

/* Waits with what tried() and slept() need. */
static int wait_for(const struct sf_waiting *waiting, struct transfer *transfer, bool block, int64_t deadline)
{
    transfer->for_ever = block && deadline == SF_FOREVER;
    int got = sf_wait(waiting, block, deadline);
    if (!block)
        sf_wait_polled(got != -EAGAIN);
    return got;
}

static int try_reserve(void *what)
{
    struct transfer *transfer = what;
    if (transfer->channel->disposed)
        return -ESHUTDOWN;
    return tried(transfer, sf_ring_reserve(transfer->channel->ring, transfer->bytes, &transfer->slot));
}

static int sleep_for_room(void *what, int64_t timeout_ns)
{
    struct transfer *transfer = what;
    struct sf_ring *ring = transfer->channel->ring;
    return slept(transfer, transfer->is_idle ? sf_ring_wait_room_idle(ring, transfer->bytes, timeout_ns)
                                             : sf_ring_wait_room(ring, transfer->bytes, timeout_ns));
}

/* Raises for a wait that did not end with 0. Returns NULL. */
static PyObject *raise_failure(struct transfer *transfer, int error, bool sending)
{
    long long bytes = (long long)own_bytes(transfer->bytes),
              size = (long long)sf_ring_capacity(transfer->channel->ring);
    if (error == SF_RAISED)
        return NULL;
    if (error == -ESHUTDOWN)
        PyErr_SetString(PyExc_RuntimeError, "the Channel was disposed by another thread meanwhile");
    else if (error == -EMSGSIZE)
        PyErr_Format(PyExc_OverflowError, "the message has %lld bytes: it can never fit into the Channel's %lld", bytes,
                     size);
    else if (transfer->is_busy && error == -EAGAIN)
        PyErr_SetString(sending ? PyExc_OverflowError : PyExc_IndexError,
                        "the process that has locked the Channel does not go on (was it stopped?): try again later, or "
                        "with block=True");
    else if (transfer->is_busy && error == -ETIMEDOUT)
        PyErr_SetString(PyExc_TimeoutError,
                        "the process that has locked the Channel did not go on within the timeout (was it stopped?)");
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
        PyErr_SetString(PyExc_BrokenPipeError,
                        "no room in the Channel, and no other process is left that could receive");
    else if (error == -EPIPE)
        PyErr_SetString(PyExc_EOFError, "no message in the Channel, and no other process is left that could send");
    else
        sf_error(error, sending ? "cannot send" : "cannot receive");
    return NULL;
}

/* Sends a packed message. The SEND span's end is written before the message is visible, so that every message that was
 * received was logged as sent. 0, or -1 with an exception. */
static int send_packed(struct channel *channel, const struct sf_message *message, bool block, int64_t deadline)
{
    struct transfer transfer = {.channel = channel, .bytes = message->bytes};
    struct sf_waiting waiting = {try_reserve, sleep_for_room, &transfer, SF_WAIT_ROOM, sf_ring_number(channel->ring)};
    int error = wait_for(&waiting, &transfer, block, deadline);
    if (error) {
        raise_failure(&transfer, error, true);
        return -1;
    }
    sf_message_put(message, channel->ring, &transfer.slot);
    sf_log_write(SF_EVENT_SEND, SF_PHASE_END, sf_ring_number(channel->ring), transfer.slot.seq,
                 own_bytes(message->bytes));
    sf_ring_publish(channel->ring, &transfer.slot);
    return 0;
}

static PyObject *send_either(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords, bool raw)
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
    if (block < 0 || sf_wait_deadline(given[2], &deadline) || !begin_use(channel))
        return NULL;
    uint32_t number = sf_ring_number(channel->ring);
    struct sf_message message;
    sf_log_write(SF_EVENT_SEND, SF_PHASE_BEGIN, number, 0, 0);
    failed = raw ? sf_message_pack_buffer(&message, given[0]) : sf_message_pack(&message, given[0]);
    if (!failed)
        failed = send_packed(channel, &message, block, deadline);
    if (failed)
        sf_log_write(SF_EVENT_SEND, SF_PHASE_END, number, 0, 0);
    sf_message_fini(&message);
    end_use(channel);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *channel_send_pyobj(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    return send_either(self, args, count, keywords, false);
}

static PyObject *channel_send_bytes(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    return send_either(self, args, count, keywords, true);
}

/* ---- receiving ---- */

static int try_claim(void *what)
{
    struct transfer *transfer = what;
    if (transfer->channel->disposed)
        return -ESHUTDOWN;
    return tried(transfer, sf_ring_claim(transfer->channel->ring, &transfer->slot));
}

static int sleep_for_message(void *what, int64_t timeout_ns)
{
    struct transfer *transfer = what;
    struct sf_ring *ring = transfer->channel->ring;
    return slept(transfer, transfer->is_idle ? sf_ring_wait_message_idle(ring, timeout_ns)
                                             : sf_ring_wait_message(ring, timeout_ns));
}

static PyObject *receive_either(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords, bool raw)
{
    static const char *const names[] = {"block", "timeout"};
    struct channel *channel = (struct channel *)self;
    PyObject *given[2] = {Py_True, NULL}, *object = NULL;
    int64_t deadline;
    if (sf_argument_fast(raw ? "receive_bytes" : "receive_pyobj", names, 2, 0, args, count, keywords, given))
        return NULL;
    int block = PyObject_IsTrue(given[0]);
    if (block < 0 || sf_wait_deadline(given[1], &deadline) || !begin_use(channel))
        return NULL;
    struct transfer transfer = {.channel = channel};
    uint32_t number = sf_ring_number(channel->ring);
    struct sf_waiting waiting = {try_claim, sleep_for_message, &transfer, SF_WAIT_MESSAGE, number};
    sf_log_write(SF_EVENT_RECEIVE, SF_PHASE_BEGIN, number, 0, 0);
    int error = wait_for(&waiting, &transfer, block, deadline);
    if (error) {
        sf_log_write(SF_EVENT_RECEIVE, SF_PHASE_END, number, 0, 0);
        raise_failure(&transfer, error, false);
    } else {
        sf_log_write_fenced(SF_EVENT_RECEIVE, SF_PHASE_END, number, transfer.slot.seq, own_bytes(transfer.slot.bytes));
        object = sf_message_open(channel->ring, &transfer.slot, 0, raw);
        if (!object && sf_interruption_is_raised())
            sf_ring_give_back(channel->ring, &transfer.slot);
        else
            sf_ring_release(channel->ring, &transfer.slot);
    }
    end_use(channel);
    return object;
}

static PyObject *channel_receive_pyobj(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    return receive_either(self, args, count, keywords, false);
}

static PyObject *channel_receive_bytes(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    return receive_either(self, args, count, keywords, true);
}

static int try_length(void *what)
{
    struct transfer *transfer = what;
    return sf_ring_length(transfer->channel->ring, &transfer->bytes);
}

static Py_ssize_t channel_length(PyObject *self)
{
    struct channel *channel = (struct channel *)self;
    if (!begin_use(channel))
        return -1;
    struct transfer transfer = {.channel = channel};
    struct sf_waiting waiting = {try_length, sleep_for_message, &transfer, SF_WAIT_MESSAGE,
                                 sf_ring_number(channel->ring)};
    int error = sf_wait(&waiting, false, 0);
    if (error == -EAGAIN)
        PyErr_SetString(PyExc_RuntimeError, "the process that has locked the Channel does not go on (was it stopped?): "
                                            "its messages cannot be counted now");
    else if (error)
        raise_failure(&transfer, error, false);
    end_use(channel);
    return error ? -1 : (Py_ssize_t)transfer.bytes;
}

/* ---- what Python types need ---- */

static PyObject *channel_dispose(PyObject *self, PyObject *Py_UNUSED(unused))
{
    dispose((struct channel *)self);
    Py_RETURN_NONE;
}

static PyObject *channel_enter(PyObject *self, PyObject *Py_UNUSED(unused))
{
    struct channel *channel = (struct channel *)self;
    if (!begin_use(channel))
        return NULL;
    end_use(channel);
    return Py_NewRef(self);
}

static PyObject *channel_exit(PyObject *self, PyObject *args)
{
    (void)args;
    dispose((struct channel *)self);
    Py_RETURN_FALSE;
}

static PyObject *channel_reduce(PyObject *self, PyObject *Py_UNUSED(unused))
{
    (void)self;
    PyErr_SetString(PyExc_TypeError, "a Channel cannot be pickled: processes get it by being forked after it was made");
    return NULL;
}

static PyObject *channel_repr(PyObject *self)
{
    struct channel *channel = (struct channel *)self;
    if (!channel->ring || channel->disposed)
        return PyUnicode_FromString("<snakefish.Channel, disposed>");
    size_t name_bytes;
    const char *utf8 = sf_ring_name(channel->ring, &name_bytes);
    unsigned number = (unsigned)sf_ring_number(channel->ring);
    long long bytes = (long long)sf_ring_capacity(channel->ring);
    if (!utf8)
        return PyUnicode_FromFormat("<snakefish.Channel %u, %lld bytes>", number, bytes);
    PyObject *name = PyUnicode_DecodeUTF8(utf8, (Py_ssize_t)name_bytes, NULL), *repr = NULL;
    if (name)
        repr = PyUnicode_FromFormat("<snakefish.Channel %u, %R, %lld bytes>", number, name, bytes);
    Py_XDECREF(name);
    return repr;
}

/* Without this an empty Channel would be false, because it has a length. */
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
     "send_pyobj($self, obj, block=False, timeout=None)\n--\n\n"
     "Pickles obj and puts it into the channel, whole or not at all.\n\n"
     "With block=False it raises OverflowError when there is no room. With block=True it blocks until there is room,\n"
     "at most timeout seconds (None: for ever; TimeoutError when they pass). It raises OverflowError all the same for\n"
     "a message that can never fit, and BrokenPipeError when no other process or thread is left that could make\n"
     "room. What pickling raises comes through unchanged."},
    {"receive_pyobj", (PyCFunction)(void (*)(void))channel_receive_pyobj, METH_FASTCALL | METH_KEYWORDS,
     "receive_pyobj($self, block=True, timeout=None)\n--\n\n"
     "Takes the oldest message and returns the object that it holds, unpickled.\n\n"
     "Blocks until there is a message, at most timeout seconds (None: for ever; TimeoutError when they pass). With\n"
     "block=False it raises IndexError when there is none. EOFError when it would block and no other process or\n"
     "thread is left that could send: they have ended, or wait themselves for what nobody will do.\n\n"
     "What unpickling raises comes through unchanged, and then the message is lost. But it stays in the channel,\n"
     "as the oldest one, if the exception says nothing about it: Ctrl-C, MemoryError, or what a signal handler\n"
     "raised."},
    {"send_bytes", (PyCFunction)(void (*)(void))channel_send_bytes, METH_FASTCALL | METH_KEYWORDS,
     "send_bytes($self, buffer, block=False, timeout=None)\n--\n\n"
     "Sends the bytes of any object with a contiguous buffer, without pickling them. Blocks and raises as\n"
     "send_pyobj() does."},
    {"receive_bytes", (PyCFunction)(void (*)(void))channel_receive_bytes, METH_FASTCALL | METH_KEYWORDS,
     "receive_bytes($self, block=True, timeout=None)\n--\n\n"
     "Takes the oldest message, one of bytes, and returns them as bytes. Blocks and raises as receive_pyobj() does.\n\n"
     "TypeError when the message holds another object; that message is lost."},
    {"dispose", channel_dispose, METH_NOARGS,
     "dispose($self)\n--\n\n"
     "Unmaps the channel's memory in this process; other processes keep their mapping. The messages in it are lost\n"
     "when the last process has disposed of it or ended. Calling it again does nothing."},
    {"__enter__", channel_enter, METH_NOARGS, NULL},
    {"__exit__", channel_exit, METH_VARARGS, NULL},
    {"__reduce__", channel_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct channel, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(
    doc, "Channel(size=2147483648, *, name=None)\n--\n\n"
         "A queue of objects in shared memory, for any number of senders and receivers: in this process and\n"
         "in those forked from it after the Channel was made.\n\n"
         "size: bytes of the messages that it holds together, at least 1. A message counts the bytes of its pickle,\n"
         "len(pickle.dumps(obj, 5)); bytes objects and bytearrays are not pickled and count their length, at least 1.\n"
         "With large buffers, as those of numpy arrays, it may count a little less than the pickle. What the ring\n"
         "needs besides is reserved beside size, for 33 million messages and more. A message counts until it has been\n"
         "received and unpickled, and until those sent before it have been.\n\n"
         "Memory is used when a message is written into it, not before. The memory of a backlog goes back to the\n"
         "system, but for 8 MiB: when the Channel is drained, or found empty, up to 5 seconds after it had grown\n"
         "(the larger, the later, so that a stream of large messages is not slowed). A receive that waits does it;\n"
         "without any further call the memory stays until dispose().\n\n"
         "name: a str for people: repr() and traces show it.\n\n"
         "ValueError when size is too small, MemoryError when no address space is left. Each message is received\n"
         "once, whole; messages of one sender arrive in order. As a context manager it disposes of itself.");

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
