/* Blocking, in one shape: try, and while it is not there yet sleep a slice without the interpreter lock, run signal
 * handlers, and try again. */
#ifndef SF_PY_BASE_WAIT_H
#define SF_PY_BASE_WAIT_H

#include "py/base/compat.h"

#include "abi/log_format.h"

#include <stdbool.h>
#include <stdint.h>

#define SF_FOREVER INT64_MAX
#define SF_RAISED 1 /* a Python exception is set */

/* A timeout argument (None: for ever; seconds >= 0) as a deadline on CLOCK_MONOTONIC in ns. Raises TypeError or
 * ValueError that name it: -1. */
int sf_wait_deadline(PyObject *timeout, int64_t *deadline_ns);

/* CLOCK_MONOTONIC, which the deadlines are on. */
int64_t sf_wait_now_ns(void);

/* Whether it is time to look if those still live who are waited for: after a sleep (its result) that brought nothing,
 * and at least every 100 ms, whatever ended the sleeps: signals may end all of them. *looked_ns: of the last time it
 * was, kept by the caller, 0 at first. */
bool sf_wait_should_look(int slept, int64_t *looked_ns);

struct sf_waiting {
    int (*try_now)(void *what);                   /* 0: done, -EAGAIN: not yet, else final; with the lock held */
    int (*sleep)(void *what, int64_t timeout_ns); /* without the lock: 0, -ETIMEDOUT, -EINTR, -EPIPE: nobody left */
    void *what;
    enum sf_wait reason; /* for the WAIT event */
    uint32_t object;
};

/* Waits. 0, -EAGAIN: not there and block is false, -ETIMEDOUT, -EPIPE: no other process or thread could end the wait,
 * SF_RAISED: a signal handler or try_now raised, or what try_now returned. */
int sf_wait(const struct sf_waiting *waiting, bool block, int64_t deadline_ns);

#endif
