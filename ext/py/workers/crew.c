/* Workers that stay. See crew.h. */
#include "py/workers/crew.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>

#include "core/log/log.h"
#include "core/os/monotonic.h"
#include "core/os/pid.h"
#include "core/os/process.h"
#include "core/ring/ring_wait.h"
#include "py/base/errors.h"
#include "py/base/wait.h"
#include "py/workers/crew_worker.h"
#include "py/workers/direct.h"
#include "py/workers/receive.h"

#define STRETCH_NS INT64_C(2000000) /* how long events are gathered */

static void describe_task(const struct sf_engine *engine, uint64_t number, bool extracted, char *what)
{
    (void)engine;
    (void)number;
    (void)extracted; /* nothing is */
    snprintf(what, SF_ENGINE_WHAT_BYTES, "its result");
}

static PyObject *name_worker(const struct sf_engine *engine, uint32_t number)
{
    return PyUnicode_FromFormat("%U worker %u", sf_crew_of(engine)->name, number + 1);
}

/* ---- in the parent: what the engine asks for ---- */

/* The task with this number; NULL: it is not sent, or not any more. Borrowed. */
static PyObject *find_task(const struct sf_crew *crew, uint64_t number)
{
    PyObject *key = PyLong_FromUnsignedLongLong(number);
    PyObject *task = key ? PyDict_GetItemWithError(crew->sent, key) : NULL;
    Py_XDECREF(key);
    return task;
}

static void forget_task(struct sf_crew *crew, uint64_t number)
{
    PyObject *key = PyLong_FromUnsignedLongLong(number);
    if (!key || PyDict_DelItem(crew->sent, key))
        PyErr_Clear();
    Py_XDECREF(key);
}

/* Steals the event, which may be NULL with an exception: then it is lost, for want of memory. */
static void add_event(struct sf_crew *crew, PyObject *event)
{
    if (!event || PyList_Append(crew->events, event))
        PyErr_WriteUnraisable(NULL);
    Py_XDECREF(event);
}

static Py_ssize_t room_for_result(struct sf_engine *engine, uint64_t number, bool extracted)
{
    (void)extracted; /* nothing is */
    return number == SF_CREW_PREPARATION || find_task(sf_crew_of(engine), number) ? 1 : 0;
}

static void keep_result(struct sf_engine *engine, uint64_t number, PyObject *const *values, Py_ssize_t count)
{
    (void)count; /* there is room for one */
    struct sf_crew *crew = sf_crew_of(engine);
    PyObject *task = find_task(crew, number);
    if (!task)
        return;
    add_event(crew, Py_BuildValue("(iOO)", SF_CREW_RESULT, task, values[0]));
    forget_task(crew, number);
}

static void fail_result(struct sf_engine *engine, uint64_t number)
{
    struct sf_crew *crew = sf_crew_of(engine);
    PyObject *raised = sf_take_raised();
    PyObject *task = find_task(crew, number);
    if (number == SF_CREW_PREPARATION)
        add_event(crew, Py_BuildValue("(iOO)", SF_CREW_BROKEN, Py_None, raised));
    else if (task)
        add_event(crew, Py_BuildValue("(iOO)", SF_CREW_ERROR, task, raised));
    Py_XDECREF(raised);
    forget_task(crew, number);
}

/* What is known of the end of a worker: a new reference to an exception. */
static PyObject *reason_of(struct sf_worker *worker)
{
    sf_engine_raise_death(worker, SF_ENGINE_NO_CLAIM, "");
    return sf_take_raised();
}

static void worker_ended(struct sf_engine *engine, struct sf_worker *worker, uint64_t claim)
{
    struct sf_crew *crew = sf_crew_of(engine);
    bool by_itself = sf_engine_has_finished(worker);
    PyObject *task = claim == SF_ENGINE_NO_CLAIM ? NULL : find_task(crew, claim);
    PyObject *reason = by_itself ? Py_NewRef(Py_None) : reason_of(worker);
    int32_t status = worker->task.child.exit_status;
    PyObject *exit_status = status == SF_PROCESS_STATUS_UNKNOWN ? Py_NewRef(Py_None) : PyLong_FromLong(status);
    if (!reason || !exit_status)
        PyErr_Clear();
    add_event(crew, Py_BuildValue("(iOiNNN)", SF_CREW_ENDED, task ? task : Py_None, (int)worker->task.child.pid,
                                  exit_status ? exit_status : Py_NewRef(Py_None), PyBool_FromLong(by_itself),
                                  reason ? reason : Py_NewRef(Py_None)));
    if (task)
        forget_task(crew, claim);
}

