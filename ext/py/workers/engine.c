/* The parent's half of the worker engine. See engine.h. */
#include "py/workers/engine.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <time.h>

#include "core/os/monotonic.h"
#include "core/os/pid.h"
#include "core/os/process.h"
#include "core/os/shm.h"
#include "core/result/stream.h"
#include "core/ring/ring_wait.h"
#include "py/base/errors.h"
#include "py/base/wait.h"
#include "py/message/offer.h"
#include "py/workers/receive.h"
#include "py/workers/timeout.h"

#define STRETCH_NS INT64_C(5000000) /* how long results are taken in one go */
#define ENDING_NS INT64_C(2000000)  /* how long one that ends is waited for without a look at what others have sent */

int sf_engine_init(struct sf_engine *engine, const struct sf_job *job, Py_ssize_t most)
{
    void *board = NULL;
    assert(most > 0);
    engine->job = job;
    engine->most = most;
    engine->owner = sf_pid_own();
    engine->look = false;
    engine->due_ns = 0;
    size_t bytes = sizeof *engine->board + (size_t)most * sizeof engine->board->claims[0];
    engine->workers = PyMem_Calloc((size_t)most, sizeof *engine->workers);
    engine->awaited = PyMem_Calloc((size_t)most, sizeof *engine->awaited);
    int error = engine->workers && engine->awaited ? sf_shm_map(&board, bytes) : -ENOMEM;
    engine->board = board;
    engine->board_bytes = board ? bytes : 0;
    if (!error)
        error = sf_ring_new(&engine->ring, SF_STREAM_RING_BYTES);
    if (error)
        sf_error(error, "cannot map the memory for workers");
    return error ? -1 : 0;
}

/* The first free place for a worker, `most` if there is none. */
static Py_ssize_t find_place(const struct sf_engine *engine)
{
    Py_ssize_t place = engine->started;
    if (engine->job->keeps_going)
        for (place = 0; place < engine->started && engine->workers[place];)
            place++;
    return place;
}

bool sf_engine_has_place(const struct sf_engine *engine)
{
    return find_place(engine) < engine->most;
}

static void take_place(struct sf_engine *engine, struct sf_worker *worker)
{
    Py_ssize_t place = find_place(engine);
    assert(place < engine->most);
    engine->workers[place] = worker;
    engine->started = place < engine->started ? engine->started : place + 1;
    worker->engine = engine;
    worker->number = (uint32_t)place;
}

/* The place of a worker that is gone may be taken by another one, where the job wants that. May run code of the
 * program. */
static void leave_place(struct sf_engine *engine, struct sf_worker *worker)
{
    if (!engine->job->keeps_going)
        return;
    assert(worker->gone && engine->workers[worker->number] == worker);
    engine->workers[worker->number] = NULL;
    sf_task_fini(&worker->task);
    sf_arrival_clear(&worker->arrival);
    PyMem_Free(worker);
}

static int start_worker(struct sf_engine *engine, struct sf_worker *worker)
{
    const struct sf_job *job = engine->job;
    PyObject *name = job->name ? job->name(engine, worker->number) : NULL;
    if (job->name && !name)
        return -1;
    struct sf_task_call call = {.f = engine->f, .name = name};
    int failed = sf_task_init(&worker->task, NULL, job->kind, &call);
    Py_XDECREF(name);
    if (!failed && engine->extraction && !(worker->task.extraction = sf_extraction_copy(engine->extraction)))
        failed = -1;
    worker->task.run = job->run;
    worker->task.child.at_exit = job->at_exit;
    return failed || !sf_engine_is_ours(engine) || sf_task_start(&worker->task) ? -1 : 0;
}

int sf_engine_start(struct sf_engine *engine)
{
    struct sf_worker *worker = PyMem_Calloc(1, sizeof *worker);
    if (!worker) {
        PyErr_NoMemory();
        return -1;
    }
    take_place(engine, worker);
    worker->block = 1;
    worker->gone = true; /* until it runs */
    struct sf_engine_claim *claim = sf_worker_board(worker);
    atomic_store_explicit(&claim->number, SF_ENGINE_NO_CLAIM, memory_order_relaxed); /* the fork orders all of it */
    atomic_store_explicit(&claim->began_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&claim->doomed, 0, memory_order_relaxed);
    atomic_store_explicit(&claim->offer, SF_OFFER_NONE, memory_order_relaxed);
    atomic_store_explicit(&claim->has_finished, false, memory_order_relaxed);
    if (start_worker(engine, worker)) {
        PyObject *raised = sf_take_raised();
        leave_place(engine, worker);
        sf_put_raised(raised);
        return -1;
    }
    worker->gone = false; /* a look for the dead, by another thread, may have passed it over meanwhile */
    if (worker->number < engine->oldest)
        engine->oldest = worker->number;
    engine->alive++;
    return 0;
}

/* ---- what arrives ---- */

