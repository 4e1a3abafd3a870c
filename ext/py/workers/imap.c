/* snakefish.imap and imap_unordered: lazy maps. This is the iterator that they return.
 *
 *     source.h --chunks--> feed.h --> workers (engine.h) --results--> window.h --> next()
 *
 * The life of one:
 *
 *     NEW --(first next)--> RUNNING --(all handed out; anything raised; close; collected)--> ENDED
 *
 * Within next(), `busy` is set: a next() from another thread, or from below (a signal handler, the unpickling of a
 * result), is refused; a close() kills the workers, and that next() does the rest when it comes back. All of it runs
 * under the interpreter lock. Only the process that started the workers may iterate; a copy made by fork is ended
 * without touching them. */
#include "py/base/types.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "core/os/cpus.h"
#include "core/ring/ring_wait.h"
#include "py/base/arguments.h"
#include "py/base/errors.h"
#include "py/base/wait.h"
#include "py/task/function.h"
#include "py/workers/engine.h"
#include "py/workers/feed.h"
#include "py/workers/source.h"
#include "py/workers/window.h"

#define AHEAD 3 /* chunks for each worker: one it works on, one that waits for it, one to be taken */
#define MOST_WORKERS (INT64_C(1) << 15) /* more processes do not fit a ring's table of holders */

enum imap_state { ENDED, NEW, RUNNING };

struct sf_imap {
    PyObject_HEAD struct sf_engine engine;
    struct sf_feed feed;
    struct sf_window window;
    struct sf_source *source;
    PyObject *error;      /* what comes after the results instead of an argument that could not be sent; owned */
    Py_ssize_t chunksize; /* arguments in a chunk */
    Py_ssize_t workers;   /* at most */
    uint64_t chunks;      /* handed to the workers so far */
    enum imap_state state;
    pid_t owner; /* the process that started the workers */
    bool busy, closing;
    PyObject *weakrefs;
};

static struct sf_imap *imap_of(const struct sf_engine *engine)
{
    return (struct sf_imap *)((char *)engine - offsetof(struct sf_imap, engine));
}

/* ---- in the worker ---- */

static int next_from_feed(struct sf_worker *worker, struct sf_chunk *chunk)
{
    struct sf_imap *imap = imap_of(worker->engine);
    int got = sf_feed_take(&imap->feed, sf_worker_claim(worker), &chunk->offset, &chunk->items);
    if (got <= 0)
        return got;
    assert(!chunk->items || PyList_CheckExact(chunk->items));
    chunk->end = chunk->items ? PyList_GET_SIZE(chunk->items) : 0;
    chunk->number = chunk->offset / (uint64_t)imap->chunksize;
    return 1;
}

static void describe_argument(const struct sf_engine *engine, uint64_t number, bool several, char *what)
{
    (void)engine;
    snprintf(what, SF_ENGINE_WHAT_BYTES, several ? "its results from argument %llu on" : "its result for argument %llu",
             (unsigned long long)number);
}

static PyObject *name_worker(const struct sf_engine *engine, uint32_t number)
{
    PyObject *function = sf_function_name(engine->f);
    PyObject *name = function ? PyUnicode_FromFormat("imap worker %u (%U)", number + 1, function) : NULL;
    Py_XDECREF(function);
    return name;
}

/* ---- in the parent: what the engine asks for ---- */

static Py_ssize_t room_in_window(struct sf_engine *engine, uint64_t number)
{
    const struct sf_imap *imap = imap_of(engine);
    uint64_t size = (uint64_t)imap->chunksize;
    return sf_window_room(&imap->window, number / size, (Py_ssize_t)(number % size));
}

static void keep_in_window(struct sf_engine *engine, uint64_t number, PyObject *value)
{
    struct sf_imap *imap = imap_of(engine);
    sf_window_keep(&imap->window, number / (uint64_t)imap->chunksize, value);
}