/* Pushes what is packed. 0, or -errno. */
static int push_packed(struct sf_engine *engine)
{
    struct sf_crew *crew = sf_crew_of(engine);
    int pushed = crew->feed.is_packed && !crew->packing ? sf_feed_push(&crew->feed) : 0;
    if (pushed == 0 && crew->refused && !crew->packing)
        sf_crew_nudge(crew);
    return pushed == -EAGAIN ? 0 : pushed;
}

static bool has_events(struct sf_engine *engine)
{
    const struct sf_crew *crew = sf_crew_of(engine);
    return crew->nudged || crew->closed || PyList_GET_SIZE(crew->events) > 0;
}

/* A worker that ends is replaced, and that should not wait for the next look for the dead. */
static bool awaits_end(struct sf_engine *engine)
{
    for (Py_ssize_t i = engine->oldest; i < engine->started; i++) {
        const struct sf_worker *worker = engine->workers[i];
        if (worker && !worker->gone &&
            (sf_engine_has_finished(worker) ||
             atomic_load_explicit(&sf_worker_board(worker)->doomed, memory_order_relaxed)))
            return true;
    }
    return false;
}

static void kill_at_program_end(struct sf_child *child)
{
    sf_child_signal(child, SIGKILL); /* what had to be finished is: see _executor.py */
}

static const struct sf_job crew_job = {
    .kind = SF_TASK_EXECUTOR_WORKER,
    .run = sf_crew_worker_run,
    .next_chunk = sf_crew_worker_next,
    .describe = describe_task,
    .name = name_worker,
    .room = room_for_result,
    .keep = keep_result,
    .fail = fail_result,
    .ended = worker_ended,
    .advance = push_packed,
    .is_finished = has_events,
    .awaits_end = awaits_end,
    .at_exit = kill_at_program_end,
    .sends_whole = true,
    .raises_reason = true,
    .keeps_going = true,
    .goes_on = true,
};

/* ---- calls under way, and the end ---- */

static void free_crew(struct sf_crew *crew)
{
    PyObject *raised = sf_take_raised();
    crew->users++; /* nobody else does this meanwhile */
    sf_engine_fini(&crew->engine);
    sf_feed_fini(&crew->feed);
    Py_CLEAR(crew->engine.f);
    Py_CLEAR(crew->prepare);
    Py_CLEAR(crew->events);
    Py_CLEAR(crew->sent);
    Py_CLEAR(crew->name);
    if (raised)
        sf_put_raised(raised);
}

/* 0, or -1 with RuntimeError: it is closed, or another process's. */
static int enter(struct sf_crew *crew)
{
    if (crew->closed) {
        PyErr_SetString(PyExc_RuntimeError, "its workers have been ended");
        return -1;
    }
    if (!sf_engine_is_ours(&crew->engine))
        return -1;
    crew->users++;
    return 0;
}

/* The same for what brings tasks or workers. */
static int enter_with_more(struct sf_crew *crew)
{
    if (crew->finished) {
        PyErr_SetString(PyExc_RuntimeError, "its workers have been told to end");
        return -1;
    }
    return enter(crew);
}

static void leave(struct sf_crew *crew)
{
    if (--crew->users == 0 && crew->closed)
        free_crew(crew);
}

bool sf_crew_finish(struct sf_crew *crew)
{
    if (crew->closed || PyDict_Size(crew->sent) > 0)
        return crew->closed;
    crew->finished = true;
    sf_feed_stop(&crew->feed);
    return true;
}

PyObject *sf_crew_close(struct sf_crew *crew)
{
    bool is_ours = crew->engine.owner == sf_pid_own();
    PyObject *left = crew->sent ? PyDict_Values(crew->sent) : PyList_New(0);
    if (!crew->engine.f || (crew->users && (crew->closed || !is_ours)))
        return left; /* it is done, or will be; in a worker, which was forked within a start(), never */
    crew->closed = true;
    if (crew->users == 0) {
        free_crew(crew);
        return left;
    }
    sf_engine_kill(&crew->engine);
    if (crew->engine.ring)
        sf_ring_nudge(crew->engine.ring);
    sf_eventcount_notify_all(&crew->engine.away);
    return left;
}

/* ---- what the manager and others do ---- */

static Py_ssize_t count_sent(const struct sf_crew *crew)
{
    return crew->sent ? PyDict_Size(crew->sent) : 0;
}

