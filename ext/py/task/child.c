/* Child processes in their parent. See child.h.
 *
 * The list of running children belongs to one process. A process made by fork, also by os.fork, starts with an empty
 * one. Objects that the fork copied know by `owner` that they belong to another process, and by `pid` whether this
 * process is their child. The list and all children are written and read under the interpreter lock. */
#include "py/task/child.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "core/log/log.h"
#include "core/os/pid.h"
#include "core/os/process.h"
#include "core/ring/ring_idle.h"
#include "py/base/errors.h"
#include "py/base/wait.h"

void (*sf_child_all_ended)(void);

static struct sf_child *running;
static pid_t running_owner; /* the process whose list it is */

/* Empties the list where it is a copy of the parent's. */
static void own_list(void)
{
    assert(sf_holds_interpreter_lock());
    if (running_owner == sf_pid_own())
        return;
    running_owner = sf_pid_own();
    running = NULL;
}

static void list_add(struct sf_child *child)
{
    static uint64_t serial;
    own_list();
    assert(!child->link && child->state == SF_CHILD_RUNNING);
    child->serial = ++serial;
    child->next = running;
    child->link = &running;
    if (running)
        running->link = &child->next;
    running = child;
}

static void list_remove(struct sf_child *child)
{
    own_list();
    if (child->link && child->owner == running_owner) {
        assert(*child->link == child);
        *child->link = child->next;
        if (child->next)
            child->next->link = child->link;
    }
    child->link = NULL;
    child->next = NULL;
}

static int try_reap(void *what)
{
    struct sf_child *child = what;
    if (child->state == SF_CHILD_REAPED) /* another thread did */
        return 0;
    assert(child->state == SF_CHILD_RUNNING);
    int done = sf_process_try_reap(child->pid, &child->exit_status);
    if (done <= 0)
        return done ? done : -EAGAIN;
    child->state = SF_CHILD_REAPED;
    list_remove(child);
    sf_process_close_pidfd(&child->pidfd, child->pid);
    sf_log_write(SF_EVENT_REAP, SF_PHASE_INSTANT, child->task, (uint64_t)child->pid,
                 (uint64_t)(int64_t)child->exit_status);
    return 0;
}

static void take_pid(struct sf_child *child, pid_t pid, pid_t owner)
{
    assert(child->state == SF_CHILD_NEW && !child->link);
    child->state = SF_CHILD_RUNNING;
    child->pid = pid;
    child->owner = owner;
    child->pidfd = SF_OWN_FD_NONE;
}

void sf_child_become(struct sf_child *child, pid_t pid, pid_t parent)
{
    take_pid(child, pid, parent);
}

void sf_child_adopt(struct sf_child *child, pid_t pid, pid_t parent)
{
    take_pid(child, pid, parent);
    if (parent == sf_pid_own()) /* else a hook of this fork has called os.fork, and this is the process that made */
        list_add(child);
}

/* A signal handler may call os.fork during a wait, and come back in the new process too. */
static int try_reap_own(void *what)
{
    return sf_child_is_ours(what) ? try_reap(what) : SF_RAISED;
}

static int sleep_until_dead(void *what, int64_t timeout_ns)
{
    struct sf_child *child = what;
    return child->state == SF_CHILD_RUNNING ? sf_process_wait(child->pid, timeout_ns) : 0;
}

int sf_child_wait(struct sf_child *child, bool block, int64_t deadline_ns)
{
    struct sf_waiting waiting = {try_reap_own, sleep_until_dead, child, SF_WAIT_CHILD, child->task};
    return sf_wait(&waiting, block, deadline_ns);
}

int sf_child_signal(struct sf_child *child, int signal_number)
{
    return child->state == SF_CHILD_RUNNING ? sf_process_signal(child->pid, signal_number) : 0;
}

