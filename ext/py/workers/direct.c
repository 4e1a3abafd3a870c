/* Results without the manager. See direct.h.
 *
 * A future is given its result by calls of C code alone (its lock, its dict), so nothing comes between: neither a
 * signal handler nor another thread. It is the same as Future.set_result() where nobody is to be told. */
#include "py/workers/direct.h"

#include <errno.h>

#include "core/log/log.h"
#include "core/os/monotonic.h"
#include "core/ring/ring_wait.h"
#include "py/workers/receive.h"

#define LONGEST_NS INT64_C(10000000) /* who waits longer does not notice the manager's wake-up */

static PyObject *name_future, *name_condition, *name_lock, *name_waiters, *name_callbacks, *name_state, *name_result,
    *name_acquire, *name_release, *name_is_owned, *running, *finished;
static const struct {
    const char *text;
    PyObject **to;
} names[] = {
    {"future", &name_future},
    {"_condition", &name_condition},
    {"_lock", &name_lock},
    {"_waiters", &name_waiters},
    {"_state", &name_state},
    {"_result", &name_result},
    {"_done_callbacks", &name_callbacks},
    {"acquire", &name_acquire},
    {"release", &name_release},
    {"_is_owned", &name_is_owned},
    {"RUNNING", &running},
    {"FINISHED", &finished},
};

int sf_direct_init(void)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!(*names[i].to = PyUnicode_InternFromString(names[i].text)))
            return -1;
    return 0;
}

/* ---- the future ---- */

static bool is_empty(PyObject *object, PyObject *name)
{
    PyObject *found = PyObject_GetAttr(object, name);
    bool empty = found && PyObject_Size(found) == 0;
    Py_XDECREF(found);
    return empty;
}

/* Whether the future waits for its result, and only the calling thread for the future. */
static bool is_plain(PyObject *future, PyObject *condition)
{
    PyObject *state = PyObject_GetAttr(future, name_state);
    bool plain = state && PyObject_RichCompareBool(state, running, Py_EQ) > 0 && is_empty(future, name_waiters) &&
                 is_empty(future, name_callbacks) && is_empty(condition, name_waiters);
    Py_XDECREF(state);
    return plain;
}

static bool call_is_true(PyObject *object, PyObject *method, PyObject *argument)
{
    PyObject *answer = PyObject_CallMethodObjArgs(object, method, argument, NULL);
    bool is_true = answer && PyObject_IsTrue(answer) > 0;
    Py_XDECREF(answer);
    return is_true;
}

/* The lock may be this thread's already: a signal handler has interrupted what holds it. */
static bool settle_locked(PyObject *future, PyObject *condition, PyObject *lock, PyObject *value)
{
    if (call_is_true(lock, name_is_owned, NULL) || !call_is_true(lock, name_acquire, Py_False))
        return false;
    bool settled = is_plain(future, condition) && PyObject_SetAttr(future, name_result, value) == 0 &&
                   PyObject_SetAttr(future, name_state, finished) == 0;
    Py_XDECREF(PyObject_CallMethodObjArgs(lock, name_release, NULL));
    return settled;
}

/* Gives the task's future its result, if nobody is to be told. */
static bool settle(PyObject *task, PyObject *value)
{
    PyObject *future = PyObject_GetAttr(task, name_future);
    PyObject *condition = future ? PyObject_GetAttr(future, name_condition) : NULL;
    PyObject *lock = condition ? PyObject_GetAttr(condition, name_lock) : NULL;
    bool settled = lock && settle_locked(future, condition, lock, value);
    Py_XDECREF(lock);
    Py_XDECREF(condition);
    Py_XDECREF(future);
    PyErr_Clear();
    return settled;
}

/* ---- the engine ---- */

static bool may_borrow(const struct sf_crew *crew)
{
    const struct sf_engine *engine = &crew->engine;
    return !engine->lent && (!crew->waiting || engine->asleep) && engine->unopened.state == SF_UNOPENED_NONE &&
           !crew->nudged && !crew->attended && PyList_GET_SIZE(crew->events) == 0;
}

static void borrow(struct sf_engine *engine)
{
    engine->lent = true;
    sf_ring_send_away(engine->ring, &engine->away);
}

