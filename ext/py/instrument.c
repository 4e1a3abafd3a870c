/* What snakefish/_instrument.py wraps the methods of others in: events for their messages, numbered by core/pipes.
 *
 * A call under way is a frame on its thread's stack. A wrapper opens one, the wrapper of what that calls finds it
 * there, and whoever opened it closes it, also when the call raises; so they nest. The events of a message:
 *
 *     send:      SEND begin, (pickling), SEND end, WRITE begin, (write; in a WAIT if the pipe is full), WRITE end
 *     receive:   RECEIVE begin, WAIT begin, (until there is something), WAIT end, (read), COPIED, RECEIVE end
 *
 * SEND ends before the first byte is written, since the message may be received before its write returns.
 * A session may start while a thread is in here, waiting: then no END is written without its BEGIN.
 * `active` is false before trace.instrument and after trace.uninstrument: wrappers that somebody kept do nothing
 * then. */
#include "py/types.h"

#include "core/log.h"
#include "core/pipes.h"
#include "py/errors.h"
#include "py/message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

enum { DEPTH = 8 }; /* deeper calls, of handlers in handlers, are not told */

struct frame {
    uint32_t pipe;
    enum sf_event_kind kind; /* SEND or RECEIVE */
    bool open;               /* its END is still to come */
    enum sf_wait waiting;    /* in a WAIT, for that; 0: in none */
    bool busy;               /* it is the pipe's writer, or reading */
    bool own;                /* opened by the inner wrapper */
    uint64_t from;           /* when it began to read */
    /* in which era of the log, plus 1, these BEGINs were written; 0: they were not, tracing was off */
    uint32_t told, told_wait, told_write;
};

static bool active;
static __thread struct frame frames[DEPTH] __attribute__((tls_model("initial-exec")));
static __thread unsigned depth __attribute__((tls_model("initial-exec")));
static __thread uint64_t last_bytes __attribute__((tls_model("initial-exec"))); /* of this thread's last send */

static struct frame *top(void)
{
    return depth && depth <= DEPTH ? &frames[depth - 1] : NULL;
}

static uint32_t era(void)
{
    return sf_log_enabled() ? sf_log_texts_era() + 1 : 0;
}

static struct frame *push(uint32_t pipe, enum sf_event_kind kind, bool own)
{
    if (++depth > DEPTH)
        return NULL;
    frames[depth - 1] = (struct frame){.pipe = pipe, .kind = kind, .open = true, .own = own, .told = era()};
    sf_log_write(kind, SF_PHASE_BEGIN, sf_pipes_channel(pipe), 0, 0);
    return top();
}

static void finish(struct frame *frame, uint64_t seq, uint64_t bytes)
{
    uint32_t channel = sf_pipes_channel(frame->pipe);
    frame->open = false;
    if (frame->told != era()) {
        if (!active || !seq)
            return;
        sf_log_write(frame->kind, SF_PHASE_BEGIN, channel, 0, 0); /* the message is to be told all the same */
    }
    if (frame->kind == SF_EVENT_RECEIVE)
        sf_log_write_fenced(SF_EVENT_RECEIVE, SF_PHASE_END, channel, seq, bytes);
    else
        sf_log_write(SF_EVENT_SEND, SF_PHASE_END, channel, seq, bytes);
}

/* The frame of the wrapper around this one; NULL: there is none. */
static struct frame *around(uint32_t pipe, enum sf_event_kind kind)
{
    struct frame *frame = top();
    return frame && frame->open && frame->kind == kind && frame->pipe == pipe ? frame : NULL;
}

/* That one, or a new one. NULL: too deep. */
static struct frame *find(uint32_t pipe, enum sf_event_kind kind)
{
    struct frame *frame = around(pipe, kind);
    return frame ? frame : push(pipe, kind, true);
}

static void wait_begin(struct frame *frame, enum sf_wait reason)
{
    if (frame->waiting)
        return;
    frame->waiting = reason;
    frame->told_wait = era();
    sf_log_write(SF_EVENT_WAIT, SF_PHASE_BEGIN, 0, reason, sf_pipes_channel(frame->pipe));
}

static void wait_end(struct frame *frame)
{
    if (frame->waiting && frame->told_wait == era())
        sf_log_write(SF_EVENT_WAIT, SF_PHASE_END, 0, frame->waiting, sf_pipes_channel(frame->pipe));
    frame->waiting = 0;
}

/* Ends the call, and its spans where they are still open: without a message. */
static void pop(void)
{
    struct frame *frame = top();
    if (frame)
        wait_end(frame);
    if (frame && frame->open)
        finish(frame, 0, 0);
    if (depth)
        depth--;
}