/* The current exception is what became of the chunk. Nothing more is asked for. */
static void fail_chunk(struct sf_imap *imap, uint64_t chunk)
{
    PyObject *failure = sf_take_raised();
    assert(failure);
    sf_window_fail(&imap->window, chunk, failure);
    sf_source_close(imap->source);
}

static void fail_in_window(struct sf_engine *engine, uint64_t number)
{
    struct sf_imap *imap = imap_of(engine);
    fail_chunk(imap, number / (uint64_t)imap->chunksize);
}

/* A worker that ended by itself after a failure leaves nothing missing. One whose chunk is not known, because it was
 * killed while it took it, or was idle, fails the earliest chunk that misses results; so no wait is without an end. */
static void fed_worker_ended(struct sf_engine *engine, struct sf_worker *worker, uint64_t claim)
{
    struct sf_imap *imap = imap_of(engine);
    uint64_t chunk = claim / (uint64_t)imap->chunksize;
    if (sf_engine_has_finished(worker))
        return;
    if (claim == SF_ENGINE_NO_CLAIM || !sf_window_misses(&imap->window, chunk)) {
        claim = SF_ENGINE_NO_CLAIM;
        chunk = sf_window_earliest_missing(&imap->window);
    }
    sf_engine_raise_death(worker, claim, "");
    if (chunk == UINT64_MAX && imap->window.has_failed) {
        PyErr_Clear(); /* nothing is missing, and a failure is there to be raised */
        return;
    }
    if (chunk == UINT64_MAX) { /* nothing is missing: the failure takes the place of the next chunk */
        PyObject *raised = sf_take_raised();
        chunk = imap->chunks++;
        if (sf_window_add(&imap->window, chunk, 1)) {
            PyErr_Clear(); /* MemoryError: then it comes after the results instead */
            Py_XSETREF(imap->error, raised);
            sf_source_close(imap->source);
            return;
        }
        sf_put_raised(raised);
    }
    fail_chunk(imap, chunk);
}

static void kill_at_program_end(struct sf_child *child)
{
    sf_child_signal(child, SIGKILL); /* an iterator left half-way would be waited for without end */
}

static int start_one(struct sf_imap *imap)
{
    if (sf_engine_start(&imap->engine))
        return -1;
    imap->engine.workers[imap->engine.started - 1]->task.child.at_exit = kill_at_program_end;
    return 0;
}

/* Asks the source for as many chunks as there is room for. While workers are still to be forked, for one at a time, so
 * that the source's thread sleeps when that happens; later for several, so that it is seldom woken. is_patient: waits a
 * moment for the source if workers have nothing to do else. 0, or -1 with an exception. */
static int ask_source(struct sf_imap *imap, Py_ssize_t room, bool is_patient)
{
    bool is_starting = imap->engine.started < imap->workers;
    bool starves = sf_window_ahead(&imap->window) < imap->workers;
    int failed = 0;
    if (is_starting)
        failed = sf_source_want(imap->source, 1);
    else if (room >= imap->workers)
        failed = sf_source_want(imap->source, room);
    if (!failed && is_patient && (is_starting || starves))
        sf_source_settle(imap->source);
    return failed;
}

/* Hands a chunk to the workers. Steals it. 0, or -1 with an exception. */
static int hand_out(struct sf_imap *imap, PyObject *items)
{
    Py_ssize_t count = PyList_GET_SIZE(items);
    if (imap->engine.started < imap->workers && start_one(imap)) {
        Py_DECREF(items);
        return -1;
    }
    if (sf_feed_pack(&imap->feed, imap->chunks * (uint64_t)imap->chunksize, items)) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) /* Ctrl-C, for one: it is not about the argument */
            return -1;
        Py_XSETREF(imap->error, sf_take_raised()); /* it comes after the results before it */
        sf_source_close(imap->source);
        return 0;
    }
    return sf_window_add(&imap->window, imap->chunks++, count);
}

