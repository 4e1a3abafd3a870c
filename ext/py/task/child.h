/* A child process as its parent sees it: its state, waiting for it, ending it, and the list of those that run.
 *
 *        sf_fork_child            waitpid, in any Python thread
 *     NEW ------------> RUNNING --------------------------------> REAPED
 *      ^                   |                                        ^
 *      |  no pidfd could   |  sf_child_forget, in a process that    |
 *      |  be opened: killed|  did not fork it (a copied object)     |
 *      +-------------------+----------------------------------------+
 *
 * A NEW child has no pidfd and is in no list. A RUNNING one is in the list of the process that forked it, and has a
 * pidfd (except just after the fork, and in its own process). A REAPED one has no pidfd and is in no list.
 * All fields are guarded by the interpreter lock. fork.c makes children. */
#ifndef SF_PY_TASK_CHILD_H
#define SF_PY_TASK_CHILD_H

#include "py/base/compat.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/os/own_fd.h"

enum sf_child_state { SF_CHILD_NEW, SF_CHILD_RUNNING, SF_CHILD_REAPED };

struct sf_child {
    enum sf_child_state state;
    pid_t pid, owner;                        /* owner: the process that forked it; only that one may wait for it */
    struct sf_own_fd pidfd;                  /* while RUNNING, owned; -1: none */
    int32_t exit_status;                     /* once REAPED: n, -signal, or SF_PROCESS_STATUS_UNKNOWN */
    uint32_t task;                           /* number of its task in the trace */
    void (*at_exit)(struct sf_child *child); /* asks it to end, at the end of the program; NULL: only wait for it */
    uint64_t serial;                         /* which of this process's children it is, counted from 1 */
    struct sf_child *next, **link;           /* list of this process's running children; link: NULL outside of it */
};

/* For fork.c, in the parent after the fork: the child runs; opens its pidfd. 0, or -1 with an exception; then it was
 * killed and reaped, and is NEW again. */
int sf_child_adopt(struct sf_child *child, pid_t pid);

/* For fork.c, in the child after the fork: this process is that child. */
void sf_child_become(struct sf_child *child, pid_t parent);

/* Waits until the child has died and reaps it. Blocks if `block`, without the interpreter lock. Result as of sf_wait:
 * 0, -EAGAIN, -ETIMEDOUT, SF_RAISED or -errno. */
int sf_child_wait(struct sf_child *child, bool block, int64_t deadline_ns);

/* Sends a signal, if the child runs. 0 or -errno. Does not block. */
int sf_child_signal(struct sf_child *child, int signal_number);

/* Sends SIGKILL and blocks until the child is reaped. Signal handlers of Python run later, so nothing can raise.
 * Leaves the exception state alone. */
void sf_child_kill(struct sf_child *child);

/* In a process that did not fork it (fork copied the object): marks the child as REAPED with an unknown exit status. */
void sf_child_forget(struct sf_child *child);

/* Whether this process forked the child, or nobody has yet. If not: false, with RuntimeError. */
bool sf_child_is_ours(const struct sf_child *child);

/* Whether this process is that child. */
bool sf_child_is_self(const struct sf_child *child);

/* At the end of the program, and of a child: asks all running children to end (at_exit), then blocks until all that
 * were started before this call are reaped. While it sleeps, and no other Python thread is left, the process counts as
 * idle at all rings: a child that waits at one for which nobody is left gets -EPIPE (core/ring/ring_idle.h). Exit
 * handlers that run later may use channels again. None, or NULL with what a signal handler raised. A METH_NOARGS
 * function. */
PyObject *sf_child_at_exit(PyObject *module, PyObject *unused);

#endif
