/* What Thread and Generator have in common as Python types. See task.h. */
#include "py/task.h"

#include "core/process.h"
#include "py/errors.h"

#include <errno.h>
#include <signal.h>

static struct sf_task *task_of(PyObject *self)
{
    return &((struct sf_task_object *)self)->task;
}

PyObject *sf_task_method_get_exit_status(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct sf_task *task = task_of(self);
    if (!sf_task_is_joined(task))
        return NULL;
    if (task->child.exit_status == SF_PROCESS_STATUS_UNKNOWN)
        Py_RETURN_NONE;
    return PyLong_FromLong(task->child.exit_status);
}

PyObject *sf_task_method_is_alive(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct sf_task *task = task_of(self);
    if (task->child.state != SF_CHILD_RUNNING || task->disposed)
        Py_RETURN_FALSE;
    if (sf_child_is_self(&task->child))
        Py_RETURN_TRUE;
    if (!sf_child_is_ours(&task->child))
        return NULL;
    int dead = sf_process_wait(task->child.pidfd, 0); /* looks only: join() reaps */
    return PyBool_FromLong(dead != 0);
}

PyObject *sf_task_method_fileno(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct sf_task *task = task_of(self);
    if (!sf_task_is_started(task))
        return NULL;
    if (task->child.pidfd < 0) {
        PyErr_Format(PyExc_RuntimeError, "%U has ended and was waited for: it has no file descriptor any more",
                     task->name);
        return NULL;
    }
    return PyLong_FromLong(task->child.pidfd);
}

static PyObject *send_signal(PyObject *self, int signal_number)
{
    struct sf_task *task = task_of(self);
    if (!sf_task_is_started(task))
        return NULL;
    int error = sf_child_signal(&task->child, signal_number);
    if (error && error != -ESRCH)
        return sf_error(error, "cannot signal the child");
    Py_RETURN_NONE;
}

PyObject *sf_task_method_terminate(PyObject *self, PyObject *unused)
{
    (void)unused;
    return send_signal(self, SIGTERM);
}

PyObject *sf_task_method_kill(PyObject *self, PyObject *unused)
{
    (void)unused;
    return send_signal(self, SIGKILL);
}

PyObject *sf_task_method_dispose(PyObject *self, PyObject *unused)
{
    (void)unused;
    sf_task_dispose(task_of(self), self, true);
    Py_RETURN_NONE;
}

PyObject *sf_task_get_pid(PyObject *self, void *unused)
{
    (void)unused;
    struct sf_task *task = task_of(self);
    if (task->child.state == SF_CHILD_NEW)
        Py_RETURN_NONE;
    return PyLong_FromLong(task->child.pid);
}

PyObject *sf_task_get_name(PyObject *self, void *unused)
{
    (void)unused;
    struct sf_task *task = task_of(self);
    return Py_NewRef(task->name ? task->name : Py_None);
}

PyObject *sf_task_repr(PyObject *self)
{
    struct sf_task *task = task_of(self);
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

void sf_task_finalize(PyObject *self)
{
    sf_task_dispose(task_of(self), SF_HAS_FINALIZE ? self : NULL, true);
}

void sf_task_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (!SF_HAS_FINALIZE)
        sf_task_finalize(self);
    else if (PyObject_CallFinalizerFromDealloc(self) < 0)
        return; /* brought back to life by the warning's handler */
    PyObject_GC_UnTrack(self);
    if (((struct sf_task_object *)self)->weakrefs)
        PyObject_ClearWeakRefs(self);
    sf_task_clear(task_of(self));
    Py_CLEAR(task_of(self)->name);
    type->tp_free(self);
    Py_DECREF(type);
}

int sf_task_type_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return sf_task_traverse(task_of(self), visit, arg);
}

int sf_task_type_clear(PyObject *self)
{
    sf_task_clear(task_of(self));
    return 0;
}
