/* Forking. See fork.h. What the interpreter and multiprocessing need before and after it is in protocol.c; what the
 * parent knows of the child afterwards is in child.c.
 *
 * In the child the struct sf_child says NEW until sf_child_become: nothing may use it before. */
#include "py/task/fork.h"

#include <assert.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/log/log.h"
#include "core/os/own_fd.h"
#include "core/os/process.h"
#include "core/ring/ring.h"
#include "py/base/errors.h"
#include "py/task/protocol.h"

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

#ifdef PYPY_VERSION
static pid_t fork_interpreter(void)
{
    PyObject *sys = PyImport_ImportModule("sys"); /* PyPy's os.fork raises no audit event */
    PyObject *audited = sys ? PyObject_CallMethod(sys, "audit", "s", "os.fork") : NULL;
    Py_XDECREF(sys);
    Py_XDECREF(audited);
    PyObject *os = audited ? PyImport_ImportModule("os") : NULL;
    PyObject *pid = os ? PyObject_CallMethod(os, "fork", NULL) : NULL;
    Py_XDECREF(os);
    if (os && !pid && PyErr_ExceptionMatches(PyExc_OSError)) { /* as on CPython: RuntimeError with errno's text */
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
static pid_t fork_interpreter(void)
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

/* All that the child does after the fork. Does not return. */
static void run_child(struct sf_child *self, pid_t parent, PyObject *name, int (*body)(void *), void *context)
{
    uint32_t task = self->task;
    sf_child_become(self, parent);
    sf_protocol_begin(name); /* if it raises, body finds the exception */
    int status = body(context);
    assert(!PyErr_Occurred());
    sf_protocol_end();
    if (!sf_child_is_self(self)) /* f called os.fork, and this is the process that made: it has no task */
        task = 0;
    sf_log_write(SF_EVENT_EXIT, SF_PHASE_INSTANT, task, (uint64_t)(int64_t)status, 0);
    _exit(status);
}

int sf_fork_child(struct sf_child *child, PyObject *name, int (*body)(void *), void *context)
{
    const char *name_utf8 = PyUnicode_AsUTF8(name);
    if (!name_utf8 || refuse_impossible() || sf_protocol_prepare())
        return -1;
    pid_t parent = getpid();
    bool by_main_thread = (pid_t)syscall(SYS_gettid) == parent;
    /* reserves a descriptor for the pidfd: where none is free, f must not run at all */
    struct sf_own_fd reserved;
    int made = eventfd(0, EFD_CLOEXEC), error = sf_own_fd_take(&reserved, made < 0 ? -errno : made);
    if (error) {
        sf_error(error, "cannot open a file descriptor for the child");
        return -1;
    }
    sf_log_write(SF_EVENT_FORK, SF_PHASE_BEGIN, child->task, 0, 0);
    sf_log_fork_as(child->task, name_utf8);
    pid_t pid = fork_interpreter();
    error = errno;
    sf_own_fd_close(&reserved);
    if (pid == 0) {
        sf_process_die_with_parent(parent, by_main_thread);
        run_child(child, parent, name, body, context);
    }
    if (pid < 0) {
        sf_log_fork_as(0, NULL); /* the child that would have used it does not exist */
        sf_log_write(SF_EVENT_FORK, SF_PHASE_END, child->task, 0, (uint64_t)error);
        return -1;
    }
    sf_ring_name_child(pid);
    sf_log_write(SF_EVENT_FORK, SF_PHASE_END, child->task, (uint64_t)pid, 0);
    return sf_child_adopt(child, pid);
}