static bool is_ready(int fd, short events)
{
    struct pollfd one = {.fd = fd, .events = events};
    return poll(&one, 1, 0) != 0;
}

/* ---- arguments: all are small integers, given by our own Python ---- */

static int take(PyObject *const *args, Py_ssize_t given, Py_ssize_t wanted, long long *out)
{
    if (given != wanted) {
        PyErr_Format(PyExc_TypeError, "%zd arguments are wanted, not %zd", wanted, given);
        return -1;
    }
    for (Py_ssize_t i = 0; i < given; i++) {
        out[i] = PyLong_AsLongLong(args[i]);
        if (out[i] == -1 && PyErr_Occurred())
            return -1;
    }
    return 0;
}

static bool is_pipe(long long number)
{
    return active && number > 0 && number <= SF_PIPES_MAX;
}

/* ---- sending ---- */

static PyObject *send_begin(PyObject *module, PyObject *pipe)
{
    (void)module;
    long number = PyLong_AsLong(pipe);
    if (number == -1 && PyErr_Occurred())
        return NULL;
    if (!is_pipe(number) || around((uint32_t)number, SF_EVENT_SEND))
        Py_RETURN_FALSE;
    push((uint32_t)number, SF_EVENT_SEND, false);
    Py_RETURN_TRUE;
}

static PyObject *call_end(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    pop();
    Py_RETURN_NONE;
}

/* Becomes the pipe's writer: others may write at the same time, if they do not lock. 0, or -1 with an exception. */
static int become_writer(uint32_t pipe, struct frame *frame, uint64_t *seq)
{
    struct timespec pause = {0, 20000};
    while (sf_pipes_write_begin(pipe, seq) == -EAGAIN) {
        if (frame)
            wait_begin(frame, SF_WAIT_ROOM); /* the other one is not done for want of it, most likely */
        Py_BEGIN_ALLOW_THREADS;
        nanosleep(&pause, NULL);
        Py_END_ALLOW_THREADS;
        if (pause.tv_nsec < 1000000)
            pause.tv_nsec *= 2;
        if (sf_check_signals())
            return -1;
    }
    if (frame)
        wait_end(frame);
    return 0;
}

static PyObject *write_end(uint32_t pipe, PyObject *written)
{
    sf_pipes_write_end(pipe, written != NULL);
    struct frame *frame = top();
    if (frame && frame->busy) {
        frame->busy = false;
        wait_end(frame);
        if (frame->told_write == era())
            sf_log_write(SF_EVENT_WRITE, SF_PHASE_END, sf_pipes_channel(frame->pipe), written ? last_bytes : 0, 0);
    }
    if (!frame || frame->own)
        pop();
    return written;
}

/* One call, not two around the write: an exception of a signal handler in between would leave this thread the
 * pipe's writer, and others would wait for its end for ever. */
static PyObject *write_message(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    long long given[3]; /* pipe, bytes, descriptor */
    if (count != 6 || take(args + 3, 3, 3, given))
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "6 arguments are wanted, not %zd", count);
    PyObject *original = args[0], *connection = args[1], *buffer = args[2];
    if (!is_pipe(given[0]))
        return PyObject_CallFunctionObjArgs(original, connection, buffer, NULL);
    uint32_t pipe = (uint32_t)given[0], channel = sf_pipes_channel(pipe);
    uint64_t seq;
    struct frame *frame = find(pipe, SF_EVENT_SEND);
    if (become_writer(pipe, frame, &seq)) {
        if (!frame || frame->own)
            pop();
        return NULL;
    }
    last_bytes = (uint64_t)given[1];
    if (frame) {
        finish(frame, seq, last_bytes);
        frame->busy = true;
        frame->told_write = era();
        sf_log_write(SF_EVENT_WRITE, SF_PHASE_BEGIN, channel, 0, 0);
        if (!is_ready((int)given[2], POLLOUT))
            wait_begin(frame, SF_WAIT_ROOM); /* it is the write that waits, if it does: the pipe may take it yet */
    }
    return write_end(pipe, PyObject_CallFunctionObjArgs(original, connection, buffer, NULL));
}

/* ---- receiving ---- */

static PyObject *receive_begin(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    long long given[3]; /* pipe, descriptor, whether to look for a message now: a lock is to be waited for first */
    if (take(args, count, 3, given))
        return NULL;
    if (!is_pipe(given[0]) || around((uint32_t)given[0], SF_EVENT_RECEIVE))
        Py_RETURN_FALSE;
    struct frame *frame = push((uint32_t)given[0], SF_EVENT_RECEIVE, false);
    if (frame && given[2] && !is_ready((int)given[1], POLLIN))
        wait_begin(frame, SF_WAIT_MESSAGE);
    Py_RETURN_TRUE;
}