int sf_child_kill(struct sf_child *child)
{
    int error = sf_child_signal(child, SIGKILL);
    if (error && error != -ESRCH && try_reap(child) == -EAGAIN)
        return error;
    while (child->state == SF_CHILD_RUNNING && try_reap(child) == -EAGAIN) {
        Py_BEGIN_ALLOW_THREADS;
        sf_process_wait(child->pid, SF_LIVENESS_PERIOD_NS);
        Py_END_ALLOW_THREADS;
    }
    return 0;
}

int sf_child_fileno(struct sf_child *child, PyObject *name)
{
    int error = -ESRCH, pidfd = sf_process_get_pidfd(&child->pidfd, child->pid);
    if (pidfd >= 0)
        return pidfd;
    if (child->state == SF_CHILD_RUNNING)
        error = sf_own_fd_take(&child->pidfd, sf_process_open_pidfd(child->pid));
    if (!error)
        return child->pidfd.fd;
    if (error == -ESRCH)
        PyErr_Format(PyExc_RuntimeError, "%U has ended and was waited for: it has no file descriptor any more", name);
    else
        PyErr_Format(PyExc_RuntimeError,
                     "%U has no file descriptor, because pidfd_open failed: %s. join(timeout), try_join() and "
                     "snakefish.wait() work without one",
                     name, strerror(-error));
    return -1;
}

void sf_child_forget(struct sf_child *child)
{
    list_remove(child); /* where the list is the parent's, only its link is cleared */
    sf_process_close_pidfd(&child->pidfd, child->pid);
    child->state = SF_CHILD_REAPED;
    child->exit_status = SF_PROCESS_STATUS_UNKNOWN;
}

bool sf_child_is_ours(const struct sf_child *child)
{
    if (child->state == SF_CHILD_NEW || child->owner == sf_pid_own())
        return true;
    PyErr_Format(PyExc_RuntimeError, "it was started by process %d: only that process can wait for it",
                 (int)child->owner);
    return false;
}

bool sf_child_is_self(const struct sf_child *child)
{
    return child->state == SF_CHILD_RUNNING && child->pid == sf_pid_own();
}

/* ---- the end of the program ---- */

struct last_wait {
    uint64_t newest; /* serial; later ones are not waited for: a daemon thread might start some for ever */
    pid_t pid;       /* of one that runs, to sleep until it is dead */
    bool alone;      /* no Python thread is left that could send to a child: see core/ring/ring_idle.h */
};

/* Reaps what has died. Walks the list anew each time: during a sleep another Python thread may reap and free any child
 * in it. */
static int try_reap_all(void *what)
{
    struct last_wait *wait = what;
    int got, left = 0;
    own_list(); /* a signal handler may have called os.fork during the sleep, and come back in the new process too */
    for (struct sf_child *child = running, *next; child; child = next) {
        next = child->next;
        if (child->serial > wait->newest || (got = try_reap(child)) == 0)
            continue;
        if (got == -EAGAIN) {
            wait->pid = child->pid;
            left++;
        } else {
            list_remove(child); /* waitpid fails for it, and will again */
        }
    }
    if (!left)
        return 0;
    int threads = sf_wait_has_other_threads();
    wait->alone = threads == 0;
    return threads < 0 ? SF_RAISED : -EAGAIN;
}

static int sleep_until_one_is_dead(void *what, int64_t timeout_ns)
{
    struct last_wait *wait = what;
    if (wait->alone)
        sf_ring_exit_begin();
    int slept = sf_process_wait(wait->pid, timeout_ns);
    if (wait->alone)
        sf_ring_exit_end();
    return slept;
}

PyObject *sf_child_at_exit(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    own_list();
    struct last_wait last = {running ? running->serial : 0, 0, false};
    for (struct sf_child *child = running; child; child = child->next)
        if (child->at_exit)
            child->at_exit(child);
    struct sf_waiting waiting = {try_reap_all, sleep_until_one_is_dead, &last, SF_WAIT_CHILD, 0};
    if (sf_wait(&waiting, true, SF_FOREVER) == SF_RAISED)
        return NULL;
    if (sf_child_all_ended)
        sf_child_all_ended();
    Py_RETURN_NONE;
}
