/* The run of an imap. See imap_run.h. */
#include "py/workers/imap_run.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>

#include "core/log/log.h"
#include "core/os/pid.h"
#include "core/ring/ring_wait.h"
#include "py/base/errors.h"
#include "py/base/wait.h"
#include "py/task/function.h"

#define AHEAD 3 /* chunks for each worker: one it works on, one that waits for it, one to be taken */

static struct sf_imap *imap_of(const struct sf_engine *engine)
{
    return (struct sf_imap *)((char *)engine - offsetof(struct sf_imap, engine));
}

/* ---- in the worker ---- */

static int next_from_feed(struct sf_worker *worker, struct sf_chunk *chunk)
{
    struct sf_imap *imap = imap_of(worker->engine);
    int got = sf_feed_take(&imap->feed, sf_worker_board(worker), &chunk->offset, &chunk->items, &chunk->failure);
    if (got <= 0)
        return got;
    assert(PyList_CheckExact(chunk->items));
    chunk->end = PyList_GET_SIZE(chunk->items);
    chunk->number = chunk->offset / (uint64_t)imap->chunksize;
    return 1;
}

static void describe_argument(const struct sf_engine *engine, uint64_t number, bool extracted, char *what)
{
    (void)engine;
    (void)extracted; /* nothing is */
    snprintf(what, SF_ENGINE_WHAT_BYTES, "its result for argument %llu", (unsigned long long)number);
}

static PyObject *name_worker(const struct sf_engine *engine, uint32_t number)
{
    PyObject *function = sf_function_name(engine->f);
    PyObject *name = function ? PyUnicode_FromFormat("imap worker %u (%U)", number + 1, function) : NULL;
    Py_XDECREF(function);
    return name;
}

/* ---- in the parent: what the engine asks for ---- */

static Py_ssize_t room_in_window(struct sf_engine *engine, uint64_t number, bool extracted)
{
    (void)extracted; /* nothing is */
    const struct sf_imap *imap = imap_of(engine);
    uint64_t size = (uint64_t)imap->chunksize;
    return sf_window_room(&imap->window, number / size, (Py_ssize_t)(number % size));
}

static void keep_in_window(struct sf_engine *engine, uint64_t number, PyObject *const *values, Py_ssize_t count)
{
    struct sf_imap *imap = imap_of(engine);
    sf_window_keep(&imap->window, number / (uint64_t)imap->chunksize, values, count);
}

/* The current exception is what became of the chunk. Nothing more is asked for. */
static void fail_chunk(struct sf_imap *imap, uint64_t chunk)
{
    PyObject *failure = sf_take_raised();
    assert(failure);
    sf_window_fail(&imap->window, chunk, failure);
    if (imap->source)
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
    if (imap->engine.started < imap->workers && sf_engine_start(&imap->engine)) {
        Py_DECREF(items);
        return -1;
    }
    uint64_t first = imap->chunks * (uint64_t)imap->chunksize;
    bool is_bad;
    Py_ssize_t packed = sf_feed_pack(&imap->feed, first, items, &is_bad);
    if (packed < count && !is_bad)
        return -1;
    if (packed < count) { /* it comes after the results before it */
        Py_XSETREF(imap->error, sf_take_raised());
        sf_error_add_note(imap->error, PyUnicode_FromFormat("argument %llu cannot be pickled",
                                                            (unsigned long long)first + (unsigned long long)packed));
        sf_source_close(imap->source);
    }
    return packed ? sf_window_add(&imap->window, imap->chunks++, packed) : 0;
}

/* Hands out chunks while the source has some, there is room, and nothing has failed. is_patient: waits a moment for the
 * source. 0, SF_RAISED or -errno. */