/* Takes results while there are some, but no longer than STRETCH_NS: then signal handlers and other Python threads are
 * due, and workers may send as fast as we take. until_finished: no more than are needed. 0: there may be more, -EAGAIN:
 * there was no more, SF_RAISED or -errno. */
static int take_results(struct sf_engine *engine, bool until_finished)
{
    int64_t until_ns = sf_monotonic_ns() + STRETCH_NS;
    int got;
    while ((got = sf_receive_piece(engine)) == 0)
        if ((until_finished && engine->job->is_finished(engine)) || sf_monotonic_ns() >= until_ns)
            break;
    return got;
}

/* ---- who has died ---- */

static bool is_gone(const struct sf_engine *engine, Py_ssize_t place)
{
    return !engine->workers[place] || engine->workers[place]->gone;
}

/* The one place that finds out that workers have died. What they had sent is taken first; if
 * that takes long, the search goes on at the next call. 0, SF_RAISED or -errno. */
static int look_for_dead(struct sf_engine *engine)
{
    while (engine->oldest < engine->started && is_gone(engine, engine->oldest))
        engine->oldest++;
    for (Py_ssize_t i = engine->oldest; i < engine->started; i++) {
        struct sf_worker *worker = engine->workers[i];
        if (is_gone(engine, i))
            continue;
        if (!sf_engine_is_ours(engine)) /* what was taken before, or the job, has called os.fork */
            return SF_RAISED;
        int got = sf_child_wait(&worker->task.child, false, 0);
        if (got == -EAGAIN)
            continue;
        if (got == 0)
            got = take_results(engine, false);
        if (got == 0 || got == -EBUSY)
            engine->look = true; /* its results may not be all taken yet */
        if (got != -EAGAIN)
            return got;
        if (worker->gone) /* the job has ended it, for what one of them had sent */
            continue;
        worker->gone = true;
        engine->alive--;
        assert(engine->alive >= 0);
        uint64_t claim = atomic_load_explicit(sf_worker_claim(worker), memory_order_relaxed); /* its death orders it */
        engine->job->ended(engine, worker, claim);
        leave_place(engine, worker);
    }
    return 0;
}

bool sf_engine_has_finished(const struct sf_worker *worker)
{
    return atomic_load_explicit(&sf_worker_board(worker)->has_finished,
                                memory_order_relaxed); /* its death orders it, or its nudge */
}

int sf_engine_look(struct sf_engine *engine)
{
    if (engine->lent || !sf_liveness_is_due(0, &engine->looked_ns))
        return 0;
    int got = look_for_dead(engine);
    if (got == -EBUSY) /* the next look finds out */
        return 0;
    if (got && got != SF_RAISED)
        sf_error(got, "cannot look for workers that have died");
    return got ? -1 : 0;
}