int sf_crew_init(struct sf_crew *crew, PyObject *call, PyObject *prepare, PyObject *name, Py_ssize_t workers,
                 uint64_t tasks_per_worker)
{
    crew->engine.f = Py_NewRef(call);
    crew->prepare = prepare == Py_None ? NULL : Py_NewRef(prepare);
    crew->name = Py_NewRef(name);
    crew->tasks_per_worker = tasks_per_worker;
    crew->sent = PyDict_New();
    crew->events = PyList_New(0);
    if (!crew->sent || !crew->events || sf_engine_init(&crew->engine, &crew_job, workers))
        return -1;
    int error = sf_feed_init(&crew->feed, crew->engine.ring);
    crew->feed.are_tasks = true;
    if (error)
        sf_error(error, "cannot map the memory for tasks");
    return error ? -1 : 0;
}

int sf_crew_start(struct sf_crew *crew)
{
    if (enter_with_more(crew))
        return -1;
    struct sf_crew_fork fork = {(unsigned long)PyThread_get_thread_ident(), crew->forks}, **link = &crew->forks;
    crew->forks = &fork;
    int started = !sf_engine_has_place(&crew->engine) ? 0 : sf_engine_start(&crew->engine) ? -1 : 1;
    leave(crew);
    while (*link != &fork) /* later ones may still be under way */
        link = &(*link)->next;
    *link = fork.next;
    return started;
}

bool sf_crew_is_starting(const struct sf_crew *crew)
{
    const struct sf_crew_fork *fork = crew->forks;
    while (fork && fork->thread == (unsigned long)PyThread_get_thread_ident())
        fork = fork->next;
    return fork != NULL;
}

uint64_t sf_crew_number(const struct sf_crew *crew, int64_t waiting)
{
    uint64_t number = sf_log_next_submit();
    if (waiting >= 0)
        sf_log_write(SF_EVENT_SUBMIT, SF_PHASE_INSTANT, 0, number, (uint64_t)waiting + (uint64_t)count_sent(crew));
    return number;
}

/* sf_crew_send, between enter and leave. */
static int send_item(struct sf_crew *crew, uint64_t number, PyObject *task, PyObject *item, bool *is_bad)
{
    PyObject *key = PyLong_FromUnsignedLongLong(number);
    PyObject *items = key ? PyList_New(1) : NULL;
    if (!items || PyDict_SetItem(crew->sent, key, task)) {
        Py_XDECREF(items);
        Py_XDECREF(key);
        return -1;
    }
    PyList_SET_ITEM(items, 0, Py_NewRef(item));
    Py_ssize_t packed = 0;
    if (crew->finished) { /* meanwhile; sf_crew_finish has not seen the task */
        Py_DECREF(items);
        PyErr_SetString(PyExc_RuntimeError, "its workers have been told to end");
    } else {
        crew->packing = true;
        packed = sf_feed_pack(&crew->feed, number, items, is_bad);
        crew->packing = false;
    }
    bool is_ours = sf_engine_is_ours(&crew->engine); /* else pickling has called os.fork, and this is the new process */
    int error = packed && is_ours && !crew->closed ? sf_feed_push(&crew->feed) : 0;
    if (error && error != -EAGAIN)
        sf_error(error, "cannot send a task to the workers");
    if (packed && is_ours && (!error || error == -EAGAIN)) {
        Py_DECREF(key);
        return 1;
    }
    PyObject *raised = sf_take_raised();
    if (PyDict_DelItem(crew->sent, key))
        PyErr_Clear();
    Py_DECREF(key);
    sf_put_raised(raised);
    return -1;
}

int sf_crew_send(struct sf_crew *crew, uint64_t number, PyObject *task, PyObject *item, bool *is_bad)
{
    *is_bad = false;
    if (enter_with_more(crew))
        return -1;
    int error = crew->feed.is_packed && !crew->packing ? sf_feed_push(&crew->feed) : 0;
    int sent = 0;
    if (crew->packing || error == -EAGAIN) {
        crew->refused = true;
    } else if (error) {
        sf_error(error, "cannot send a task to the workers");
        sent = -1;
    } else {
        sent = send_item(crew, number, task, item, is_bad);
        if (crew->refused)
            sf_crew_nudge(crew);
    }
    leave(crew);
    return sent;
}

/* The current exception comes from taking or opening a message, in a thread in which no signal handler runs: it is
 * about that message (there may be no memory for it), and becomes its task's. Whether there is such a message. */
static bool fail_unopened(struct sf_engine *engine)
{
    const struct sf_unopened *unopened = &engine->unopened;
    if (unopened->state == SF_UNOPENED_NONE || !PyErr_Occurred() || engine->owner != getpid() ||
        !engine->workers[unopened->head.source])
        return false;
    fail_result(engine, unopened->head.number);
    sf_receive_drop(engine);
    return true;
}

