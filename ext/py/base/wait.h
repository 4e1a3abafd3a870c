/* All blocking calls wait in the same way: try; as long as the answer is "not yet", sleep for a slice
 * (core/os/liveness.h) without the interpreter lock, run signal handlers, and try again. */
#ifndef SF_PY_BASE_WAIT_H
#define SF_PY_BASE_WAIT_H

#include "py/base/compat.h"

#include <stdbool.h>
#include <stdint.h>

#include "abi/log_format.h"
#include "core/os/liveness.h"

#define SF_FOREVER INT64_MAX
#define SF_WAIT_BUSY_NS INT64_C(250000000) /* how long a call that does not block waits for a lock */
#define SF_RAISED 1                        /* a Python exception is set */

#define SF_WAIT_MOST_S 1e9 /* a longer timeout is for ever */

/* Reads a timeout: a number of seconds; INFINITY for None and for NULL. What numbers are right, the caller says. 0, or
 * -1 with an exception that names the argument. */
int sf_wait_seconds(PyObject *timeout, double *seconds);

/* A timeout argument (None: for ever; seconds >= 0) as a deadline on CLOCK_MONOTONIC in ns. Raises TypeError or
 * ValueError that name it: -1. */
int sf_wait_deadline(PyObject *timeout, int64_t *deadline_ns);

struct sf_waiting {
    /* Called with the interpreter lock. 0: done, -EAGAIN: not yet, -EBUSY: another process keeps a lock, so it cannot
     * be told (core/ring/ring.h), anything else ends the wait with that result. */
    int (*try_now)(void *what);
    /* Called without it. 0: try again, -ETIMEDOUT, -EINTR, -EPIPE: no other process is left that could end the wait. */
    int (*sleep)(void *what, int64_t timeout_ns);
    void *what;
    enum sf_wait reason; /* for the WAIT event */
    uint32_t object;
};

/* Waits. 0, -EAGAIN: not there and block is false, or the lock was kept for SF_WAIT_BUSY_NS, -ETIMEDOUT, -EPIPE: no
 * other process or thread could end the wait, SF_RAISED: a signal handler or try_now raised, or what try_now returned.
 */
int sf_wait(const struct sf_waiting *waiting, bool block, int64_t deadline_ns);

/* For public calls that do not block, at their end. A program that calls them in a loop takes the CPU from the
 * processes it waits for. So from the SF_WAIT_POLLS-th one in a row on that found nothing, each gives up the CPU: to
 * whoever wants it, and after SF_WAIT_LONG_POLLS for some microseconds in any case. sf_wait does the same for a timeout
 * of 0. Counted per process, because a program may poll many objects in turn. */
#define SF_WAIT_POLLS 200
#define SF_WAIT_LONG_POLLS 20000
void sf_wait_polled(bool found);

/* Whether this process has another Python thread. 1, 0, or -1 with an exception. */
int sf_wait_has_other_threads(void);

#endif