/* Sleeps until there is something to read; not where reading would not either. 0, or -1 with an exception. */
static int wait_readable(struct frame *frame, int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_NONBLOCK))
        return 0;
    struct pollfd one = {.fd = fd, .events = POLLIN};
    int error;
    wait_begin(frame, SF_WAIT_MESSAGE);
    do {
        Py_BEGIN_ALLOW_THREADS;
        error = poll(&one, 1, -1) < 0 ? errno : 0;
        Py_END_ALLOW_THREADS;
        if (error == EINTR && sf_check_signals())
            return -1;
    } while (error == EINTR);
    return 0;
}

static PyObject *read_begin(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    long long given[2]; /* pipe, descriptor */
    if (take(args, count, 2, given))
        return NULL;
    if (!is_pipe(given[0]))
        Py_RETURN_FALSE;
    struct frame *frame = find((uint32_t)given[0], SF_EVENT_RECEIVE);
    if (frame) {
        if (!is_ready((int)given[1], POLLIN) && wait_readable(frame, (int)given[1])) {
            if (frame->own)
                pop();
            return NULL;
        }
        wait_end(frame);
        frame->busy = true;
        frame->from = sf_log_stretch_begin();
    }
    sf_pipes_read_begin((uint32_t)given[0]);
    Py_RETURN_TRUE;
}

static PyObject *read_end(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    long long given[2]; /* pipe; bytes, -1: nothing was read, -2: an error came in between */
    if (take(args, count, 2, given))
        return NULL;
    uint32_t pipe = (uint32_t)given[0];
    uint64_t seq = 0;
    if (given[1] == -1)
        sf_pipes_read_quit(pipe);
    else if (given[1] < 0)
        sf_pipes_read_lost(pipe);
    else
        seq = sf_pipes_read_end(pipe);
    struct frame *frame = top();
    if (frame && frame->busy) {
        frame->busy = false;
        if (given[1] >= SF_MESSAGE_TOLD_BYTES)
            sf_log_stretch(SF_EVENT_COPIED, frame->from, (uint64_t)given[1]);
        finish(frame, seq, given[1] > 0 ? (uint64_t)given[1] : 0);
    }
    if (!frame || frame->own)
        pop();
    Py_RETURN_NONE;
}

/* ---- waiting without a call of its own ---- */

static PyObject *wait_for(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    long long given[3]; /* pipe, 0: none; reason, phase */
    if (take(args, count, 3, given))
        return NULL;
    struct frame *frame = top();
    if (!active || (given[0] && !is_pipe(given[0])) || !sf_log_enabled() ||
        (given[2] == SF_PHASE_BEGIN && frame && frame->waiting))
        Py_RETURN_FALSE;
    sf_log_write(SF_EVENT_WAIT, (enum sf_phase)given[2], 0, (uint64_t)given[1],
                 given[0] ? sf_pipes_channel((uint32_t)given[0]) : 0);
    Py_RETURN_TRUE;
}

/* ---- pipes ---- */

static void announce(uint32_t pipe)
{
    sf_log_write(SF_EVENT_CHANNEL, SF_PHASE_INSTANT, sf_pipes_channel(pipe), sf_pipes_capacity(pipe), 0);
}

void sf_instrument_announce(void)
{
    sf_pipes_each(announce);
}

static PyObject *declare(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    long long given[3]; /* reader, writer, duplex */
    if (take(args, count, 3, given))
        return NULL;
    if (active && sf_pipes_declare((int)given[0], (int)given[1], given[2]) == 0) {
        struct sf_pipe_end end = sf_pipes_find((int)given[1]);
        announce(end.out);
        if (end.in != end.out)
            announce(end.in);
    }
    Py_RETURN_NONE;
}

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

/* (the pipe that the descriptor writes into, the one it reads from): 0 for what is not known */
static PyObject *find_pipes(PyObject *module, PyObject *descriptor)
{
    (void)module;
    long fd = PyLong_AsLong(descriptor);
    if (fd == -1 && PyErr_Occurred())
        return NULL;
    struct sf_pipe_end end = {0, 0};
    if (active)
        end = sf_pipes_find((int)fd);
    if (active && !end.out && sf_pipes_full())
        tell_full();
    return Py_BuildValue("II", end.out, end.in);
}