/* Hands out chunks while the source has some, there is room, and nothing has failed. is_patient: waits a moment for the
 * source. 0, SF_RAISED or -errno. */
static int feed_chunks(struct sf_imap *imap, bool is_patient)
{
    while (!imap->window.has_failed && !imap->closing) {
        int pushed = imap->feed.is_packed ? sf_feed_push(&imap->feed) : 0;
        if (pushed)
            return pushed == -EAGAIN ? 0 : pushed;
        Py_ssize_t room = AHEAD * imap->workers - sf_window_ahead(&imap->window);
        if (room <= 0 || sf_source_is_at_end(imap->source))
            return 0;
        if (ask_source(imap, room, is_patient))
            return SF_RAISED;
        PyObject *items = sf_source_take(imap->source);
        if (!items)
            return PyErr_Occurred() ? SF_RAISED : 0;
        if (hand_out(imap, items))
            return SF_RAISED;
    }
    return 0;
}

static int feed_workers(struct sf_engine *engine)
{
    return feed_chunks(imap_of(engine), false);
}

static bool has_next_or_end(struct sf_engine *engine)
{
    struct sf_imap *imap = imap_of(engine);
    return imap->closing || sf_window_has_next(&imap->window) ||
           (imap->window.used == 0 && sf_source_is_at_end(imap->source));
}

static const struct sf_job imap_job = {
    .next_chunk = next_from_feed,
    .run = sf_worker_run,
    .describe = describe_argument,
    .name = name_worker,
    .room = room_in_window,
    .keep = keep_in_window,
    .fail = fail_in_window,
    .ended = fed_worker_ended,
    .advance = feed_workers,
    .is_finished = has_next_or_end,
    .sends_whole = true,
    .raises_reason = true,
    .uses_ring = true,
};

/* ---- the iterator ---- */

/* Ends the workers and drops what they have sent. Leaves the exception state alone. */
static void end_imap(struct sf_imap *imap)
{
    if (imap->state == ENDED || sf_engine_is_worker(&imap->engine))
        return;
    PyObject *raised = sf_take_raised();
    imap->state = ENDED;
    sf_source_free(imap->source);
    imap->source = NULL;
    sf_engine_fini(&imap->engine);
    sf_feed_fini(&imap->feed);
    sf_window_fini(&imap->window);
    Py_CLEAR(imap->error);
    if (raised)
        sf_put_raised(raised);
}

/* Maps the rings. 0, or -1 with an exception. */
static int begin_imap(struct sf_imap *imap)
{
    imap->owner = getpid();
    imap->state = RUNNING;
    if (sf_engine_init(&imap->engine, &imap_job, imap->workers))
        return -1;
    int error = sf_feed_init(&imap->feed, imap->engine.ring);
    if (error)
        sf_error(error, "cannot map the memory for arguments");
    else
        sf_source_connect(imap->source, imap->engine.ring);
    return error ? -1 : 0;
}

/* All results were handed out: lets the workers end by themselves. What is raised then is what the source raised. */
static void finish_imap(struct sf_imap *imap)
{
    PyObject *error = imap->error ? Py_NewRef(imap->error) : sf_source_error(imap->source);
    sf_feed_stop(&imap->feed);
    if (sf_engine_reap(&imap->engine) == 0 && error)
        sf_put_raised(Py_NewRef(error));
    Py_XDECREF(error);
}

/* The next result, or NULL: with an exception, or at the end. */
static PyObject *wait_for_next(struct sf_imap *imap)
{
    struct sf_engine *engine = &imap->engine;
    if (!sf_window_has_next(&imap->window)) {
        if (sf_engine_wait(engine) || imap->closing)
            return NULL;
        if (!sf_window_has_next(&imap->window)) {
            finish_imap(imap);
            return NULL;
        }
    }
    if (sf_window_begins_chunk(&imap->window)) { /* so that the workers have something to do meanwhile */
        if (sf_engine_look(engine))
            return NULL;
        int fed = feed_chunks(imap, true);
        if (fed) {
            if (fed != SF_RAISED)
                sf_error(fed, "cannot hand arguments to the workers");
            return NULL;
        }
    }
    return sf_window_take(&imap->window);
}

