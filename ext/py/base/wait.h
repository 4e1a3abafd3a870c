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
#define SF_RAISED 1 /* a Python exception is set */

/* A timeout argument (None: for ever; seconds >= 0) as a deadline on CLOCK_MONOTONIC in ns. Raises TypeError or
 * ValueError that name it: -1. */
int sf_wait_deadline(PyObject *timeout, int64_t *deadline_ns);

struct sf_waiting {
    /* Called with the interpreter lock. 0: done, -EAGAIN: not yet, anything else ends the wait with that result. */
    int (*try_now)(void *what);
    /* Called without it. 0: try again, -ETIMEDOUT, -EINTR, -EPIPE: no other process is left that could end the wait. */
    int (*sleep)(void *what, int64_t timeout_ns);
    void *what;
    enum sf_wait reason; /* for the WAIT event */
    uint32_t object;
};

/* Waits. 0, -EAGAIN: not there and block is false, -ETIMEDOUT, -EPIPE: no other process or thread could end the wait,
 * SF_RAISED: a signal handler or try_now raised, or what try_now returned. */
int sf_wait(const struct sf_waiting *waiting, bool block, int64_t deadline_ns);

#endif