static int feed_chunks(struct sf_imap *imap, bool is_patient)
{
    while (!imap->window.has_failed && !imap->closing) {
        if (!sf_engine_is_ours(&imap->engine))
            return SF_RAISED;
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
           (imap->window.used == 0 && (!imap->source || sf_source_is_at_end(imap->source)));
}

static const struct sf_job imap_job = {
    .kind = SF_TASK_MAP_WORKER,
    .run = sf_worker_run,
    .next_chunk = next_from_feed,
    .describe = describe_argument,
    .name = name_worker,
    .room = room_in_window,
    .keep = keep_in_window,
    .fail = fail_in_window,
    .ended = fed_worker_ended,
    .advance = feed_workers,
    .is_finished = has_next_or_end,
    .at_exit = kill_at_program_end,
    .sends_whole = true,
    .raises_reason = true,
};

/* ---- the iterator ---- */

void sf_imap_init(struct sf_imap *imap, PyObject *f, struct sf_source *source, Py_ssize_t workers, Py_ssize_t chunksize,
                  bool is_ordered)
{
    imap->engine.f = Py_NewRef(f);
    imap->source = source;
    imap->chunksize = chunksize;
    imap->workers = workers;
    sf_window_init(&imap->window, is_ordered);
    imap->state = SF_IMAP_NEW;
}

void sf_imap_end(struct sf_imap *imap)
{
    assert(!imap->busy);
    if (imap->state == SF_IMAP_ENDED)
        return;
    PyObject *raised = sf_take_raised();
    imap->state = SF_IMAP_ENDED;
    sf_source_free(imap->source);
    imap->source = NULL;
    sf_engine_fini(&imap->engine);
    sf_feed_fini(&imap->feed);
    sf_window_fini(&imap->window);
    Py_CLEAR(imap->error);
    Py_CLEAR(imap->engine.f);
    if (raised)
        sf_put_raised(raised);
}

/* Ends the workers and keeps what they have sent. Leaves the exception state alone. */
static void stop_imap(struct sf_imap *imap)
{
    PyObject *raised = sf_take_raised();
    struct sf_source *source = imap->source;
    imap->state = SF_IMAP_STOPPED;
    imap->source = NULL;
    sf_source_free(source);
    sf_engine_stop(&imap->engine);
    sf_feed_fini(&imap->feed);
    if (raised)
        sf_put_raised(raised);
}

/* Maps the rings, and forks the workers where that is due. 0, or -1 with an exception. */
static int begin_imap(struct sf_imap *imap)
{
    imap->state = SF_IMAP_RUNNING;
    if (sf_engine_init(&imap->engine, &imap_job, imap->workers))
        return -1;
    int error = sf_feed_init(&imap->feed, imap->engine.ring);
    if (error)
        sf_error(error, "cannot map the memory for arguments");
    else
        sf_source_connect(imap->source, imap->engine.ring);
    while (!error && imap->at_once && imap->engine.started < imap->workers)
        if (sf_engine_start(&imap->engine))
            return -1;
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

/* The next result, or NULL: with an exception, or at the end. *is_outcome: the exception comes instead of a result, or
 * at the end; not from elsewhere. */
static PyObject *wait_for_next(struct sf_imap *imap, bool *is_outcome)
{
    struct sf_engine *engine = &imap->engine;
    *is_outcome = false;
    if (!sf_window_has_next(&imap->window)) {
        if (sf_engine_wait(engine) || imap->closing)
            return NULL;
        if (!sf_window_has_next(&imap->window)) {
            *is_outcome = true;
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
    *is_outcome = true;
    return sf_window_take(&imap->window);
}

/* The same of what is left once it was stopped. */
static PyObject *take_left(struct sf_imap *imap, bool *is_outcome)
{
    *is_outcome = false;
    if (sf_engine_take_sent(&imap->engine))
        return NULL;
    *is_outcome = true;
    return sf_window_has_next(&imap->window) ? sf_window_take(&imap->window) : NULL;
}

/* What next() does is snakefish's time, and not the program's: a span of the iterator's own task. */
static void log_next(struct sf_imap *imap, unsigned phase)
{
    static const char name[] = "imap";
    if (!sf_log_enabled())
        return;
    if (!imap->task) {
        imap->task = sf_log_next_task();
        sf_log_write(SF_EVENT_TASK, SF_PHASE_INSTANT, imap->task, sf_log_text(name, sizeof name - 1), SF_TASK_MAP);
    }
    sf_log_write(SF_EVENT_NEXT, phase, imap->task, 0, 0);
}

PyObject *sf_imap_next(struct sf_imap *imap)
{
    bool is_outcome = true;
    PyObject *value = NULL;
    if (imap->state == SF_IMAP_ENDED)
        return NULL;
    if (imap->state != SF_IMAP_NEW && imap->engine.owner != sf_pid_own())
        return PyErr_Format(PyExc_RuntimeError, "its workers were started by process %d: only that process can iterate",
                            (int)imap->engine.owner);
    if (imap->busy)
        return PyErr_Format(PyExc_RuntimeError, "it is in next() already, for another Python thread or below a signal "
                                                "handler: let one finish first");
    imap->busy = true;
    log_next(imap, SF_PHASE_BEGIN);
    if (imap->state == SF_IMAP_STOPPED)
        value = take_left(imap, &is_outcome);
    else if (imap->state == SF_IMAP_RUNNING || begin_imap(imap) == 0)
        value = wait_for_next(imap, &is_outcome);
    if (!value && !is_outcome && !imap->closing && imap->state == SF_IMAP_RUNNING)
        stop_imap(imap);
    log_next(imap, SF_PHASE_END);
    imap->busy = false;
    if (imap->closing)
        Py_CLEAR(value);
    if (!value && (is_outcome || imap->closing))
        sf_imap_end(imap);
    return value;
}

void sf_imap_close(struct sf_imap *imap)
{
    if (!imap->busy) {
        sf_imap_end(imap);
        return;
    }
    imap->closing = true; /* the next() that runs does it, unless this is a worker, where none comes back */
    if (imap->engine.owner != sf_pid_own())
        return;
    sf_engine_kill(&imap->engine); /* next() may wait for a worker to end by itself */
    if (imap->engine.ring)
        sf_ring_nudge(imap->engine.ring);
}

int sf_imap_traverse(const struct sf_imap *imap, visitproc visit, void *arg)
{
    Py_VISIT(imap->engine.f);
    Py_VISIT(imap->error);
    Py_VISIT(imap->feed.items);
    int stopped = sf_engine_traverse(&imap->engine, visit, arg);
    if (!stopped && imap->source)
        stopped = sf_source_traverse(imap->source, visit, arg);
    return stopped ? stopped : sf_window_traverse(&imap->window, visit, arg);
}

void sf_imap_clear(struct sf_imap *imap)
{
    sf_imap_end(imap);
}
