/* A child process made by fork, by the interpreter's whole protocol: the base of every task. */
#ifndef SF_PY_TASK_CHILD_H
#define SF_PY_TASK_CHILD_H

#include "py/base/compat.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum sf_child_state { SF_CHILD_NEW, SF_CHILD_RUNNING, SF_CHILD_REAPED };

struct sf_child {
    enum sf_child_state state;
    pid_t pid, owner;                        /* owner: the process that forked it; only that one may wait for it */
    int pidfd;                               /* while RUNNING */
    int32_t exit_status;                     /* once REAPED */
    uint32_t task;                           /* its number in the trace */
    void (*at_exit)(struct sf_child *child); /* asks it to end, when the program ends; NULL: just wait */
    uint64_t serial;                         /* counts this process's children */
    struct sf_child *next, **link;           /* list of this process's running children */
};

/* Forks. In the child: runs body(context), which returns the exit status and leaves no exception behind (it finds one
 * when setting up the child raised), ends the interpreter's way (threads, exit handlers registered there, flush) and
 * never comes back. In the parent: 0, or -1 with an exception; then there is no child. name: str, for the trace and
 * multiprocessing. */
int sf_child_fork(struct sf_child *child, PyObject *name, int (*body)(void *context), void *context);

/* Waits until the child has died and reaps it. Result as of sf_wait: 0, -EAGAIN, -ETIMEDOUT, SF_RAISED or -errno. */
int sf_child_wait(struct sf_child *child, bool block, int64_t deadline_ns);

/* Sends a signal if it runs. 0 or -errno. */
int sf_child_signal(struct sf_child *child, int signal_number);

/* SIGKILL, then reaps, whatever happens meanwhile: signal handlers run later. Leaves the exception state alone. */
void sf_child_end(struct sf_child *child);

/* Takes a running child off the books of a process that did not fork it (an object copied by fork). */
void sf_child_forget(struct sf_child *child);

/* Whether this process is the one that forked it (or nobody has yet). If not: RuntimeError, false. */
bool sf_child_is_ours(const struct sf_child *child);

/* Whether this process is that child. */
bool sf_child_is_self(const struct sf_child *child);

/* At the end of the program, and of a child: asks all to end, waits for all that were started until now. */
PyObject *sf_child_at_exit(PyObject *module, PyObject *unused);

#endif
