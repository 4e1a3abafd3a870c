/* The methods and slots that Thread and Generator share. See task_object.h; what they do is in task.c. */
#include "py/task/task_object.h"

#include <errno.h>
#include <signal.h>

#include "core/os/process.h"
#include "py/base/errors.h"
#include "py/base/wait.h"
#include "py/task/fate.h"
#include "py/task/task_state.h"

int sf_task_object_init_once(PyObject *self, const char *word)
{
    if (!sf_task_of(self)->name)
        return 0;
    PyErr_Format(PyExc_RuntimeError, "a %s is initialised once: make a new one", word);
    return -1;
}

static struct sf_kept_link *link_of(PyObject *self)
{
    return &((struct sf_task_object *)self)->link;
}

bool sf_task_object_start(PyObject *self, int (*start)(struct sf_task *task), bool keep)
{
    struct sf_task *task = sf_task_of(self);
    sf_kept_sweep(); /* before the checks, because it may run code of the program */
    if (!sf_task_may_start(task))
        return false;
    if (start(task) && !(sf_kept_make_room() && sf_task_may_start(task) && start(task) == 0))
        return false;
    sf_kept_add(link_of(self), self, task, keep);
    return true;
}

/* 1, 0 or -1 as sf_task_join. */
static int stop_and_join(PyObject *self, bool block, int64_t deadline_ns)
{
    struct sf_task *task = sf_task_of(self);
    int joined = 1;
    if (!task->joined) {
        if (!sf_task_is_started(task))
            return -1;
        if (task->stop)
            task->stop(task);
        joined = sf_task_join(task, block, deadline_ns);
        if (task->joined && task->give_back)
            task->give_back(task);
        if (task->joined)
            sf_kept_let_go(link_of(self));
    }
    if (joined > 0) /* not in a try_join that is repeated until the child has ended */
        sf_kept_sweep();
    return joined;
}

static int warn_of_kill(const struct sf_task *task, PyObject *self)
{
    if (self)
        return PyErr_ResourceWarning(self, 1, "%R was still running: its process was killed", self);
    return PyErr_WarnFormat(PyExc_ResourceWarning, 1, "%U was still running: its process was killed", task->name);
}

/* After the child's end. */
static void close_task(PyObject *self)
{
    struct sf_task *task = sf_task_of(self);
    sf_task_close(task);
    if (task->give_back)
        task->give_back(task);
    sf_kept_let_go(link_of(self));
}

/* warn: of a child that was still running. report: an exception that nobody has asked for. 0, or -1 with an exception.
 */
static int dispose_task(PyObject *self, bool warn, bool report)
{
    struct sf_task *task = sf_task_of(self);
    if (!task->name || sf_child_is_self(&task->child)) /* this process needs it until its end */
        return 0;
    if (!sf_task_may_dispose(task))
        return -1;
    int killed = sf_task_end(task);
    if (killed < 0)
        return -1;
    if (killed && warn && warn_of_kill(task, self))
        PyErr_WriteUnraisable(self);
    if (report)
        sf_fate_report(task, self);
    close_task(self);
    return 0;
}

PyObject *sf_task_object_join(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"timeout", NULL};
    PyObject *timeout = NULL;
    int64_t deadline_ns;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:join", keywords, &timeout) ||
        sf_wait_deadline(timeout, &deadline_ns) || stop_and_join(self, true, deadline_ns) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyObject *sf_task_object_try_join(PyObject *self, PyObject *Py_UNUSED(unused))
{
    int joined = stop_and_join(self, false, SF_FOREVER);
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
    bool block_raised = PyTuple_GET_SIZE(args) > 0 && PyTuple_GET_ITEM(args, 0) != Py_None;
    bool started = !task->disposed && task->child.state != SF_CHILD_NEW;
    PyObject *raised = NULL; /* by the join */
    if (started && !block_raised && stop_and_join(self, true, SF_FOREVER) < 0)
        raised = sf_take_raised();
    if (block_raised ||
        (raised && !task->joined)) /* the block's own exception, or what interrupts the join, matters more */
        task->asked = true;
    /* No warning at the end of a with block, and no report: the result is often asked for after it. */
    int failed = dispose_task(self, false, false);
    if (raised && failed) {
        PyObject *second = sf_take_raised();
        PyException_SetContext(second, raised);
        sf_put_raised(second);
    } else if (raised) {
        sf_put_raised(raised);
    }
    if (raised || failed)
        return NULL;
    Py_RETURN_FALSE;
}

