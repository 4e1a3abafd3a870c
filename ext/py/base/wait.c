/* Waiting. See wait.h. */
#include "py/base/wait.h"

#include <errno.h>
#include <math.h>
#include <sched.h>

#include "core/log/log.h"
#include "core/os/monotonic.h"
#include "core/os/process.h"

#define POLL_PAUSE_NS 20000 /* the kernel adds some 50 microseconds */

int sf_wait_seconds(PyObject *timeout, double *seconds)
{
    *seconds = INFINITY;
    if (!timeout || timeout == Py_None)
        return 0;
    *seconds = PyFloat_AsDouble(timeout);
    if (*seconds != -1.0 || !PyErr_Occurred())
        return 0;
    if (PyErr_ExceptionMatches(PyExc_TypeError))
        PyErr_Format(PyExc_TypeError, "timeout must be a number of seconds or None, not %.200s",
                     Py_TYPE(timeout)->tp_name);
    else if (PyErr_ExceptionMatches(PyExc_OverflowError))
        PyErr_Format(PyExc_ValueError, "timeout is out of range: None is for ever");
    return -1;
}

int sf_wait_deadline(PyObject *timeout, int64_t *deadline_ns)
{
    double seconds;
    *deadline_ns = SF_FOREVER;
    if (sf_wait_seconds(timeout, &seconds))
        return -1;
    if (isnan(seconds) || seconds < 0) {
        PyErr_Format(PyExc_ValueError, "timeout must be at least 0 seconds, not %R", timeout);
        return -1;
    }
    if (seconds < SF_WAIT_MOST_S)
        *deadline_ns = sf_monotonic_ns() + (int64_t)ceil(seconds * 1e9);
    return 0;
}

int sf_wait_has_other_threads(void)
{
    if (sf_process_threads() == 1) /* in a forked child, Python still counts its parent's threads */
        return 0;
    PyObject *module = PyImport_ImportModule("_thread");
    PyObject *count = module ? PyObject_CallMethod(module, "_count", NULL) : NULL;
    Py_XDECREF(module);
    if (!count)
        return -1;
    long threads = PyLong_AsLong(count); /* it counts all threads but the main one, also the one that asks */
    Py_DECREF(count);
    return threads > 0;
}

static int sleep_and_try(const struct sf_waiting *waiting, int64_t deadline_ns)
{
    int64_t left_ns = deadline_ns == SF_FOREVER ? SF_FOREVER : deadline_ns - sf_monotonic_ns();
    if (left_ns <= 0)
        return -ETIMEDOUT;
    int slept;
    Py_BEGIN_ALLOW_THREADS;
    slept = waiting->sleep(waiting->what, sf_liveness_slice_ns(left_ns));
    Py_END_ALLOW_THREADS;
    if (sf_check_signals())
        return SF_RAISED;
    int got = waiting->try_now(waiting->what);
    if (got == -EAGAIN && slept == -EPIPE) {
        int others = sf_wait_has_other_threads();
        if (others < 0)
            return SF_RAISED;
        return others ? -EAGAIN : -EPIPE;
    }
    return got;
}

static unsigned empty_polls; /* in a row; under the interpreter lock */

void sf_wait_polled(bool found)
{
    empty_polls = found ? 0 : empty_polls < SF_WAIT_LONG_POLLS ? empty_polls + 1 : empty_polls;
    if (empty_polls < SF_WAIT_POLLS)
        return;
    struct timespec pause = sf_monotonic_timespec(POLL_PAUSE_NS);
    Py_BEGIN_ALLOW_THREADS;
    if (empty_polls < SF_WAIT_LONG_POLLS)
        sched_yield();
    else
        nanosleep(&pause, NULL);
    Py_END_ALLOW_THREADS;
}

/* For a call that does not block and has met a lock that is held: most owners only wait for a CPU. */
static int wait_for_lock(const struct sf_waiting *waiting)
{
    int64_t deadline_ns = sf_monotonic_ns() + SF_WAIT_BUSY_NS;
    int got;
    do
        got = sleep_and_try(waiting, deadline_ns);
    while (got == -EBUSY);
    return got == -ETIMEDOUT || got == -EPIPE ? -EAGAIN : got;
}

int sf_wait(const struct sf_waiting *waiting, bool block, int64_t deadline_ns)
{
    int got = waiting->try_now(waiting->what);
    if (got == -EBUSY && !block)
        return wait_for_lock(waiting);
    if ((got != -EAGAIN && got != -EBUSY) || !block) {
        empty_polls = block ? 0 : empty_polls;
        return got;
    }
    sf_log_write(SF_EVENT_WAIT, SF_PHASE_BEGIN, 0, waiting->reason, waiting->object);
    bool is_poll = deadline_ns != SF_FOREVER && deadline_ns <= sf_monotonic_ns(); /* a timeout of 0 */
    do
        got = sleep_and_try(waiting, deadline_ns);
    while (got == -EAGAIN || got == -EBUSY);
    sf_log_write(SF_EVENT_WAIT, SF_PHASE_END, 0, waiting->reason, waiting->object);
    if (is_poll)
        sf_wait_polled(false);
    return got;
}
