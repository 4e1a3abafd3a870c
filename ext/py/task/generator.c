/* snakefish.Generator: a generator function in a child process, in step with its parent or `prefetch` items ahead. This
 * is the parent's half and the Python type. generator_struct.h says how the halves work together; the child's half is
 * generator_child.c.
 *
 * Invariants: at most one item is asked for and not taken (awaited). One call at a time is in next() (busy), and ring
 * and control stay while it is. Everything here runs under the interpreter lock.
 *
 *     next():  pull pieces -> gather them (arrival) -> whole -> open
 *
 * An exception that interrupts any step leaves the item where it is: the next call of next() goes on from there. */
#include "py/base/types.h"

#include <errno.h>
#include <limits.h>

#include "core/log/log.h"
#include "core/os/futex.h"
#include "core/os/shm.h"
#include "core/result/stream.h"
#include "py/base/arguments.h"
#include "py/base/errors.h"
#include "py/base/interruption.h"
#include "py/base/wait.h"
#include "py/task/function.h"
#include "py/task/generator_child.h"
#include "py/task/generator_struct.h"
#include "py/task/task_state.h"

/* Frees ring and control, unless a thread in next() or this very process needs them. */
static void free_shared(struct sf_task *task)
{
    struct sf_generator *generator = sf_generator_of(task);
    if (generator->busy || sf_child_is_self(&generator->base.task.child))
        return;
    sf_ring_free(generator->ring);
    generator->ring = NULL;
    sf_shm_unmap(generator->control, sizeof *generator->control);
    generator->control = NULL;
    sf_arrival_clear(&generator->arrival);
    generator->pulled = generator->whole = false;
}

static void request_item(struct sf_generator *generator)
{
    atomic_fetch_add_explicit(&generator->control->asked, 1, memory_order_release);
    sf_futex_wake(&generator->control->asked, 1);
    generator->awaited = true;
}

static void stop_generator(struct sf_task *task)
{
    struct sf_generator *generator = sf_generator_of(task);
    if (sf_generator_stopped(generator))
        return;
    atomic_store_explicit(&generator->control->stop, 1, memory_order_release);
    /* changes the futex word, so that a child that is about to sleep on it does not */
    atomic_fetch_add_explicit(&generator->control->asked, 1, memory_order_release);
    sf_futex_wake(&generator->control->asked, INT_MAX);
    sf_ring_wake_all(generator->ring);
}

static void stop_at_exit(struct sf_child *child)
{
    stop_generator((struct sf_task *)((char *)child - offsetof(struct sf_task, child)));
}

/* Takes the pieces that are in the ring. 0: an item is whole, -EAGAIN, SF_RAISED or -errno. What raises loses nothing:
 * the next call goes on with the same piece. */
static int pull_item(struct sf_generator *generator)
{
    while (!generator->whole) {
        int error = generator->pulled ? 0
                                      : sf_stream_pull(generator->ring, &generator->piece_head, &generator->piece,
                                                       &generator->piece_bytes);
        if (error)
            return error;
        generator->pulled = true;
        int whole = sf_arrival_gather(&generator->arrival, generator->ring, &generator->piece_head, &generator->piece,
                                      generator->piece_bytes);
        if (whole < 0)
            return SF_RAISED;
        generator->pulled = false;
        generator->whole = whole;
    }
    return 0;
}

static int try_item(void *what)
{
    struct sf_generator *generator = what;
    if (!sf_child_is_ours(
            &generator->base.task.child)) /* a signal handler has called os.fork: the item is the parent's */
        return SF_RAISED;
    int got = pull_item(generator);
    if (got != -EAGAIN || !generator->check_child)
        return got;
    int alive = sf_child_wait(&generator->base.task.child, false, 0);
    if (alive)
        return alive;
    got = pull_item(generator); /* what the child sent before its death, and after our first pull */
    return got == -EAGAIN ? -ECHILD : got;
}