static PyObject *imap_next(PyObject *self)
{
    struct sf_imap *imap = (struct sf_imap *)self;
    if (imap->state == ENDED)
        return NULL;
    if (imap->state == RUNNING && imap->owner != getpid())
        return PyErr_Format(PyExc_RuntimeError, "its workers were started by process %d: only that process can iterate",
                            (int)imap->owner);
    if (imap->busy)
        return PyErr_Format(PyExc_RuntimeError, "it is in next() already, for another Python thread or below a signal "
                                                "handler: let one finish first");
    imap->busy = true;
    PyObject *value = imap->state == NEW && begin_imap(imap) ? NULL : wait_for_next(imap);
    imap->busy = false;
    if (imap->closing)
        Py_CLEAR(value);
    if (!value)
        end_imap(imap);
    return value;
}

static PyObject *imap_close(PyObject *self, PyObject *unused)
{
    struct sf_imap *imap = (struct sf_imap *)self;
    (void)unused;
    if (imap->busy && imap->owner == getpid()) {
        imap->closing = true; /* the next() that runs does it; it may wait for a worker to end by itself */
        sf_engine_kill(&imap->engine);
        if (imap->engine.ring)
            sf_ring_nudge(imap->engine.ring);
    } else {
        end_imap(imap);
    }
    Py_RETURN_NONE;
}

static PyObject *imap_enter(PyObject *self, PyObject *unused)
{
    (void)unused;
    return Py_NewRef(self);
}

static int imap_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct sf_imap *imap = (struct sf_imap *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(imap->engine.f);
    Py_VISIT(imap->error);
    Py_VISIT(imap->feed.items);
    int stopped = sf_engine_traverse(&imap->engine, visit, arg);
    if (!stopped && imap->source)
        stopped = sf_source_traverse(imap->source, visit, arg);
    return stopped ? stopped : sf_window_traverse(&imap->window, visit, arg);
}

#if SF_HAS_FINALIZE
static void imap_finalize(PyObject *self)
{
    end_imap((struct sf_imap *)self);
}
#endif

static int imap_clear(PyObject *self)
{
    struct sf_imap *imap = (struct sf_imap *)self;
    end_imap(imap);
    if (imap->state == ENDED)
        Py_CLEAR(imap->engine.f);
    return 0;
}

