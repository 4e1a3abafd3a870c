/* The methods and slots that Thread and Generator share. See task_object.h; what they do is in task.c. */
#include "py/task/task_object.h"

#include <errno.h>
#include <signal.h>

#include "core/os/process.h"
#include "py/base/errors.h"
#include "py/base/wait.h"

int sf_task_object_init_once(PyObject *self, const char *word)
{
    if (!sf_task_of(self)->f)
        return 0;
    PyErr_Format(PyExc_RuntimeError, "a %s is initialised once: make a new one", word);
    return -1;
}

/* 1, 0 or -1 as sf_task_join. */
static int stop_and_join(struct sf_task *task, bool block, int64_t deadline_ns)
{
    if (task->joined)
        return 1;
    if (!sf_task_is_started(task))
        return -1;
    if (task->stop)
        task->stop(task);
    int joined = sf_task_join(task, block, deadline_ns);
    if (task->joined && task->give_back)
        task->give_back(task);
    return joined;
}

/* 0, or -1 with an exception. */
static int dispose_task(PyObject *self, bool warn)
{
    struct sf_task *task = sf_task_of(self);
    if (!sf_task_may_dispose(task))
        return -1;
    sf_task_dispose(task, self, warn);
    if (task->give_back)
        task->give_back(task);
    return 0;
}

PyObject *sf_task_object_join(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"timeout", NULL};
    PyObject *timeout = NULL;
    int64_t deadline_ns;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:join", keywords, &timeout) ||
        sf_wait_deadline(timeout, &deadline_ns) || stop_and_join(sf_task_of(self), true, deadline_ns) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyObject *sf_task_object_try_join(PyObject *self, PyObject *Py_UNUSED(unused))
{
    int joined = stop_and_join(sf_task_of(self), false, SF_FOREVER);
    if (joined >= 0)
        sf_wait_polled(joined);
    return joined < 0 ? NULL : PyBool_FromLong(joined);
}

PyObject *sf_task_object_enter(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return sf_task_is_usable(sf_task_of(self)) ? Py_NewRef(self) : NULL;
}

PyObject *sf_task_object_exit(PyObject *self, PyObject *args)
{
    struct sf_task *task = sf_task_of(self);
    bool raised = PyTuple_GET_SIZE(args) > 0 && PyTuple_GET_ITEM(args, 0) != Py_None;
    bool started = !task->disposed && task->child.state != SF_CHILD_NEW;
    if (started && !raised && stop_and_join(task, true, SF_FOREVER) < 0)
        return NULL;
    if (dispose_task(self, false)) /* no warning at the end of a with block */
        return NULL;
    Py_RETURN_FALSE;
}

PyObject *sf_task_object_get_exit_status(PyObject *self, PyObject *Py_UNUSED(unused))
{
    struct sf_task *task = sf_task_of(self);
    if (!sf_task_is_joined(task))
        return NULL;
    if (task->child.exit_status == SF_PROCESS_STATUS_UNKNOWN)
        Py_RETURN_NONE;
    return PyLong_FromLong(task->child.exit_status);
}

PyObject *sf_task_object_is_alive(PyObject *self, PyObject *Py_UNUSED(unused))
{
    struct sf_task *task = sf_task_of(self);
    if (task->child.state != SF_CHILD_RUNNING || task->disposed)
        Py_RETURN_FALSE;
    if (sf_child_is_self(&task->child))
        Py_RETURN_TRUE;
    if (!sf_child_is_ours(&task->child))
        return NULL;
    bool dead = sf_process_is_dead(task->child.pid); /* join() reaps */
    sf_wait_polled(dead);
    return PyBool_FromLong(!dead);
}

PyObject *sf_task_object_fileno(PyObject *self, PyObject *Py_UNUSED(unused))
{
    struct sf_task *task = sf_task_of(self);
    if (!sf_task_is_started(task))
        return NULL;
    int pidfd = sf_own_fd_get(&task->child.pidfd);
    if (pidfd < 0 && task->child.state == SF_CHILD_RUNNING)
        return PyErr_Format(PyExc_RuntimeError, "the program has closed the file descriptor of %U", task->name);
    if (pidfd < 0) {
        PyErr_Format(PyExc_RuntimeError, "%U has ended and was waited for: it has no file descriptor any more",
                     task->name);
        return NULL;
    }
    return PyLong_FromLong(pidfd);
}

static PyObject *send_signal(PyObject *self, int signal_number)
{
    struct sf_task *task = sf_task_of(self);
    if (!sf_task_is_started(task))
        return NULL;
    int error = sf_child_signal(&task->child, signal_number);
    if (error && error != -ESRCH)
        return sf_error(error, "cannot signal the child");
    Py_RETURN_NONE;
}

PyObject *sf_task_object_terminate(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return send_signal(self, SIGTERM);
}

PyObject *sf_task_object_kill(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return send_signal(self, SIGKILL);
}

PyObject *sf_task_object_dispose(PyObject *self, PyObject *Py_UNUSED(unused))
{
    if (dispose_task(self, true))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *get_pid(PyObject *self, void *Py_UNUSED(unused))
{
    struct sf_task *task = sf_task_of(self);
    if (task->child.state == SF_CHILD_NEW)
        Py_RETURN_NONE;
    return PyLong_FromLong(task->child.pid);
}

static PyObject *get_name(PyObject *self, void *Py_UNUSED(unused))
{
    struct sf_task *task = sf_task_of(self);
    return Py_NewRef(task->name ? task->name : Py_None);
}

PyGetSetDef sf_task_object_attributes[] = {
    {"pid", get_pid, NULL, "The child's process id, None before start().", NULL},
    {"name", get_name, NULL, "The name (str), used in the trace and in messages.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyMemberDef sf_task_object_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct sf_task_object, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyObject *sf_task_object_repr(PyObject *self)
{
    struct sf_task *task = sf_task_of(self);
    if (!task->name)
        return PyUnicode_FromFormat("<%s>", Py_TYPE(self)->tp_name);
    const char *state = task->joined                            ? "joined"
                        : task->disposed                        ? "disposed"
                        : task->child.state == SF_CHILD_NEW     ? "not started"
                        : task->child.state == SF_CHILD_RUNNING ? "started"
                                                                : "ended";
    return PyUnicode_FromFormat("<%s '%U', %s, pid %d>", Py_TYPE(self)->tp_name, task->name, state,
                                (int)task->child.pid);
}

void sf_task_object_finalize(PyObject *self)
{
    struct sf_task *task = sf_task_of(self);
    sf_task_dispose(task, SF_HAS_FINALIZE ? self : NULL, true);
    if (task->give_back)
        task->give_back(task);
}

void sf_task_object_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (!SF_HAS_FINALIZE)
        sf_task_object_finalize(self);
    else if (PyObject_CallFinalizerFromDealloc(self) < 0)
        return; /* the warning's handler keeps a reference: the object lives on */
    PyObject_GC_UnTrack(self);
    if (((struct sf_task_object *)self)->weakrefs)
        PyObject_ClearWeakRefs(self);
    sf_task_clear(sf_task_of(self));
    Py_CLEAR(sf_task_of(self)->name);
    type->tp_free(self);
    Py_DECREF(type);
}

int sf_task_object_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return sf_task_traverse(sf_task_of(self), visit, arg);
}

int sf_task_object_clear(PyObject *self)
{
    sf_task_clear(sf_task_of(self));
    return 0;
}