/* Waits for the first event, and gathers those that follow at once. 0, or -1 with an exception. */
static int gather(struct sf_crew *crew, int64_t deadline_ns)
{
    struct sf_engine *engine = &crew->engine;
    int got = sf_engine_look(engine) || sf_engine_wait_until(engine, deadline_ns) ? SF_RAISED : 0;
    int64_t until_ns = sf_monotonic_ns() + STRETCH_NS;
    while (!crew->closed && !engine->lent && sf_monotonic_ns() < until_ns) {
        if (got == 0)
            got = sf_receive_piece(engine);
        if (got == SF_RAISED && fail_unopened(engine))
            got = 0;
        if (got)
            break;
    }
    if (got == SF_RAISED)
        return PyErr_Occurred() ? -1 : 0;
    if (got && got != -EAGAIN && got != -EBUSY) {
        sf_error(got, "cannot receive the workers' results");
        return -1;
    }
    return 0;
}

PyObject *sf_crew_wait(struct sf_crew *crew, int64_t deadline_ns)
{
    if (crew->waiting)
        return PyErr_Format(PyExc_RuntimeError, "another Python thread waits for its workers already");
    PyObject *next = PyList_New(0);
    if (!next || enter(crew)) {
        Py_XDECREF(next);
        return NULL;
    }
    crew->waiting = true;
    int failed = gather(crew, deadline_ns);
    crew->waiting = crew->nudged = false;
    PyObject *events = NULL;
    if (!failed) {
        events = crew->events;
        crew->events = next;
        next = NULL;
    }
    Py_XDECREF(next);
    leave(crew);
    return events;
}

void sf_crew_attend(struct sf_crew *crew)
{
    crew->attended = true;
    sf_crew_nudge(crew);
}

int sf_crew_take(struct sf_crew *crew, uint64_t number, PyObject *waiting, int64_t deadline_ns)
{
    PyObject *task = crew->closed ? NULL : find_task(crew, number);
    if (!task || enter(crew))
        return PyErr_Occurred() ? -1 : 0;
    Py_INCREF(task);
    bool taken = sf_direct_take(crew, task, deadline_ns);
    if (taken && (crew->attended || PyObject_Size(waiting) != 0))
        sf_crew_nudge(crew);
    leave(crew);
    Py_DECREF(task);
    return taken;
}

void sf_crew_nudge(struct sf_crew *crew)
{
    crew->nudged = true;
    crew->refused = false;
    if (crew->closed || !crew->engine.ring)
        return;
    sf_ring_nudge(crew->engine.ring);
    if (crew->engine.lent)
        sf_eventcount_notify_all(&crew->engine.away);
}

PyObject *sf_crew_claims(const struct sf_crew *crew)
{
    PyObject *claims = PyList_New(0);
    for (Py_ssize_t i = 0; claims && !crew->closed && i < crew->engine.started; i++) {
        const struct sf_worker *worker = crew->engine.workers[i];
        if (!worker) /* one that is gone, and has a struct, is being forked: it may have begun to work */
            continue;
        const struct sf_engine_claim *claim = sf_worker_board(worker);
        uint64_t number = atomic_load_explicit(&claim->number, memory_order_acquire); /* partner: sf_claim_take */
        double since = (double)atomic_load_explicit(&claim->since_ns, memory_order_relaxed) / 1e9;
        PyObject *task = number == SF_ENGINE_NO_CLAIM ? NULL : find_task(crew, number);
        PyObject *one =
            task ? Py_BuildValue("(iKOd)", (int)worker->task.child.pid, (unsigned long long)number, task, since) : NULL;
        if (PyErr_Occurred() || (one && PyList_Append(claims, one)))
            Py_CLEAR(claims);
        Py_XDECREF(one);
    }
    return claims;
}

int sf_crew_doom(struct sf_crew *crew, pid_t pid, uint64_t number)
{
    for (Py_ssize_t i = 0; !crew->closed && i < crew->engine.started; i++) {
        struct sf_worker *worker = crew->engine.workers[i];
        if (!worker || worker->gone || worker->task.child.pid != pid)
            continue;
        struct sf_engine_claim *claim = sf_worker_board(worker);
        atomic_store_explicit(&claim->doomed, number + 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst); /* partner: await_doom */
        if (atomic_load_explicit(&claim->number, memory_order_relaxed) == number &&
            sf_child_signal(&worker->task.child, SIGKILL) == 0)
            return 1;
        atomic_store_explicit(&claim->doomed, 0, memory_order_relaxed);
        return 0;
    }
    return 0;
}

int sf_crew_traverse(const struct sf_crew *crew, visitproc visit, void *arg)
{
    Py_VISIT(crew->engine.f);
    Py_VISIT(crew->prepare);
    Py_VISIT(crew->sent);
    Py_VISIT(crew->events);
    Py_VISIT(crew->feed.items);
    return sf_engine_traverse(&crew->engine, visit, arg);
}