static void imap_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    struct sf_imap *imap = (struct sf_imap *)self;
    if (SF_HAS_FINALIZE && PyObject_CallFinalizerFromDealloc(self) < 0)
        return;
    PyObject_GC_UnTrack(self);
    if (imap->weakrefs)
        PyObject_ClearWeakRefs(self);
    imap_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef imap_methods[] = {
    {"close", imap_close, METH_NOARGS,
     "close($self)\n--\n\nEnds and reaps the workers; results that were not taken are lost. Calling it again does "
     "nothing.\n"
     "While a next() runs, that one does it when it comes back."},
    {"__enter__", imap_enter, METH_NOARGS, NULL},
    {"__exit__", imap_close, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef imap_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct sf_imap, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot imap_slots[] = {
    {Py_tp_doc, (void *)"The iterator that imap and imap_unordered return."},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, imap_next},
    SF_FINALIZE_SLOT(imap_finalize){Py_tp_dealloc, imap_dealloc},
    {Py_tp_traverse, imap_traverse},
    {Py_tp_clear, imap_clear},
    {Py_tp_methods, imap_methods},
    {Py_tp_members, imap_members},
    {0, NULL},
};

static PyType_Spec imap_spec = {
    .name = "snakefish._Results",
    .basicsize = sizeof(struct sf_imap),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = imap_slots,
};

/* ---- the functions ---- */

static PyObject *new_imap(PyObject *args, PyObject *kwargs, bool is_ordered)
{
    static char *keywords[] = {"f", "args", "concurrency", "chunksize", NULL};
    static PyTypeObject *type;
    PyObject *f, *iterable, *concurrency_object = NULL, *chunksize_object = NULL;
    int64_t concurrency = 0, chunksize = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, is_ordered ? "OO|OO:imap" : "OO|OO:imap_unordered", keywords, &f,
                                     &iterable, &concurrency_object, &chunksize_object) ||
        !sf_argument_is_callable(f, "f", false) ||
        sf_argument_integer(concurrency_object, "concurrency", 0, "0: one for each CPU", &concurrency) ||
        sf_argument_integer(chunksize_object, "chunksize", 1, NULL, &chunksize))
        return NULL;
    if (!type && !(type = (PyTypeObject *)sf_type_from_spec(&imap_spec)))
        return NULL;
    struct sf_source *source = sf_source_new(iterable, (Py_ssize_t)chunksize);
    struct sf_imap *imap = source ? (struct sf_imap *)type->tp_alloc(type, 0) : NULL;
    if (!imap) {
        sf_source_free(source);
        return NULL;
    }
    concurrency = concurrency ? concurrency : sf_cpus_count();
    imap->engine.f = Py_NewRef(f);
    imap->source = source;
    imap->chunksize = (Py_ssize_t)chunksize;
    imap->workers = (Py_ssize_t)(concurrency < MOST_WORKERS ? concurrency : MOST_WORKERS);
    sf_window_init(&imap->window, is_ordered);
    imap->state = NEW;
    return (PyObject *)imap;
}

static PyObject *imap_function(PyObject *module, PyObject *args, PyObject *kwargs)
{
    (void)module;
    return new_imap(args, kwargs, true);
}

static PyObject *imap_unordered_function(PyObject *module, PyObject *args, PyObject *kwargs)
{
    (void)module;
    return new_imap(args, kwargs, false);
}

PyMethodDef sf_imap_functions[] = {
    {"imap", (PyCFunction)(void (*)(void))imap_function, METH_VARARGS | METH_KEYWORDS,
     "imap(f, args, concurrency=0, chunksize=1)\n--\n\n"
     "f(x) for x in args, in forked processes: an iterator over the results, in the order of args.\n\n"
     "args: any iterable, also an endless one, or one that waits for what is done with the results. It is asked as\n"
     "results are taken: at most 3 chunks for each worker ahead of the chunk whose results are being handed out. One\n"
     "that may block (all but lists, tuples, ranges, dicts, sets and strings) is asked in a Python thread of its own,\n"
     "so that results are handed out meanwhile. Arguments and results are pickled; f is not, it may be a lambda or a\n"
     "closure. concurrency: how many workers, 0: cpu_count(); they are forked as the first chunks are handed out,\n"
     "from the first next() on, and see everything as it is then. chunksize: arguments that travel together.\n\n"
     "next() blocks until the next result is here. It raises what f raised, in the place of that result, with the\n"
     "worker's traceback as __cause__; what args raises, after the results before it; ChildDied when a worker was\n"
     "killed or a result cannot be pickled, which names the argument by its number, from 0 (the other results of its\n"
     "chunk are lost when it was killed). After any exception, and at the end, the workers are ended and reaped and\n"
     "it is exhausted; so it is by close(), at the end of a with block, and when nobody refers to it any more."},
    {"imap_unordered", (PyCFunction)(void (*)(void))imap_unordered_function, METH_VARARGS | METH_KEYWORDS,
     "imap_unordered(f, args, concurrency=0, chunksize=1)\n--\n\n"
     "f(x) for x in args, in forked processes: an iterator over the results, in the order in which they come.\n\n"
     "Otherwise like imap(); an exception comes after the results that are here, and others are lost."},
    {NULL, NULL, 0, NULL},
};
