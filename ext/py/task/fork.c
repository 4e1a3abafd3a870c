/* Forking. See fork.h. What the interpreter and multiprocessing need before and after it is in protocol.c; what the
 * parent knows of the child afterwards is in child.c.
 *
 * Signals that have handlers are delayed while the fork's hooks run: the interpreter prints and drops what is raised
 * there. The parent's handlers run when it is back in its own code. The child's run once it is set up, and what they
 * raise is the outcome of its body.
 *
 * In the child the struct sf_child says NEW until sf_child_become: nothing may use it before. */
#include "py/task/fork.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "core/log/log.h"
#include "core/log/usage.h"
#include "core/os/pid.h"
#include "core/os/process_child.h"
#include "core/os/signal_delay.h"
#include "core/ring/ring.h"
#include "py/base/errors.h"
#include "py/task/handlers.h"
#include "py/task/protocol.h"
#include "py/trace/samples.h"

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

/* Code that runs before a fork (a flush, a warning, a hook) may call os.fork and come back in the new process too. What
 * is started here is shared with the process that called, so that one alone forks. */
static int refuse_copy(pid_t caller)
{
    if (sf_pid_own() == caller)
        return 0;
    PyErr_Format(PyExc_RuntimeError,
                 "process %d starts this child: code that it runs before a fork (a flush, a warning, a hook) has "
                 "called os.fork, which made this process: end it there with os._exit()",
                 (int)caller);
    return -1;
}

/* What the child has to know of its parent. */
struct start {
    struct sf_process_child process;
    uint32_t task;
    const char *name;
    PyFrameObject *frame;    /* see sf_samples_fork_frame */
    pid_t caller;            /* the process that called sf_fork_child */
    pid_t child;             /* in the child: its pid; another one in a process that a hook of this fork has made */
    bool had_sigterm_action; /* in the child: the parent's, which it has no more */
    int (*before)(void *context); /* of sf_fork_child */
    void *context;
    PyObject *refusal; /* what `before` has raised; owned, NULL: nothing */
};

#ifdef PYPY_VERSION
int sf_fork_init(void)
{
    return 0; /* fork_interpreter calls `before` itself: a hook could not stop the fork */
}
#else
static _Thread_local struct start *starting; /* what this thread forks, while its hooks run */

/* The hook. Python code must not run after the hooks: then the interpreter holds locks of its own (in 3.14 that of its
 * list of threads), and a thread that waits for these has the interpreter lock. */
static PyObject *call_before(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    struct start *start = starting;
    if (start && start->caller == sf_pid_own()) {
        Py_CLEAR(start->refusal); /* a hook has forked too: this is the later one */
        if (start->before(start->context))
            start->refusal = sf_take_raised(); /* the interpreter would print it and go on */
    }
    Py_RETURN_NONE;
}

/* Hooks run in the reverse order of their registration. */
int sf_fork_init(void)
{
    static PyMethodDef method = {"before_fork", call_before, METH_NOARGS, NULL};
    PyObject *os = PyImport_ImportModule("os"), *hook = os ? PyCFunction_New(&method, NULL) : NULL;
    PyObject *add = hook ? PyObject_GetAttrString(os, "register_at_fork") : NULL;
    PyObject *none = PyTuple_New(0), *keywords = add ? Py_BuildValue("{sO}", "before", hook) : NULL;
    PyObject *added = none && keywords ? PyObject_Call(add, none, keywords) : NULL;
    Py_XDECREF(os);
    Py_XDECREF(hook);
    Py_XDECREF(add);
    Py_XDECREF(none);
    Py_XDECREF(keywords);
    Py_XDECREF(added);
    return added ? 0 : -1;
}
#endif

/* Handlers of signals that came before run here. 0, or -1 with an exception; then nothing is delayed. */
static int delay_signals(void)
{
    sf_signal_delay_begin(sf_handlers_bits());
    if (sf_check_signals() == 0)
        return 0;
    sf_signal_delay_end();
    return -1;
}

/* To be called as late as possible: hooks may fork, and their children are not this child. */
static void before_fork(struct start *start, bool hooks_follow)
{
    sf_process_child_prepare(&start->process, hooks_follow);
    sf_log_fork_as(start->task, start->name);
}

static void after_fork(struct start *start, pid_t pid)
{
    if (pid == 0) {
        sf_samples_fork_frame = start->frame;
        start->child = sf_pid_own();
        sf_signal_delay_adopt();
        start->had_sigterm_action = sf_process_child_begin(&start->process);
    } else {
        sf_process_child_forked(&start->process);
    }
}

