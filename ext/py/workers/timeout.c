/* A time for each argument. See timeout.h. */
#include "py/workers/timeout.h"

#include <math.h>
#include <signal.h>
#include <unistd.h>

#include "core/os/monotonic.h"
#include "py/base/wait.h"

#define LATE INT64_C(-1)
#define REAP_NS INT64_C(1000000) /* how often it is looked whether a worker that was killed is dead */

int sf_timeout_read(PyObject *timeout, int64_t *timeout_ns)
{
    double seconds;
    *timeout_ns = 0;
    if (timeout && PyBool_Check(timeout)) {
        PyErr_Format(PyExc_TypeError, "timeout must be a number of seconds or None, not the bool %R", timeout);
        return -1;
    }
    if (sf_wait_seconds(timeout, &seconds))
        return -1;
    if (isnan(seconds) || seconds <= 0) {
        PyErr_Format(PyExc_ValueError, "timeout must be more than 0 seconds, not %R: None is for ever", timeout);
        return -1;
    }
    if (seconds < SF_WAIT_MOST_S)
        *timeout_ns = (int64_t)ceil(seconds * (double)SF_NS_PER_S);
    return 0;
}

/* ---- in the worker ---- */

void sf_timeout_begin(const struct sf_worker *worker)
{
    /* release: the claim is seen before; partner: sf_timeout_look */
    atomic_store_explicit(&sf_worker_board(worker)->began_ns, sf_monotonic_ns(), memory_order_release);
}

void sf_timeout_end(const struct sf_worker *worker)
{
    if (!sf_child_is_self(&worker->task.child))
        return;
    _Atomic int64_t *word = &sf_worker_board(worker)->began_ns;
    int64_t began_ns = atomic_load_explicit(word, memory_order_relaxed);
    /* acq_rel: the next claim is not noted before; partner: the exchange in look_at */
    if (began_ns == LATE ||
        !atomic_compare_exchange_strong_explicit(word, &began_ns, 0, memory_order_acq_rel, memory_order_relaxed))
        kill(getpid(), SIGKILL); /* the parent does so just now; LATE stays */
}

/* ---- in the parent ---- */

bool sf_timeout_has_passed(const struct sf_worker *worker)
{
    return atomic_load_explicit(&sf_worker_board(worker)->began_ns, memory_order_relaxed) == LATE;
}

/* Kills the worker if it is late. When to look at it again. */
static int64_t look_at(struct sf_worker *worker, int64_t now_ns)
{
    struct sf_engine *engine = worker->engine;
    _Atomic int64_t *word = &sf_worker_board(worker)->began_ns;
    int64_t began_ns = atomic_load_explicit(word, memory_order_acquire); /* partner: sf_timeout_begin */
    if (began_ns == 0)
        return now_ns + engine->timeout_ns;
    if (began_ns != LATE && now_ns - began_ns < engine->timeout_ns)
        return began_ns + engine->timeout_ns;
    if (began_ns != LATE &&
        !atomic_compare_exchange_strong_explicit(word, &began_ns, LATE, memory_order_acq_rel, memory_order_relaxed))
        return now_ns + engine->timeout_ns; /* just done; partner: sf_timeout_end */
    sf_child_signal(&worker->task.child, SIGKILL);
    engine->look = true;
    return now_ns + REAP_NS;
}

void sf_timeout_look(struct sf_engine *engine)
{
    int64_t now_ns = sf_monotonic_ns();
    if (now_ns < engine->due_ns)
        return;
    engine->due_ns = now_ns + engine->timeout_ns;
    for (Py_ssize_t i = engine->oldest; i < engine->started; i++) {
        struct sf_worker *worker = engine->workers[i];
        int64_t due_ns = worker->gone ? engine->due_ns : look_at(worker, now_ns);
        engine->due_ns = due_ns < engine->due_ns ? due_ns : engine->due_ns;
    }
}

void sf_timeout_raise(const struct sf_worker *worker)
{
    uint64_t number = atomic_load_explicit(sf_worker_claim(worker), memory_order_relaxed);
    PyObject *seconds = PyFloat_FromDouble((double)worker->engine->timeout_ns / (double)SF_NS_PER_S);
    if (seconds)
        PyErr_Format(PyExc_TimeoutError, "argument %llu took longer than the timeout of %R s; %U (pid %d) was killed",
                     (unsigned long long)number, seconds, worker->task.name, (int)worker->task.child.pid);
    Py_XDECREF(seconds);
}