void sf_engine_raise_death(struct sf_worker *worker, uint64_t claim, const char *where)
{
    struct sf_task *task = &worker->task;
    char at[40] = "";
    if (sf_task_collect(task, false, 0))
        PyErr_Clear(); /* then there is its exit status */
    if (sf_timeout_has_passed(worker)) {
        sf_timeout_raise(worker);
        return;
    }
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

/* Notes whose end is waited for: while it is, the interpreter lock is released. */
static void note_awaited(struct sf_engine *engine)
{
    engine->awaited_count = 0;
    if (!engine->job->awaits_end || !engine->job->awaits_end(engine))
        return;
    engine->look = true;
    for (Py_ssize_t i = engine->oldest; i < engine->started; i++)
        if (!is_gone(engine, i))
            engine->awaited[engine->awaited_count++] = engine->workers[i]->task.child.pid;
}

/* Another thread takes the results. */
static int try_lent(struct sf_engine *engine)
{
    if (!engine->is_away) /* it may have been woken in the other one's place */
        sf_ring_nudge(engine->ring);
    engine->is_away = true;
    engine->away_seen = sf_eventcount_read(&engine->away);
    return engine->job->is_finished(engine) ? 0 : -EAGAIN;
}

static int take_all(struct sf_engine *engine)
{
    if (engine->lent)
        return try_lent(engine);
    engine->is_away = false;
    engine->seen = sf_ring_events(engine->ring);
    int got = take_results(engine, true);
    if (got == 0 && engine->job->is_finished(engine))
        return 0;
    if (engine->timeout_ns && got != SF_RAISED) /* that may be a copy of the parent */
        sf_timeout_look(engine);
    if ((got == 0 || got == -EAGAIN) && engine->look) {
        engine->look = false;
        got = look_for_dead(engine);
    }
    if ((got == 0 || got == -EAGAIN) && engine->job->advance)
        got = engine->job->advance(engine);
    if (got && got != -EAGAIN)
        return got;
    if (engine->job->is_finished(engine))
        return 0;
    note_awaited(engine);
    return -EAGAIN;
}

static int try_results(void *what)
{
    struct sf_engine *engine = what;
    engine->asleep = false;
    int got = take_all(engine);
    engine->asleep = got == -EAGAIN;
    return got;
}

static int sleep_for_results(void *what, int64_t timeout_ns)
{
    struct sf_engine *engine = what;
    if (engine->is_away)
        return sf_eventcount_sleep(&engine->away, engine->away_seen, timeout_ns);
    if (engine->timeout_ns) {
        int64_t due_ns = engine->due_ns - sf_monotonic_ns();
        timeout_ns = due_ns < timeout_ns ? due_ns : timeout_ns;
    }
    if (engine->awaited_count) /* others may send results meanwhile */
        return sf_process_wait_any(engine->awaited, engine->awaited_count,
                                   timeout_ns < ENDING_NS ? timeout_ns : ENDING_NS);
    int slept = sf_ring_wait_event(engine->ring, engine->seen, timeout_ns);
    if (sf_liveness_is_due(slept, &engine->looked_ns))
        engine->look = true;
    return slept == -EPIPE ? -ETIMEDOUT : slept; /* all may be dead with their results sent: look_for_dead finds out */
}

int sf_engine_wait(struct sf_engine *engine)
{
    return sf_engine_wait_until(engine, SF_FOREVER);
}

int sf_engine_wait_until(struct sf_engine *engine, int64_t deadline_ns)
{
    struct sf_waiting waiting = {try_results, sleep_for_results, engine, SF_WAIT_MESSAGE, 0};
    int got = sf_wait(&waiting, true, deadline_ns);
    engine->asleep = false;
    if (got == -ETIMEDOUT)
        got = 0;
    if (got && got != SF_RAISED)
        sf_error(got, "cannot receive the workers' results");
    return got || !sf_engine_is_ours(engine) ? -1 : 0;
}

static int try_sent(void *what)
{
    struct sf_engine *engine = what;
    int got = 0;
    engine->seen = sf_ring_events(engine->ring);
    while (got == 0 && !engine->job->is_finished(engine))
        got = sf_receive_piece(engine);
    return got == -EAGAIN ? 0 : got;
}

static int sleep_for_lock(void *what, int64_t timeout_ns)
{
    struct sf_engine *engine = what;
    return sf_ring_wait_event(engine->ring, engine->seen, timeout_ns);
}

int sf_engine_take_sent(struct sf_engine *engine)
{
    struct sf_waiting waiting = {try_sent, sleep_for_lock, engine, SF_WAIT_MESSAGE, 0};
    int got = sf_wait(&waiting, true, SF_FOREVER);
    if (got && got != SF_RAISED)
        sf_error(got, "cannot receive the workers' results");
    return got || !sf_engine_is_ours(engine) ? -1 : 0;
}

/* ---- the end ---- */

int sf_engine_reap(struct sf_engine *engine)
{
    for (Py_ssize_t i = 0; i < engine->started; i++) {
        int got = engine->workers[i] ? sf_child_wait(&engine->workers[i]->task.child, true, SF_FOREVER) : 0;
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
    sf_task_dispose(&worker->task);
    worker->gone = true;
    engine->alive--;
}

int sf_engine_traverse(const struct sf_engine *engine, visitproc visit, void *arg)
{
    for (Py_ssize_t i = 0; i < engine->started; i++) {
        int stopped = engine->workers[i] ? sf_task_traverse(&engine->workers[i]->task, visit, arg) : 0;
        if (stopped)
            return stopped;
    }
    return 0;
}

void sf_engine_kill(struct sf_engine *engine)
{
    for (Py_ssize_t i = 0; i < engine->started; i++) {
        struct sf_child *child = engine->workers[i] ? &engine->workers[i]->task.child : NULL;
        if (child && child->state == SF_CHILD_RUNNING && child->owner == sf_pid_own())
            sf_child_signal(child, SIGKILL);
    }
}

void sf_engine_stop(struct sf_engine *engine)
{
    sf_engine_kill(engine); /* all at once, then one after the other */
    for (Py_ssize_t i = 0; i < engine->started; i++)
        if (engine->workers[i])
            sf_engine_end_worker(engine, engine->workers[i]);
}

void sf_engine_fini(struct sf_engine *engine)
{
    sf_receive_clear(engine);
    sf_engine_kill(engine);
    while (engine->started > 0) { /* one by one, because the garbage collector may traverse those that are left */
        struct sf_worker *worker = engine->workers[--engine->started];
        if (!worker)
            continue;
        sf_task_fini(&worker->task);
        sf_arrival_clear(&worker->arrival);
        PyMem_Free(worker);
    }
    engine->alive = engine->oldest = 0;
    PyMem_Free(engine->workers);
    PyMem_Free(engine->awaited);
    engine->workers = NULL;
    engine->awaited = NULL;
    if (engine->board)
        sf_shm_unmap(engine->board, engine->board_bytes);
    engine->board = NULL;
    sf_ring_free(engine->ring);
    engine->ring = NULL;
}