static int sleep_for_item(void *what, int64_t timeout_ns)
{
    struct sf_generator *generator = what;
    int slept = sf_ring_wait_message(generator->ring, timeout_ns);
    generator->check_child = sf_liveness_is_due(slept, &generator->checked_ns);
    return slept == -EPIPE ? -ETIMEDOUT : slept; /* a dead child may have sent its item: try_item finds out */
}

/* Returns the value of the item that is there, or raises what it raises. A new reference, or NULL with an exception. An
 * item whose opening is interrupted stays: the next call gets it. */
static PyObject *open_item(struct sf_generator *generator)
{
    struct sf_task *task = &generator->base.task;
    enum sf_tag tag = (enum sf_tag)generator->piece_head.tag;
    bool interrupted = false;
    if (tag == SF_TAG_EXITED && sf_child_wait(&task->child, true, SF_FOREVER) == SF_RAISED)
        return NULL;
    struct sf_outcome_origin origin = {task->child.pid, task->child.exit_status, task->name, "its item"};
    PyObject *item = sf_arrival_open(&generator->arrival), *outcome = NULL;
    if (!item) {
        interrupted = sf_interruption_is_raised();
        sf_outcome_open_message(tag, NULL, &origin); /* raises */
    } else if (tag != SF_TAG_RETURNED) {
        outcome = item;
        item = sf_outcome_open(tag, outcome, &origin, &interrupted);
    }
    Py_XDECREF(outcome);
    if (interrupted)
        return NULL;
    sf_arrival_clear(&generator->arrival);
    generator->whole = generator->awaited = false;
    if (generator->piece_head.number == SF_GENERATOR_LAST_ITEM)
        generator->exhausted = task->asked = true;
    return item;
}

/* Raises for a child that has died without an item. Returns NULL. */
static PyObject *raise_death(struct sf_generator *generator)
{
    struct sf_task *task = &generator->base.task;
    if (task->disposed)
        return PyErr_Format(PyExc_RuntimeError, "%U was disposed of by another call meanwhile", task->name);
    if (task->joined || sf_generator_stopped(generator)) { /* another call has joined it meanwhile */
        PyErr_SetNone(PyExc_StopIteration);
        return NULL;
    }
    if (sf_task_fetch(task))
        return NULL;
    if (task->tag == SF_TAG_RAISED || task->tag == SF_TAG_BROKEN) {
        sf_task_result(task); /* raises */
        if (task->raised)     /* else it was interrupted: the next call raises it */
            generator->exhausted = task->asked = true;
        return NULL;
    }
    generator->exhausted = task->asked = true;
    struct sf_outcome_origin origin = {task->child.pid, task->child.exit_status, task->name, "its item"};
    bool interrupted;
    return sf_outcome_open(SF_TAG_NONE, NULL, &origin, &interrupted);
}

static PyObject *next_item(PyObject *self, bool block, int64_t deadline)
{
    struct sf_generator *generator = (struct sf_generator *)self;
    struct sf_task *task = sf_task_of(self);
    if (generator->exhausted || task->joined || (generator->control && sf_generator_stopped(generator))) {
        PyErr_SetNone(PyExc_StopIteration);
        return NULL;
    }
    if (!sf_task_is_started(task))
        return NULL;
    if (generator->busy) {
        PyErr_Format(PyExc_RuntimeError,
                     "%U is in next() already, in another Python thread or in what a signal handler interrupted: "
                     "that call must finish first",
                     task->name);
        return NULL;
    }
    generator->busy = true;
    sf_log_write(SF_EVENT_NEXT, SF_PHASE_BEGIN, task->child.task, 0, 0); /* before the child can have the request */
    if (!generator->awaited)
        request_item(generator);
    struct sf_waiting waiting = {try_item, sleep_for_item, generator, SF_WAIT_ITEM, task->child.task};
    generator->check_child = !block; /* a call that does not block checks each time */
    int got = sf_wait(&waiting, block, deadline);
    if (!block)
        sf_wait_polled(got != -EAGAIN);
    uint64_t bytes = got == 0 ? generator->piece_head.total : 0;
    sf_log_write_fenced(SF_EVENT_NEXT, SF_PHASE_END, task->child.task, bytes, 0);
    PyObject *item = NULL;
    if (got == 0)
        item = open_item(generator);
    else if (got == -ECHILD)
        raise_death(generator);
    else if (got == -EAGAIN)
        PyErr_Format(PyExc_IndexError, "the next item of %U is not there yet", task->name);
    else if (got == -ETIMEDOUT)
        PyErr_Format(PyExc_TimeoutError, "no item of %U within the timeout", task->name);
    else if (got != SF_RAISED)
        sf_error(got, "cannot receive an item");
    generator->busy = false;
    if (task->joined || task->disposed)
        free_shared(task); /* which could not be done while busy was set */
    return item;
}