#ifdef PYPY_VERSION
static pid_t fork_interpreter(struct start *start)
{
    PyObject *sys = PyImport_ImportModule("sys"); /* PyPy's os.fork raises no audit event */
    PyObject *audited = sys ? PyObject_CallMethod(sys, "audit", "s", "os.fork") : NULL;
    Py_XDECREF(sys);
    Py_XDECREF(audited);
    PyObject *os = audited ? PyImport_ImportModule("os") : NULL;
    if (!os || delay_signals()) {
        Py_XDECREF(os);
        return -1;
    }
    if (start->before(start->context) ||
        refuse_copy(start->caller)) { /* a hook's copy forks: its child ends at once (sf_process_child_begin) */
        sf_signal_delay_end();
        Py_DECREF(os);
        return -1;
    }
    before_fork(start, true);
    PyObject *pid = PyObject_CallMethod(os, "fork", NULL);
    bool is_parent = sf_pid_own() == start->process.parent;
    after_fork(start, is_parent ? -1 : 0);
    if (is_parent)
        sf_signal_delay_end();
    Py_DECREF(os);
    if (!pid && PyErr_ExceptionMatches(PyExc_OSError)) { /* as on CPython: RuntimeError with errno's text */
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
static pid_t fork_interpreter(struct start *start)
{
    if (PySys_Audit("os.fork", NULL) || delay_signals())
        return -1;
    starting = start;
    PyOS_BeforeFork();
    starting = NULL;
    if (start->refusal || refuse_copy(start->caller)) {
        PyObject *raised = start->refusal ? start->refusal : sf_take_raised();
        PyOS_AfterFork_Parent(); /* undoes what the before-hooks did */
        sf_signal_delay_end();
        if (raised)
            sf_put_raised(raised);
        return -1;
    }
    before_fork(start, false);
    pid_t pid = fork();
    int error = errno;
    after_fork(start, pid); /* before the hooks, which are code of the program */
    if (pid == 0) {
        PyOS_AfterFork_Child();
    } else {
        PyOS_AfterFork_Parent(); /* also when the fork failed: it undoes what the before-hooks did */
        sf_signal_delay_end();
    }
    errno = error;
    if (pid < 0)
        sf_error(-error, "cannot fork");
    return pid;
}
#endif

/* All that the child does after the fork. Does not return. */
static void run_child(struct sf_child *self, const struct start *start, PyObject *name, int (*body)(void *),
                      void *context)
{
    uint32_t task = self->task;
    sf_child_become(self, start->child, start->process.parent);
    /* if one of these raises, body finds the exception */
    int failed = sf_protocol_begin(name, start->had_sigterm_action);
    sf_signal_delay_end();
    if (!failed)
        sf_check_signals();
    int status = body(context);
    assert(!PyErr_Occurred());
    sf_protocol_end();
    if (!sf_child_is_self(self)) /* f called os.fork, and this is the process that made: it has no task */
        task = 0;
    sf_usage_write();
    sf_log_write(SF_EVENT_EXIT, SF_PHASE_INSTANT, task, (uint64_t)(int64_t)status, 0);
    _exit(status);
}

int sf_fork_child(struct sf_child *child, PyObject *name, int (*before)(void *context), int (*body)(void *context),
                  void *context)
{
    const char *name_utf8 = PyUnicode_AsUTF8(name);
    struct start start = {
        .task = child->task, .name = name_utf8, .caller = sf_pid_own(), .before = before, .context = context};
    if (!name_utf8 || refuse_impossible() || sf_protocol_prepare())
        return -1;
#ifndef PYPY_VERSION
    if (sf_log_enabled() && sf_log_self.session->sample_hz)
        start.frame = PyEval_GetFrame();
#endif
    sf_log_write(SF_EVENT_FORK, SF_PHASE_BEGIN, child->task, 0, 0);
    pid_t pid = fork_interpreter(&start);
    int error = errno;
    if (pid == 0) {
        sf_process_child_name(name_utf8);
        run_child(child, &start, name, body, context);
    }
    if (pid < 0) {
        sf_log_fork_as(0, NULL); /* the child that would have used it does not exist */
        sf_log_write(SF_EVENT_FORK, SF_PHASE_END, child->task, 0, (uint64_t)error);
        return -1;
    }
    sf_ring_name_child(pid);
    sf_log_write(SF_EVENT_FORK, SF_PHASE_END, child->task, (uint64_t)pid, 0);
    sf_child_adopt(child, pid, start.process.parent);
    return 0;
}
