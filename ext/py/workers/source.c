/* The arguments of imap. See source.h. */
#include "py/workers/source.h"

#include <assert.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/os/futex.h"
#include "core/os/monotonic.h"
#include "core/os/pid.h"
#include "core/ring/ring_wait.h"
#include "py/base/arguments.h"

#define SLEEP_NS SF_NS_PER_S               /* of the idle thread; no wake-up is lost, so the time does not matter */
#define THREAD_NAME "sf-imap-source"       /* for ps and debuggers; 15 characters at most */
#define MOST_PATIENCE_NS INT64_C(20000000) /* that sf_source_settle waits */
#define LEAST_PATIENCE_NS INT64_C(20000)

struct sf_source {
    int references;           /* of the caller, and of the thread while it runs; dropping the last one frees it */
    PyObject *iterator;       /* NULL once it is at its end or closed */
    PyObject *ready;          /* list of chunks; NULL once closed */
    PyObject *error;          /* what the iterator raised */
    Py_ssize_t chunk;         /* arguments in one */
    Py_ssize_t wanted;        /* chunks that may be ready */
    bool blocks;              /* it may: a thread asks */
    bool has_thread;          /* it was started */
    pid_t owner;              /* the process that started it */
    _Atomic uint32_t due;     /* changes when the thread is to look again; its futex word */
    _Atomic uint32_t settled; /* 1: the thread has done what is wanted; the caller's futex word in sf_source_settle */
    int64_t patience_ns;      /* of the next sf_source_settle */
    struct sf_ring *ring;
};

/* Whether its iterator never waits for anything. */
static bool cannot_block(PyObject *iterable)
{
    return PyList_CheckExact(iterable) || PyTuple_CheckExact(iterable) || PyRange_Check(iterable) ||
           PyDict_CheckExact(iterable) || PyAnySet_CheckExact(iterable) || PyUnicode_CheckExact(iterable) ||
           PyBytes_CheckExact(iterable) || PyByteArray_CheckExact(iterable);
}

struct sf_source *sf_source_new(PyObject *iterable, Py_ssize_t chunk)
{
    PyObject *iterator = sf_argument_iterator(iterable, "args");
    if (!iterator)
        return NULL;
    struct sf_source *source = PyMem_Calloc(1, sizeof *source);
    PyObject *ready = PyList_New(0);
    if (!source || !ready) {
        Py_DECREF(iterator);
        Py_XDECREF(ready);
        PyMem_Free(source);
        PyErr_NoMemory();
        return NULL;
    }
    source->references = 1;
    source->iterator = iterator;
    source->ready = ready;
    source->chunk = chunk;
    source->settled = 1;
    source->patience_ns = MOST_PATIENCE_NS;
    source->blocks = !cannot_block(iterable);
    return source;
}

void sf_source_ask_in_place(struct sf_source *source)
{
    assert(!source->has_thread);
    source->blocks = false;
}

void sf_source_connect(struct sf_source *source, struct sf_ring *ring)
{
    source->ring = ring;
}

/* Asks the iterator for a chunk: a list, shorter at the end, or NULL with MemoryError. What the iterator raises is
 * kept. The iterator may be dropped meanwhile. */
static PyObject *ask_iterator(struct sf_source *source)
{
    PyObject *iterator = Py_NewRef(source->iterator), *chunk = PyList_New(0), *argument = NULL;
    while (chunk && PyList_GET_SIZE(chunk) < source->chunk && (argument = PyIter_Next(iterator))) {
        if (PyList_Append(chunk, argument))
            Py_CLEAR(chunk);
        Py_DECREF(argument);
    }
    if (chunk && !argument) {
        Py_XSETREF(source->error, sf_take_raised());
        Py_CLEAR(source->iterator);
    }
    Py_DECREF(iterator);
    return chunk;
}

/* Gets one more chunk ready, if it is not at its end. */
static void make_ready(struct sf_source *source)
{
    PyObject *chunk = ask_iterator(source);
    bool failed = !chunk || (source->ready && PyList_GET_SIZE(chunk) && PyList_Append(source->ready, chunk));
    Py_XDECREF(chunk);
    if (failed) {
        Py_XSETREF(source->error, sf_take_raised());
        Py_CLEAR(source->iterator);
    }
}

/* ---- the thread ---- */

static void drop_reference(struct sf_source *source)
{
    assert(source->references > 0);
    if (--source->references == 0) {
        Py_XDECREF(source->error);
        PyMem_Free(source);
    }
}

static void set_settled(struct sf_source *source)
{
    atomic_store_explicit(&source->settled, 1, memory_order_release); /* partner: sf_source_settle */
    sf_futex_wake(&source->settled, INT_MAX);
}

static void sleep_until_due(struct sf_source *source, uint32_t seen)
{
    set_settled(source);
    Py_BEGIN_ALLOW_THREADS;
    sf_futex_wait(&source->due, seen, SLEEP_NS);
    Py_END_ALLOW_THREADS;
}

/* If the iterator calls threading.current_thread(), as logging does, threading counts this thread until the program
 * ends, and each fork warns of it. Removes it from the count: it sleeps while imap forks, and holds no lock then. */
static void leave_threading(void)
{
    PyObject *module = PyDict_GetItemString(PyImport_GetModuleDict(), "threading"); /* borrowed */
    PyObject *active = module ? PyObject_GetAttrString(module, "_active") : NULL;
    PyObject *ident = active ? PyLong_FromUnsignedLong(PyThread_get_thread_ident()) : NULL;
    PyObject *left = ident ? PyObject_CallMethod(active, "pop", "OO", ident, Py_None) : NULL;
    PyErr_Clear();
    Py_XDECREF(left);
    Py_XDECREF(ident);
    Py_XDECREF(active);
}

