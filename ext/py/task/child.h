/* A child process as its parent sees it: its state, waiting for it, ending it, and the list of those that run.
 *
 *        sf_fork_child            waitpid, in any Python thread; or
 *     NEW ------------> RUNNING --------------------------------> REAPED
 *                                  sf_child_forget, in a process that
 *                                  did not fork it, or may not kill it
 *
 * A NEW child and a REAPED one are in no list. A RUNNING one is in the list of the process that forked it. Nothing here
 * needs a descriptor: sf_child_fileno makes one for the program, which lasts until the child is REAPED.
 *
 * Another part of the program may reap the child: a handler that calls os.wait(), or SIGCHLD ignored. Then it is REAPED
 * with an unknown exit status as soon as this is noticed.
 *
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
    struct sf_own_fd pidfd;                  /* of sf_child_fileno, owned; none unless RUNNING */
    int32_t exit_status;                     /* once REAPED: n, -signal, or SF_PROCESS_STATUS_UNKNOWN */
    uint32_t task;                           /* number of its task in the trace */
    void (*at_exit)(struct sf_child *child); /* asks it to end, at the end of the program; NULL: only wait for it */
    uint64_t serial;                         /* which of this process's children it is, counted from 1 */
    struct sf_child *next, **link;           /* list of this process's running children; link: NULL outside of it */
};

/* For fork.c, in the parent after the fork: the child runs. */
void sf_child_adopt(struct sf_child *child, pid_t pid, pid_t parent);

/* For fork.c, in the child after the fork: that child has this pid. This process is another one if a hook of the fork
 * has called os.fork, and this is the process that made. */
void sf_child_become(struct sf_child *child, pid_t pid, pid_t parent);

/* Waits until the child has died and reaps it. Blocks if `block`, without the interpreter lock. Result as of sf_wait:
 * 0, -EAGAIN, -ETIMEDOUT, SF_RAISED or -errno. In a process that did not fork it: RuntimeError. */
int sf_child_wait(struct sf_child *child, bool block, int64_t deadline_ns);

/* Sends a signal, if the child runs. 0 or -errno; -ESRCH: another part of the program has reaped it. Does not block. */
int sf_child_signal(struct sf_child *child, int signal_number);

/* Sends SIGKILL and blocks until the child is reaped. Signal handlers of Python run later, so nothing can raise. 0, or
 * -errno: the signal could not be sent (-EPERM: the child has another user), and the child goes on. Leaves the
 * exception state alone. */
int sf_child_kill(struct sf_child *child);

/* Marks the child as REAPED with an unknown exit status: in a process that did not fork it (fork copied the object),
 * and where the child may not be killed and nobody can wait for it. */
void sf_child_forget(struct sf_child *child);

/* A pidfd of the child for the program, the same at each call unless the program closes it. The child's: closed when it
 * is REAPED. >= 0, or -1 with RuntimeError: it is not RUNNING, or the system gives no pidfd. */
int sf_child_fileno(struct sf_child *child, PyObject *name);

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

/* What sf_child_at_exit calls when they are: kept.c, which sets it, tells what nobody asked for. */
extern void (*sf_child_all_ended)(void);

#endif