/* 0, or -1 with an exception. */
static int check_function(PyObject *f)
{
    int is_generator = sf_function_is_generator(f);
    if (is_generator == 0)
        PyErr_Format(
            PyExc_RuntimeError,
            "f must be a generator function (one with yield in it), or what wraps one as functools.partial and "
            "functools.wraps do, not %R: write def items(): yield from f(), and make Generator(items)",
            f);
    return is_generator > 0 ? 0 : -1;
}

static int generator_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"f",        "extract", "merge", "args",        "kwargs",      "name",
                               "prefetch", "globals", "share", "on_conflict", "share_check", NULL};
    struct sf_task_call call = {NULL};
    PyObject *prefetch = NULL;
    int64_t ahead = 0;
    struct sf_task *task = sf_task_of(self);
    if (!sf_argument_knows_keywords("Generator", "Generator(f, args=(1, 2))", keywords, kwargs) ||
        !PyArg_ParseTupleAndKeywords(args, kwargs, "O|OO$OOOOOOOO:Generator", keywords, &call.f,
                                     &call.extraction.extract, &call.extraction.merge, &call.args, &call.kwargs,
                                     &call.name, &prefetch, &call.extraction.globals, &call.extraction.share,
                                     &call.extraction.on_conflict, &call.extraction.share_check) ||
        !sf_argument_is_callable(call.f, "f", false) ||
        sf_argument_integer(prefetch, "prefetch", 0, "0: one item for each next()", &ahead) || check_function(call.f) ||
        sf_task_object_init_once(self, "Generator"))
        return -1;
    /* the counts wrap around at 32 bits, so the limit is half of that */
    ((struct sf_generator *)self)->prefetch = ahead < INT32_MAX ? (uint32_t)ahead : INT32_MAX;
    task->run = sf_generator_run;
    task->child.at_exit = stop_at_exit;
    task->stop = stop_generator;
    task->give_back = free_shared;
    return sf_task_init(task, self, SF_TASK_GENERATOR, &call);
}

/* 0, or -1 with an exception; then it can be tried again. */
static int map_and_start(struct sf_task *task)
{
    struct sf_generator *generator = sf_generator_of(task);
    void *control = NULL;
    int error = sf_ring_new(&generator->ring, SF_STREAM_RING_BYTES);
    if (!error)
        error = sf_shm_map(&control, sizeof *generator->control);
    generator->control = control;
    if (error)
        sf_error(error, "cannot map the Generator's memory");
    if (!error && sf_task_start(task) == 0)
        return 0;
    free_shared(task);
    return -1;
}

static PyObject *generator_start(PyObject *self, PyObject *Py_UNUSED(unused))
{
    if (!sf_task_object_start(self, map_and_start, false))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *generator_next(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"block", "timeout", NULL};
    PyObject *timeout = NULL;
    int block = 1;
    int64_t deadline;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|pO:next", keywords, &block, &timeout) ||
        sf_wait_deadline(timeout, &deadline))
        return NULL;
    return next_item(self, block, deadline);
}

