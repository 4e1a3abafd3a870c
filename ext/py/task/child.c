/* Forking and ending children. See child.h; what the interpreter wants around it is in protocol.c.
 *
 * The list of running children is this process's own; a process made by fork, also by os.fork, starts with an empty
 * one, and objects that were copied into it by the fork know by `owner` that they are strangers there, and by `pid` if
 * it is their own child. Guarded by the interpreter lock. */
#include "py/task/child.h"

#include "core/log/log.h"
#include "core/os/process.h"
#include "core/ring/ring.h"
#include "py/base/errors.h"
#include "py/base/wait.h"
#include "py/task/protocol.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sf_child *running;
static pid_t running_owner; /* the process whose list it is */

static void list_claim(void)
{
    if (running_owner == getpid())
        return;
    running_owner = getpid();
    running = NULL; /* it was the parent's, copied by a fork */
}

static void list_add(struct sf_child *child)
{
    static uint64_t serial;
    list_claim();
    child->serial = ++serial;
    child->next = running;
    child->link = &running;
    if (running)
        running->link = &child->next;
    running = child;
}

static void list_remove(struct sf_child *child)
{
    if (!child->link)
        return;
    *child->link = child->next;
    if (child->next)
        child->next->link = child->link;
    child->link = NULL;
    child->next = NULL;
}

static int refuse_impossible(void)
{
    if (sf_is_finalizing()) {
        PyErr_SetString(PyExc_RuntimeError, "cannot fork: the interpreter is shutting down");
        return -1;
    }
#ifndef PYPY_VERSION
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_RuntimeError, "cannot fork from a subinterpreter: use the main interpreter");
        return -1;
    }
#endif
    return 0;
}

/* The child's whole life after the fork. */
static void live(struct sf_child *self, pid_t parent, PyObject *name, int (*body)(void *), void *context)
{
    uint32_t task = self->task;
    self->state = SF_CHILD_RUNNING;
    self->pid = getpid();
    self->owner = parent;
    self->pidfd = -1;
    sf_protocol_begin(name); /* if it raises, body finds the exception */
    int status = body(context);
    sf_protocol_end();
    if (!sf_child_is_self(self)) /* f forked, and both came back */
        task = 0;
    sf_log_write(SF_EVENT_EXIT, SF_PHASE_INSTANT, task, (uint64_t)(int64_t)status, 0);
    _exit(status);
}

#ifdef PYPY_VERSION
static pid_t fork_by_protocol(void)
{
    PyObject *sys = PyImport_ImportModule("sys"); /* PyPy's os.fork tells no auditor */
    PyObject *audited = sys ? PyObject_CallMethod(sys, "audit", "s", "os.fork") : NULL;
    Py_XDECREF(sys);
    Py_XDECREF(audited);
    PyObject *os = audited ? PyImport_ImportModule("os") : NULL;
    PyObject *pid = os ? PyObject_CallMethod(os, "fork", NULL) : NULL;
    Py_XDECREF(os);
    if (os && !pid && PyErr_ExceptionMatches(PyExc_OSError)) { /* as elsewhere: RuntimeError with errno's text */
        PyObject *failure = sf_take_raised(), *number = PyObject_GetAttrString(failure, "errno");
        long error = number ? PyLong_AsLong(number) : EAGAIN;
        Py_XDECREF(number);
        Py_DECREF(failure);
        PyErr_Clear();
        sf_error(-(int)error, "cannot fork");
        return -1;
    }
    long got = pid ? PyLong_AsLong(pid) : -1;
    Py_XDECREF(pid);
    return (pid_t)got;
}
#else
static pid_t fork_by_protocol(void)
{
    if (PySys_Audit("os.fork", NULL))
        return -1;
    PyOS_BeforeFork();
    pid_t pid = fork();
    int error = errno;
    if (pid == 0)
        PyOS_AfterFork_Child();
    else
        PyOS_AfterFork_Parent(); /* also when the fork failed: it undoes what the before-hooks did */
    errno = error;
    if (pid < 0)
        sf_error(-error, "cannot fork");
    return pid;
}
#endif

static int try_reap(void *what)
{
    struct sf_child *child = what;
    if (child->state == SF_CHILD_REAPED) /* another thread did */
        return 0;
    int done = sf_process_try_reap(child->pid, &child->exit_status);
    if (done <= 0)
        return done ? done : -EAGAIN;
    child->state = SF_CHILD_REAPED;
    list_remove(child);
    if (child->pidfd >= 0)
        close(child->pidfd);
    child->pidfd = -1;
    sf_log_write(SF_EVENT_REAP, SF_PHASE_INSTANT, child->task, (uint64_t)child->pid,
                 (uint64_t)(int64_t)child->exit_status);
    return 0;
}