static PyObject *ask_in_thread(PyObject *capsule, PyObject *unused)
{
    struct sf_source *source = PyCapsule_GetPointer(capsule, NULL);
    (void)unused;
    pthread_setname_np(pthread_self(), THREAD_NAME);
    while (source->iterator) {
        uint32_t seen = atomic_load_explicit(&source->due, memory_order_relaxed); /* the interpreter lock orders it */
        if (PyList_GET_SIZE(source->ready) >= source->wanted) {
            sleep_until_due(source, seen);
            continue;
        }
        make_ready(source);
        /* the iterator forked, and came back in both: the child's thread just ends */
        if (source->owner != sf_pid_own())
            break;
        leave_threading();
        if (source->ring)
            sf_ring_nudge(source->ring);
    }
    set_settled(source);
    drop_reference(source);
    Py_RETURN_NONE;
}

static PyMethodDef thread_function = {"ask_in_thread", ask_in_thread, METH_NOARGS, NULL};

/* Starts it by _thread, because a fork warns of the threads that threading started, and this one holds no lock when
 * imap forks. It runs in a copy of the caller's context, so that the iterator sees the same context variables as if it
 * were asked here. */
static int start_thread(struct sf_source *source)
{
    PyObject *capsule = PyCapsule_New(source, NULL, NULL), *started = NULL;
    PyObject *function = capsule ? PyCFunction_NewEx(&thread_function, capsule, NULL) : NULL;
    PyObject *contextvars = function ? PyImport_ImportModule("contextvars") : NULL;
    PyObject *context = contextvars ? PyObject_CallMethod(contextvars, "copy_context", NULL) : NULL;
    PyObject *run = context ? PyObject_GetAttrString(context, "run") : NULL;
    PyObject *module = run ? PyImport_ImportModule("_thread") : NULL;
    if (module) {
        source->references++;
        source->owner = sf_pid_own();
        started = PyObject_CallMethod(module, "start_new_thread", "O(O)", run, function);
        if (!started)
            source->references--;
    }
    Py_XDECREF(module);
    Py_XDECREF(run);
    Py_XDECREF(context);
    Py_XDECREF(contextvars);
    Py_XDECREF(function);
    Py_XDECREF(capsule);
    source->has_thread = started != NULL;
    Py_XDECREF(started);
    return source->has_thread ? 0 : -1;
}

/* ---- the caller ---- */

static void wake_thread(struct sf_source *source)
{
    atomic_fetch_add_explicit(&source->due, 1, memory_order_relaxed); /* the interpreter lock orders it */
    sf_futex_wake(&source->due, INT_MAX);
}

int sf_source_want(struct sf_source *source, Py_ssize_t chunks)
{
    bool more = chunks > source->wanted;
    source->wanted = chunks;
    if (!source->blocks || !source->iterator || chunks <= PyList_GET_SIZE(source->ready))
        return 0;
    if (source->has_thread && !more)
        return 0;
    atomic_store_explicit(&source->settled, 0, memory_order_relaxed); /* the interpreter lock orders it */
    if (!source->has_thread)
        return start_thread(source);
    wake_thread(source);
    return 0;
}

void sf_source_settle(struct sf_source *source)
{
    bool settled = atomic_load_explicit(&source->settled, memory_order_acquire); /* partner: set_settled */
    if (settled)
        return;
    Py_BEGIN_ALLOW_THREADS;
    sf_futex_wait(&source->settled, 0, source->patience_ns);
    Py_END_ALLOW_THREADS;
    settled = atomic_load_explicit(&source->settled, memory_order_acquire);
    source->patience_ns = settled                                   ? MOST_PATIENCE_NS
                          : source->patience_ns > LEAST_PATIENCE_NS ? source->patience_ns / 4
                                                                    : source->patience_ns;
}

PyObject *sf_source_take(struct sf_source *source)
{
    if (!source->ready)
        return NULL;
    if (!source->blocks && source->iterator)
        make_ready(source);
    if (PyList_GET_SIZE(source->ready) == 0)
        return NULL;
    PyObject *chunk = Py_NewRef(PyList_GET_ITEM(source->ready, 0));
    if (PySequence_DelItem(source->ready, 0))
        Py_CLEAR(chunk);
    source->wanted--;
    return chunk;
}

bool sf_source_is_at_end(const struct sf_source *source)
{
    return !source->iterator && (!source->ready || PyList_GET_SIZE(source->ready) == 0);
}

PyObject *sf_source_error(const struct sf_source *source)
{
    return Py_XNewRef(source->error);
}

void sf_source_close(struct sf_source *source)
{
    source->ring = NULL;
    PyObject *iterator = source->iterator, *ready = source->ready;
    source->iterator = source->ready = NULL;
    if (source->has_thread)
        wake_thread(source);
    Py_XDECREF(iterator);
    Py_XDECREF(ready);
}

void sf_source_free(struct sf_source *source)
{
    if (!source)
        return;
    sf_source_close(source);
    drop_reference(source);
}

int sf_source_traverse(struct sf_source *source, visitproc visit, void *arg)
{
    Py_VISIT(source->iterator);
    Py_VISIT(source->ready);
    Py_VISIT(source->error);
    return 0;
}