static PyObject *set_active(PyObject *module, PyObject *on)
{
    (void)module;
    bool before = active, now = PyObject_IsTrue(on);
    int error = now ? sf_pipes_init() : 0;
    if (error)
        return sf_error(error, "cannot map memory for the counts of messages");
    active = now;
    if (before && !now)
        sf_pipes_forget(); /* this process counts no more */
    Py_RETURN_NONE;
}

/* ---- tasks and the rest: not often, so one function for all ---- */

static PyObject *write_event(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    long long given[5]; /* kind, phase, object, a, b */
    if (take(args, count, 5, given))
        return NULL;
    sf_log_write_fenced((enum sf_event_kind)given[0], (enum sf_phase)given[1], (uint32_t)given[2],
                        (uint64_t)given[3], (uint64_t)given[4]);
    Py_RETURN_NONE;
}

/* The tsc from which a stretch is measured; 0: events are not wanted. */
static PyObject *stretch_begin(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyLong_FromUnsignedLongLong(active ? sf_log_stretch_begin() : 0);
}

static PyObject *pickled(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    long long given[2]; /* from, bytes */
    if (take(args, count, 2, given))
        return NULL;
    sf_log_stretch(SF_EVENT_PICKLED, (uint64_t)given[0], (uint64_t)given[1]);
    Py_RETURN_NONE;
}

static PyObject *new_task(PyObject *module, PyObject *args)
{
    (void)module;
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

static PyObject *fork_as(PyObject *module, PyObject *args)
{
    (void)module;
    unsigned task;
    const char *name;
    if (!PyArg_ParseTuple(args, "Iz:_instrument_fork_as", &task, &name))
        return NULL;
    sf_log_fork_as(task, name);
    Py_RETURN_NONE;
}

static PyObject *family(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyLong_FromUnsignedLong(sf_log_family());
}

static PyObject *sent_bytes(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyLong_FromUnsignedLongLong(last_bytes);
}

/* In a child: the frames of the thread that forked it are its parent's. */
static PyObject *in_child(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    depth = 0;
    Py_RETURN_NONE;
}

static PyObject *uncount(PyObject *module, PyObject *descriptor)
{
    (void)module;
    long fd = PyLong_AsLong(descriptor);
    if (fd == -1 && PyErr_Occurred())
        return NULL;
    struct sf_pipe_end end = {0, 0};
    if (active)
        end = sf_pipes_find((int)fd);
    if (end.out)
        sf_pipes_read_lost(end.out);
    if (end.in)
        sf_pipes_read_lost(end.in);
    Py_RETURN_NONE;
}

#define FAST(name) (PyCFunction)(void (*)(void)) name, METH_FASTCALL

PyMethodDef sf_instrument_functions[] = {
    {"_instrument_active", set_active, METH_O, "Turns the functions below on or off."},
    {"_instrument_declare", FAST(declare), "A new pair of descriptors: reader, writer, duplex."},
    {"_instrument_find", find_pipes, METH_O, "The pipes of a descriptor: (out, in)."},
    {"_instrument_uncount", uncount, METH_O, "A descriptor goes to a process that does not count."},
    {"_instrument_send_begin", send_begin, METH_O, "Before pickling: pipe. True: call_end has to follow."},
    {"_instrument_write", FAST(write_message),
     "Calls original(connection, buffer): those, pipe, bytes, descriptor."},
    {"_instrument_receive_begin", FAST(receive_begin),
     "Before a receive: pipe, descriptor, whether it waits before it reads."},
    {"_instrument_read_begin", FAST(read_begin), "Before reading, waits: pipe, descriptor."},
    {"_instrument_read_end", FAST(read_end),
     "After reading: pipe; bytes, -1: nothing was read, -2: it was broken off."},
    {"_instrument_call_end", call_end, METH_NOARGS, "Ends what send_begin or receive_begin began."},
    {"_instrument_wait", FAST(wait_for), "WAIT: pipe, reason, phase. True: it was written."},
    {"_instrument_stretch_begin", stretch_begin, METH_NOARGS, "When something began."},
    {"_instrument_pickled", FAST(pickled), "PICKLED: when it began, bytes."},
    {"_instrument_event", FAST(write_event), "Any event: kind, phase, object, a, b."},
    {"_instrument_new_task", new_task, METH_VARARGS, "Name, kind: the number of a task of that name."},
    {"_instrument_fork_as", fork_as, METH_VARARGS, "Task, name: what the next fork of this thread makes."},
    {"_instrument_family", family, METH_NOARGS, "Within which task numbers mean something."},
    {"_instrument_sent_bytes", sent_bytes, METH_NOARGS, "Bytes of this thread's last message."},
    {"_instrument_in_child", in_child, METH_NOARGS, "In a child: forgets the parent's calls."},
    {NULL, NULL, 0, NULL},
};