PyObject *sf_task_object_get_exit_status(PyObject *self, PyObject *Py_UNUSED(unused))
{
    struct sf_task *task = sf_task_of(self);
    if (!sf_task_is_joined(task))
        return NULL;
    if (task->tag == SF_TAG_NONE || task->tag == SF_TAG_EXITED)
        task->asked = true; /* the status tells what came of it */
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
    if (dead)
        sf_kept_let_go(link_of(self));
    sf_wait_polled(dead);
    return PyBool_FromLong(!dead);
}

PyObject *sf_task_object_fileno(PyObject *self, PyObject *Py_UNUSED(unused))
{
    struct sf_task *task = sf_task_of(self);
    if (!sf_task_is_started(task))
        return NULL;
    int pidfd = sf_child_fileno(&task->child, task->name);
    return pidfd < 0 ? NULL : PyLong_FromLong(pidfd);
}

static PyObject *send_signal(PyObject *self, int signal_number)
{
    struct sf_task *task = sf_task_of(self);
    if (!sf_task_is_started(task))
        return NULL;
    bool ends_it = task->child.state == SF_CHILD_RUNNING && !sf_process_is_dead(task->child.pid);
    int error = sf_child_signal(&task->child, signal_number);
    if (error && error != -ESRCH)
        return sf_error(error, "cannot signal the child");
    if (ends_it)
        task->killed = true;
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
    if (dispose_task(self, true, true))
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
    PyObject *words = sf_fate_words(task), *repr = NULL;
    if (words && task->child.state == SF_CHILD_NEW)
        repr = PyUnicode_FromFormat("<%s '%U', %U>", Py_TYPE(self)->tp_name, task->name, words);
    else if (words)
        repr = PyUnicode_FromFormat("<%s '%U', %U, pid %d>", Py_TYPE(self)->tp_name, task->name, words,
                                    (int)task->child.pid);
    Py_XDECREF(words);
    return repr;
}

/* Nobody refers to it any more. visible: Python code may be given the object. */
static void end_unreferenced(PyObject *self, bool visible)
{
    struct sf_task *task = sf_task_of(self);
    if (!task->name || sf_child_is_self(&task->child))
        return;
    PyObject *raised = sf_take_raised(), *shown = visible ? self : NULL;
    int killed = sf_task_end_deaf(task);
    if (killed < 0 && visible) {
        if (task->stop)
            task->stop(task);
        sf_kept_add(link_of(self), self, task, true); /* it may not be killed: then it lives until it ends by itself */
    } else {
        if (killed > 0 && warn_of_kill(task, shown))
            PyErr_WriteUnraisable(shown);
        if (task->child.state == SF_CHILD_RUNNING)
            sf_child_forget(&task->child);
        sf_fate_report(task, shown);
        close_task(self);
    }
    if (raised)
        sf_put_raised(raised);
}

void sf_task_object_finalize(PyObject *self)
{
    end_unreferenced(self, true);
}

void sf_task_object_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (SF_HAS_FINALIZE && PyObject_CallFinalizerFromDealloc(self) < 0)
        return; /* the warning's handler, or the list of kept ones, has a reference: the object lives on */
    PyObject_GC_UnTrack(self);
    sf_kept_forget(link_of(self));
    end_unreferenced(self, false); /* on PyPy; and where the __del__ of a subclass has taken finalize's place */
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
