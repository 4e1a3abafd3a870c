/* The parent's half of the worker engine. See engine.h. */
#include "py/workers/engine.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

#include "core/os/monotonic.h"
#include "core/os/process.h"
#include "core/os/shm.h"
#include "core/result/stream.h"
#include "core/ring/ring_wait.h"
#include "py/base/errors.h"
#include "py/base/wait.h"

#define STRETCH_NS INT64_C(5000000) /* how long results are taken in one go */

int sf_engine_init(struct sf_engine *engine, const struct sf_job *job, Py_ssize_t most)
{
    void *board = NULL;
    assert(most > 0);
    engine->job = job;
    engine->most = most;
    size_t claims = job->uses_ring ? (size_t)most : 0;
    size_t bytes = sizeof *engine->board + claims * sizeof engine->board->claims[0];
    engine->workers = PyMem_Calloc((size_t)most, sizeof *engine->workers);
    int error = engine->workers ? sf_shm_map(&board, bytes) : -ENOMEM;
    engine->board = board;
    engine->board_bytes = board ? bytes : 0;
    if (!error && job->uses_ring)
        error = sf_ring_new(&engine->ring, SF_STREAM_RING_BYTES);
    if (error)
        sf_error(error, "cannot map the memory for workers");
    return error ? -1 : 0;
}

int sf_engine_start(struct sf_engine *engine)
{
    const struct sf_job *job = engine->job;
    assert(engine->started < engine->most);
    struct sf_worker *worker = PyMem_Calloc(1, sizeof *worker);
    if (!worker) {
        PyErr_NoMemory();
        return -1;
    }
    uint32_t number = (uint32_t)engine->started;
    engine->workers[engine->started++] = worker;
    worker->engine = engine;
    worker->number = number;
    worker->block = 1;
    worker->gone = true; /* until it runs */
    if (job->uses_ring)
        atomic_store_explicit(sf_worker_claim(worker), SF_ENGINE_NO_CLAIM,
                              memory_order_relaxed); /* the fork orders it */
    PyObject *name = job->name ? job->name(engine, number) : NULL;
    if (job->name && !name)
        return -1;
    int failed =
        sf_task_init(&worker->task, SF_TASK_MAP_WORKER, engine->f, NULL, NULL, engine->extract, engine->merge, name);
    Py_XDECREF(name);
    worker->task.run = job->run;
    if (failed || sf_task_start(&worker->task))
        return -1;
    worker->gone = false;
    engine->alive++;
    return 0;
}

/* ---- what arrives ---- */