static PyObject *generator_iternext(PyObject *self)
{
    return next_item(self, true, SF_FOREVER);
}

static PyMethodDef methods[] = {
    {"start", generator_start, METH_NOARGS,
     "start($self)\n--\n\n"
     "Forks a child process, which calls f and waits for the first next(), or begins with prefetch.\n\n"
     "Raises RuntimeError when it was started before or the fork failed, MemoryError when memory ran out."},
    {"next", (PyCFunction)(void (*)(void))generator_next, METH_VARARGS | METH_KEYWORDS,
     "next($self, block=True, timeout=None)\n--\n\n"
     "Returns the next item. The child computes it now, unless it has computed it ahead.\n\n"
     "Blocks until it is there, at most timeout seconds (None: for ever; TimeoutError when they pass). With\n"
     "block=False the first call asks for the item, and calls raise IndexError until it is there. Raises what the\n"
     "generator raises, StopIteration included, and StopIteration after that; ChildDied when the child was killed."},
    {"join", (PyCFunction)(void (*)(void))sf_task_object_join, METH_VARARGS | METH_KEYWORDS,
     "join($self, timeout=None)\n--\n\n"
     "Stops the generator at its current item (as close() does), blocks until the child has ended and merges what\n"
     "it extracted. Items that were computed ahead and not taken are lost. Timeout and exceptions as in\n"
     "Thread.join()."},
    {"try_join", sf_task_object_try_join, METH_NOARGS,
     "try_join($self)\n--\n\n"
     "Stops the generator. False while the child runs; otherwise joins as join() does and returns True. Does not\n"
     "block."},
    {"get_exit_status", sf_task_object_get_exit_status, METH_NOARGS,
     "get_exit_status($self)\n--\n\n"
     "0 when the generator ended, was stopped or raised, n after sys.exit(n), -N after signal N, None if unknown.\n"
     "RuntimeError before join()."},
    {"fileno", sf_task_object_fileno, METH_NOARGS,
     "fileno($self)\n--\n\n"
     "A pidfd, readable once the child has ended. Owned by the Generator: valid until join(). RuntimeError where the\n"
     "system gives none."},
    {"dispose", sf_task_object_dispose, METH_NOARGS,
     "dispose($self)\n--\n\n"
     "Kills a child that still runs (ResourceWarning), reaps it and frees its memory. Calling it again does\n"
     "nothing. Otherwise as Thread.dispose()."},
    SF_TASK_OBJECT_METHODS,
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(
    doc, "Generator(f, extract=None, merge=None, *, args=(), kwargs=None, name=None, prefetch=0, globals=None,"
         " share=None, on_conflict=None, share_check=False)\n--\n\n"
         "Runs the generator function f(*args, **kwargs) in a forked process, one item for each next().\n\n"
         "prefetch: how many items the child may compute ahead of next(), from start() on. It also stops when\n"
         "some 4 MiB of pickled items are ahead. With 0 it computes an item only when next() asks for it.\n"
         "RuntimeError when f is no generator function and wraps none. extract, merge, globals and share are as for "
         "Thread:\n"
         "extract runs when the generator has ended or join() has stopped it, merge runs in join(). A Generator is an\n"
         "iterator. As a context manager it joins at the end of the block, or kills the child if the block raised.\n"
         "When nobody refers to a running Generator any more, its child is killed, with a ResourceWarning. What f\n"
         "raised and no next() has raised here is printed as for Thread.");

static PyType_Slot slots[] = {
    SF_TASK_OBJECT_SLOTS,
    {Py_tp_doc, (void *)doc},
    {Py_tp_init, generator_init},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, generator_iternext},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec sf_generator_spec = {
    .name = "snakefish.Generator",
    .basicsize = sizeof(struct sf_generator),
    .flags = SF_TASK_OBJECT_FLAGS,
    .slots = slots,
};