/* The manager goes on. It is called where there may be something to do. */
static void give_back(struct sf_crew *crew)
{
    struct sf_engine *engine = &crew->engine;
    engine->lent = false;
    sf_ring_call_back(engine->ring, &engine->away);
    bool is_quiet = PyList_GET_SIZE(crew->events) == 0 && engine->unopened.state == SF_UNOPENED_NONE && !crew->nudged &&
                    !crew->closed && !crew->feed.is_packed && !crew->refused && !engine->job->awaits_end(engine) &&
                    sf_ring_has_message(engine->ring, 0) == -EAGAIN;
    if (!is_quiet)
        sf_ring_nudge(engine->ring);
}

/* The last event, if it is the task's result. Borrowed. */
static PyObject *find_result(const struct sf_crew *crew, PyObject *task)
{
    Py_ssize_t count = PyList_GET_SIZE(crew->events);
    PyObject *event = count ? PyList_GET_ITEM(crew->events, count - 1) : NULL;
    bool found = event && PyTuple_GET_ITEM(event, 1) == task &&
                 PyLong_AsLong(PyTuple_GET_ITEM(event, 0)) == SF_CREW_RESULT && PyTuple_GET_SIZE(event) == 3;
    return found ? event : NULL;
}

/* Takes what is there, up to the task's result. 0: it came, or something that is not for this thread; -EAGAIN: neither.
 */
static int take(struct sf_crew *crew, PyObject *task, PyObject **event)
{
    int got;
    while ((got = sf_receive_piece(&crew->engine)) == 0) {
        *event = find_result(crew, task);
        if (*event)
            return 0;
    }
    if (PyList_GET_SIZE(crew->events) > 0) /* others': they should not wait */
        sf_eventcount_notify_all(&crew->engine.away);
    PyErr_Clear(); /* no memory: the same is tried again by the manager */
    return got == -EAGAIN || got == -EBUSY ? -EAGAIN : 0;
}

/* The event of the task's result, borrowed from the crew's list; NULL: it did not come. */
static PyObject *wait_for_result(struct sf_crew *crew, PyObject *task, int64_t end_ns)
{
    struct sf_engine *engine = &crew->engine;
    PyObject *event = NULL;
    int slept = 0;
    while (slept != -EINTR && slept != -EPIPE && !crew->closed) {
        uint32_t seen = sf_ring_events(engine->ring);
        int64_t left_ns = end_ns - sf_monotonic_ns();
        if (take(crew, task, &event) == 0 || left_ns <= 0)
            break;
        Py_BEGIN_ALLOW_THREADS;
        slept = sf_ring_wait_event(engine->ring, seen, left_ns);
        Py_END_ALLOW_THREADS;
    }
    return event;
}

static bool take_borrowed(struct sf_crew *crew, PyObject *task, int64_t end_ns)
{
    sf_log_write(SF_EVENT_WAIT, SF_PHASE_BEGIN, 0, SF_WAIT_MESSAGE, 0);
    PyObject *event = wait_for_result(crew, task, end_ns);
    sf_log_write(SF_EVENT_WAIT, SF_PHASE_END, 0, SF_WAIT_MESSAGE, 0);
    Py_ssize_t last = PyList_GET_SIZE(crew->events) - 1;
    if (!event || !settle(task, PyTuple_GET_ITEM(event, 2)))
        return false;
    crew->taken++;
    Py_INCREF(event);
    if (PyList_SetSlice(crew->events, last, last + 1, NULL))
        PyErr_Clear(); /* then the manager finds that the future has its result */
    give_back(crew);
    Py_DECREF(event); /* may run code of the program */
    return true;
}

bool sf_direct_take(struct sf_crew *crew, PyObject *task, int64_t deadline_ns)
{
    int64_t end_ns = sf_monotonic_ns() + LONGEST_NS;
    if (!may_borrow(crew))
        return false;
    borrow(&crew->engine);
    bool taken = take_borrowed(crew, task, end_ns < deadline_ns ? end_ns : deadline_ns);
    if (!taken)
        give_back(crew);
    return taken;
}