/* Hands on a whole list of results. Steals it. */
static void keep_list(struct sf_engine *engine, uint64_t number, Py_ssize_t room, PyObject *list)
{
    Py_ssize_t count = PyList_CheckExact(list) ? PyList_GET_SIZE(list) : 0;
    if (count == 0 || count > room) {
        PyErr_Format(PyExc_RuntimeError, "%zd results came back for %zd arguments from %llu on", count, room,
                     (unsigned long long)number);
        engine->job->fail(engine, number);
        count = 0;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        engine->job->keep(engine, number + (uint64_t)i, Py_NewRef(PyList_GET_ITEM(list, i)));
    Py_DECREF(list);
}

/* Turns a whole message into values, or an exception, for the job. opened: stolen; NULL: it could not be unpickled. 0,
 * or SF_RAISED with what interrupted the unpickling. */
static int open_whole(struct sf_engine *engine, struct sf_worker *worker, const struct sf_stream_head *head,
                      PyObject *opened)
{
    const struct sf_job *job = engine->job;
    if (!opened && sf_outcome_was_interrupted())
        return SF_RAISED;
    Py_ssize_t room = job->room(engine, head->number);
    if (room <= 0) { /* its chunk has failed meanwhile */
        Py_XDECREF(opened);
        PyErr_Clear();
        return 0;
    }
    if (!opened && job->raises_reason) {
        job->fail(engine, head->number);
        return 0;
    }
    char what[SF_ENGINE_WHAT_BYTES];
    bool alone = head->tag & SF_ENGINE_ALONE;
    job->describe(engine, head->number, !alone, what);
    struct sf_outcome_origin origin = {worker->task.child.pid, 0, worker->task.name, what};
    PyObject *value = sf_outcome_open_message((enum sf_tag)(head->tag & ~SF_ENGINE_ALONE), opened, &origin);
    if (!value)
        job->fail(engine, head->number);
    else if (alone)
        job->keep(engine, head->number, value);
    else
        keep_list(engine, head->number, room, value);
    return 0;
}

/* Takes one piece. 0, -EAGAIN, SF_RAISED or -errno. */
static int pull_piece(struct sf_engine *engine)
{
    struct sf_stream_head head;
    struct sf_ring_slot slot;
    uint64_t bytes;
    int error = engine->ring ? sf_stream_pull(engine->ring, &head, &slot, &bytes) : -EAGAIN;
    if (error)
        return error;
    if (head.source >= (uint32_t)engine->started) {
        sf_ring_release(engine->ring, &slot);
        return -EBADMSG;
    }
    struct sf_worker *worker = engine->workers[head.source];
    assert(!worker->gone); /* or it sent after its death */
    PyObject *opened;
    int whole = sf_arrival_take(&worker->arrival, engine->ring, &head, &slot, bytes, &opened);
    if (whole > 0 && !sf_ring_is_holder(engine->ring, &slot)) {
        if (opened)
            PyErr_SetString(PyExc_RuntimeError, "this process was forked while a result was unpickled: the results are "
                                                "those of the process that forked it");
        Py_XDECREF(opened);
        return SF_RAISED;
    }
    if (whole < 0)
        return SF_RAISED;
    return whole ? open_whole(engine, worker, &head, opened) : 0;
}

/* Takes results while there are some, but no longer than STRETCH_NS: then signal handlers and other Python threads are
 * due, and workers may send as fast as we take. until_finished: no more than are needed. 0: there may be more, -EAGAIN:
 * there was no more, SF_RAISED or -errno. */
static int take_results(struct sf_engine *engine, bool until_finished)
{
    int64_t until_ns = sf_monotonic_ns() + STRETCH_NS;
    int got;
    while ((got = pull_piece(engine)) == 0)
        if ((until_finished && engine->job->is_finished(engine)) || sf_monotonic_ns() >= until_ns)
            break;
    return got;
}

/* ---- who has died ---- */

/* The one place that finds out that workers have died. What they had sent is taken first; if
 * that takes long, the search goes on at the next call. 0, SF_RAISED or -errno. */
static int look_for_dead(struct sf_engine *engine)
{
    while (engine->oldest < engine->started && engine->workers[engine->oldest]->gone)
        engine->oldest++;
    for (Py_ssize_t i = engine->oldest; i < engine->started; i++) {
        struct sf_worker *worker = engine->workers[i];
        if (worker->gone)
            continue;
        int got = sf_child_wait(&worker->task.child, false, 0);
        if (got == -EAGAIN)
            continue;
        if (got == 0)
            got = take_results(engine, false);
        if (got == 0)
            engine->look = true; /* its results may not be all taken yet */
        if (got != -EAGAIN)
            return got;
        worker->gone = true;
        engine->alive--;
        assert(engine->alive >= 0);
        uint64_t claim = SF_ENGINE_NO_CLAIM;
        if (engine->job->uses_ring)
            claim = atomic_load_explicit(sf_worker_claim(worker), memory_order_relaxed); /* its death orders it */
        engine->job->ended(engine, worker, claim);
    }
    return 0;
}

bool sf_engine_has_finished(const struct sf_worker *worker)
{
    const struct sf_engine_claim *claim = &worker->engine->board->claims[worker->number];
    return atomic_load_explicit(&claim->has_finished, memory_order_relaxed); /* its death orders it */
}

int sf_engine_look(struct sf_engine *engine)
{
    if (!sf_liveness_is_due(0, &engine->looked_ns))
        return 0;
    int got = look_for_dead(engine);
    if (got && got != SF_RAISED)
        sf_error(got, "cannot look for workers that have died");
    return got ? -1 : 0;
}

void sf_engine_raise_death(struct sf_worker *worker, uint64_t claim, const char *where)
{
    struct sf_task *task = &worker->task;
    char at[40] = "";
    if (sf_task_collect(task, false, 0))
        PyErr_Clear();                                              /* then there is its exit status */
    if (task->tag == SF_TAG_RAISED || task->tag == SF_TAG_BROKEN) { /* what ended it outside of f */
        Py_XDECREF(sf_task_result(task));
        assert(PyErr_Occurred());
        return;
    }
    PyObject *cause = NULL;
    if (task->tag == SF_TAG_EXITED) { /* the traceback of its sys.exit() */
        Py_XDECREF(sf_task_result(task));
        PyObject *exited = sf_take_raised();
        cause = exited ? PyException_GetCause(exited) : NULL;
        Py_XDECREF(exited);
    }
    if (claim != SF_ENGINE_NO_CLAIM)
        snprintf(at, sizeof at, " at argument %llu", (unsigned long long)claim);
    PyObject *fate = sf_error_fate(task->child.exit_status);
    PyObject *message =
        fate ? PyUnicode_FromFormat("%U (pid %d) %U%s%s", task->name, (int)task->child.pid, fate, at, where) : NULL;
    PyObject *died =
        message ? sf_error_child_died(message, task->child.pid, task->child.exit_status, task->name, cause) : NULL;
    Py_XDECREF(cause);
    Py_XDECREF(fate);
    Py_XDECREF(message);
    if (died)
        sf_put_raised(died);
}

/* ---- waiting ---- */

static int try_results(void *what)
{
    struct sf_engine *engine = what;
    if (engine->ring)
        engine->seen = sf_ring_events(engine->ring);
    int got = take_results(engine, true);
    if (got == 0 && engine->job->is_finished(engine))
        return 0;
    if ((got == 0 || got == -EAGAIN) && engine->look) {
        engine->look = false;
        got = look_for_dead(engine);
    }
    if ((got == 0 || got == -EAGAIN) && engine->job->advance)
        got = engine->job->advance(engine);
    if (got && got != -EAGAIN)
        return got;
    return engine->job->is_finished(engine) ? 0 : -EAGAIN;
}

/* Without a ring, the end of a worker is what is waited for. */
static int sleep_for_death(struct sf_engine *engine, int64_t timeout_ns)
{
    struct pollfd *waited = PyMem_RawCalloc((size_t)engine->alive + 1, sizeof *waited);
    nfds_t count = 0;
    if (!waited)
        return -ENOMEM;
    for (Py_ssize_t i = engine->oldest; i < engine->started; i++)
        if (!engine->workers[i]->gone)
            waited[count++] =
                (struct pollfd){.fd = sf_own_fd_get(&engine->workers[i]->task.child.pidfd), .events = POLLIN};
    assert(count == (nfds_t)engine->alive);
    int slept = sf_process_wait_any(waited, count, timeout_ns);
    PyMem_RawFree(waited);
    return slept;
}

static int sleep_for_results(void *what, int64_t timeout_ns)
{
    struct sf_engine *engine = what;
    if (!engine->ring) {
        engine->look = true;
        return sleep_for_death(engine, timeout_ns);
    }
    int slept = sf_ring_wait_event(engine->ring, engine->seen, timeout_ns);
    if (sf_liveness_is_due(slept, &engine->looked_ns))
        engine->look = true;
    return slept == -EPIPE ? -ETIMEDOUT : slept; /* all may be dead with their results sent: look_for_dead finds out */
}

int sf_engine_wait(struct sf_engine *engine)
{
    struct sf_waiting waiting = {try_results, sleep_for_results, engine, engine->ring ? SF_WAIT_MESSAGE : SF_WAIT_CHILD,
                                 0};
    int got = sf_wait(&waiting, true, SF_FOREVER);
    if (got && got != SF_RAISED)
        sf_error(got, "cannot receive the workers' results");
    return got ? -1 : 0;
}

/* ---- the end ---- */

int sf_engine_reap(struct sf_engine *engine)
{
    for (Py_ssize_t i = 0; i < engine->started; i++) {
        int got = sf_child_wait(&engine->workers[i]->task.child, true, SF_FOREVER);
        if (got) {
            if (got != SF_RAISED)
                sf_error(got, "cannot wait for a worker");
            return -1;
        }
    }
    return 0;
}

void sf_engine_end_worker(struct sf_engine *engine, struct sf_worker *worker)
{
    if (worker->gone)
        return;
    sf_task_dispose(&worker->task, NULL, false);
    worker->gone = true;
    engine->alive--;
}

bool sf_engine_is_worker(const struct sf_engine *engine)
{
    for (Py_ssize_t i = 0; i < engine->started; i++)
        if (sf_child_is_self(&engine->workers[i]->task.child))
            return true;
    return false;
}

int sf_engine_traverse(const struct sf_engine *engine, visitproc visit, void *arg)
{
    for (Py_ssize_t i = 0; i < engine->started; i++) {
        int stopped = sf_task_traverse(&engine->workers[i]->task, visit, arg);
        if (stopped)
            return stopped;
    }
    return 0;
}

void sf_engine_kill(struct sf_engine *engine)
{
    for (Py_ssize_t i = 0; i < engine->started; i++) {
        struct sf_child *child = &engine->workers[i]->task.child;
        if (child->state == SF_CHILD_RUNNING && child->owner == getpid())
            sf_child_signal(child, SIGKILL);
    }
}

void sf_engine_fini(struct sf_engine *engine)
{
    sf_engine_kill(engine);       /* all at once, then one after the other */
    while (engine->started > 0) { /* one by one, because the garbage collector may traverse those that are left */
        struct sf_worker *worker = engine->workers[--engine->started];
        sf_task_fini(&worker->task);
        sf_arrival_clear(&worker->arrival);
        PyMem_Free(worker);
    }
    engine->alive = engine->oldest = 0;
    PyMem_Free(engine->workers);
    engine->workers = NULL;
    if (engine->board)
        sf_shm_unmap(engine->board, engine->board_bytes);
    engine->board = NULL;
    sf_ring_free(engine->ring);
    engine->ring = NULL;
}