int sf_child_fork(struct sf_child *child, PyObject *name, int (*body)(void *), void *context)
{
    const char *name_utf8 = PyUnicode_AsUTF8(name);
    if (!name_utf8 || refuse_impossible() || sf_protocol_prepare())
        return -1;
    pid_t parent = getpid();
    bool by_main_thread = (pid_t)syscall(SYS_gettid) == parent;
    /* keeps a descriptor free for the pidfd: f must not run at all where there is none */
    int spare = eventfd(0, EFD_CLOEXEC);
    if (spare < 0) {
        sf_error(-errno, "cannot open a file descriptor for the child");
        return -1;
    }
    sf_log_write(SF_EVENT_FORK, SF_PHASE_BEGIN, child->task, 0, 0);
    sf_log_fork_as(child->task, name_utf8);
    pid_t pid = fork_by_protocol();
    int error = errno;
    close(spare);
    if (pid == 0) {
        sf_process_die_with_parent(parent, by_main_thread);
        live(child, parent, name, body, context);
    }
    if (pid < 0) {
        sf_log_fork_as(0, NULL); /* it may not have come to the fork */
        sf_log_write(SF_EVENT_FORK, SF_PHASE_END, child->task, 0, (uint64_t)error);
        return -1;
    }
    sf_ring_name_child(pid);
    sf_log_write(SF_EVENT_FORK, SF_PHASE_END, child->task, (uint64_t)pid, 0);
    child->pid = pid;
    child->owner = parent;
    child->state = SF_CHILD_RUNNING;
    list_add(child);
    child->pidfd = sf_process_open_pidfd(pid);
    if (child->pidfd == -ESRCH) { /* dead, and reaped by another: SIGCHLD is ignored, or a handler of it waits */
        child->pidfd = -1;
        try_reap(child);
    } else if (child->pidfd < 0) { /* without it nobody could wait for the child with a timeout */
        error = child->pidfd;
        sf_child_end(child);
        child->state = SF_CHILD_NEW;
        sf_error(error, "cannot open a pidfd of the child");
        return -1;
    }
    return 0;
}

static int sleep_until_dead(void *what, int64_t timeout_ns)
{
    struct sf_child *child = what;
    int fd = child->pidfd;
    if (fd < 0)
        return 0;
    return sf_process_wait(fd, timeout_ns);
}

int sf_child_wait(struct sf_child *child, bool block, int64_t deadline_ns)
{
    struct sf_waiting waiting = {try_reap, sleep_until_dead, child, SF_WAIT_CHILD, child->task};
    return sf_wait(&waiting, block, deadline_ns);
}

int sf_child_signal(struct sf_child *child, int signal_number)
{
    if (child->state != SF_CHILD_RUNNING)
        return 0;
    return sf_process_signal(child->pidfd, signal_number);
}

void sf_child_end(struct sf_child *child)
{
    if (child->state != SF_CHILD_RUNNING)
        return;
    if (child->pidfd >= 0)
        sf_process_signal(child->pidfd, SIGKILL);
    else
        kill(child->pid, SIGKILL); /* just forked */
    while (try_reap(child) == -EAGAIN) {
        Py_BEGIN_ALLOW_THREADS;
        if (child->pidfd >= 0)
            sf_process_wait(child->pidfd, 100000000);
        else
            usleep(1000);
        Py_END_ALLOW_THREADS;
    }
}

void sf_child_forget(struct sf_child *child)
{
    if (child->pidfd >= 0)
        close(child->pidfd);
    child->pidfd = -1;
    child->link = NULL; /* the list it was in is the parent's */
    child->state = SF_CHILD_REAPED;
    child->exit_status = SF_PROCESS_STATUS_UNKNOWN;
}

bool sf_child_is_ours(const struct sf_child *child)
{
    if (child->state == SF_CHILD_NEW || child->owner == getpid())
        return true;
    PyErr_Format(PyExc_RuntimeError, "it was started by process %d: only that process can wait for it",
                 (int)child->owner);
    return false;
}

bool sf_child_is_self(const struct sf_child *child)
{
    return child->state == SF_CHILD_RUNNING && child->pid == getpid();
}

struct last_wait {
    uint64_t newest; /* later ones are not waited for: a daemon thread might start some for ever */
    int pidfd;       /* of one that runs, to sleep on */
};

/* Reaps what has died. The list is walked anew each time: while we sleep, another Python thread may end and free any
 * child in it. */
static int try_reap_all(void *what)
{
    struct last_wait *wait = what;
    int got, left = 0;
    for (struct sf_child *child = running, *next; child; child = next) {
        next = child->next;
        if (child->serial > wait->newest || (got = try_reap(child)) == 0)
            continue;
        if (got == -EAGAIN) {
            wait->pidfd = child->pidfd;
            left++;
        } else {
            list_remove(child); /* cannot be waited for */
        }
    }
    return left ? -EAGAIN : 0;
}

static int sleep_until_one_is_dead(void *what, int64_t timeout_ns)
{
    return sf_process_wait(((struct last_wait *)what)->pidfd, timeout_ns);
}

PyObject *sf_child_at_exit(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    list_claim();
    struct last_wait last = {running ? running->serial : 0, -1};
    for (struct sf_child *child = running; child; child = child->next)
        if (child->at_exit)
            child->at_exit(child);
    struct sf_waiting waiting = {try_reap_all, sleep_until_one_is_dead, &last, SF_WAIT_CHILD, 0};
    if (sf_wait(&waiting, true, SF_FOREVER) == SF_RAISED)
        return NULL;
    Py_RETURN_NONE;
}
