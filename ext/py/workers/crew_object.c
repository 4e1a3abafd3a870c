/* _snakefish._Crew: crew.h as a Python type, for snakefish/_executor.py. */
#include "py/base/types.h"

#include <unistd.h>

#include "py/base/wait.h"
#include "py/workers/crew.h"

struct crew_object {
    PyObject_HEAD struct sf_crew crew;
};

static struct sf_crew *crew_of(PyObject *self)
{
    return &((struct crew_object *)self)->crew;
}

static PyObject *crew_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"call", "prepare", "max_workers", "tasks_per_worker", "name", NULL};
    PyObject *call, *prepare, *name;
    Py_ssize_t workers;
    unsigned long long tasks_per_worker;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOnKU:_Crew", keywords, &call, &prepare, &workers,
                                     &tasks_per_worker, &name))
        return NULL;
    if (workers < 1 || workers > SF_ENGINE_MOST_WORKERS)
        return PyErr_Format(PyExc_ValueError, "max_workers must be from 1 to %d", SF_ENGINE_MOST_WORKERS);
    PyObject *self = type->tp_alloc(type, 0);
    if (self && sf_crew_init(crew_of(self), call, prepare, name, workers, tasks_per_worker))
        Py_CLEAR(self);
    return self;
}

static PyObject *crew_start(PyObject *self, PyObject *Py_UNUSED(unused))
{
    int started = sf_crew_start(crew_of(self));
    return started < 0 ? NULL : PyBool_FromLong(started);
}

static PyObject *crew_number(PyObject *self, PyObject *waiting)
{
    Py_ssize_t count = PyLong_AsSsize_t(waiting);
    if (count == -1 && PyErr_Occurred())
        return NULL;
    return PyLong_FromUnsignedLongLong(sf_crew_number(crew_of(self), count));
}

/* True; False: not now; or the exception that pickling the item has raised. */
static PyObject *crew_send(PyObject *self, PyObject *args)
{
    PyObject *task, *item;
    unsigned long long number;
    bool is_bad;
    if (!PyArg_ParseTuple(args, "KOO:send", &number, &task, &item))
        return NULL;
    int sent = sf_crew_send(crew_of(self), number, task, item, &is_bad);
    if (sent >= 0)
        return PyBool_FromLong(sent);
    return is_bad ? sf_take_raised() : NULL;
}

static PyObject *crew_wait(PyObject *self, PyObject *timeout)
{
    int64_t deadline_ns;
    if (sf_wait_deadline(timeout, &deadline_ns))
        return NULL;
    return sf_crew_wait(crew_of(self), deadline_ns);
}

#ifdef PYPY_VERSION /* whose locks are written in Python: see direct.c */
static PyObject *crew_take(PyObject *self, PyObject *args)
{
    (void)self;
    (void)args;
    Py_RETURN_FALSE;
}
#else
/* take(number, waiting, timeout) */
static PyObject *crew_take(PyObject *self, PyObject *args)
{
    PyObject *waiting, *timeout;
    unsigned long long number;
    int64_t deadline_ns;
    if (!PyArg_ParseTuple(args, "KOO:take", &number, &waiting, &timeout) || sf_wait_deadline(timeout, &deadline_ns))
        return NULL;
    int taken = sf_crew_take(crew_of(self), number, waiting, deadline_ns);
    return taken < 0 ? NULL : PyBool_FromLong(taken);
}
#endif

static PyObject *crew_attend(PyObject *self, PyObject *Py_UNUSED(unused))
{
    sf_crew_attend(crew_of(self));
    Py_RETURN_NONE;
}

static PyObject *crew_nudge(PyObject *self, PyObject *Py_UNUSED(unused))
{
    sf_crew_nudge(crew_of(self));
    Py_RETURN_NONE;
}

static PyObject *crew_claims(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return sf_crew_claims(crew_of(self));
}

static PyObject *crew_doom(PyObject *self, PyObject *args)
{
    int pid;
    unsigned long long number;
    if (!PyArg_ParseTuple(args, "iK:doom", &pid, &number) || !sf_engine_is_ours(&crew_of(self)->engine))
        return NULL;
    return PyBool_FromLong(sf_crew_doom(crew_of(self), (pid_t)pid, number));
}

/* The tasks that are sent: a dict of number to task, in the order of sending. */
static PyObject *crew_sent(PyObject *self, PyObject *Py_UNUSED(unused))
{
    struct sf_crew *crew = crew_of(self);
    return crew->sent ? PyDict_Copy(crew->sent) : PyDict_New();
}

static PyObject *crew_drop(PyObject *self, PyObject *number)
{
    struct sf_crew *crew = crew_of(self);
    PyObject *task = crew->sent ? PyDict_GetItemWithError(crew->sent, number) : NULL;
    if (!task && PyErr_Occurred())
        return NULL;
    Py_XINCREF(task);
    if (task && PyDict_DelItem(crew->sent, number))
        Py_CLEAR(task);
    if (!task && !PyErr_Occurred())
        Py_RETURN_NONE;
    return task;
}

static PyObject *crew_retire(PyObject *self, PyObject *Py_UNUSED(unused))
{
    struct sf_crew *crew = crew_of(self);
    if (!crew->closed && sf_engine_is_ours(&crew->engine))
        sf_feed_retire(&crew->feed);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *crew_finish(PyObject *self, PyObject *Py_UNUSED(unused))
{
    if (!sf_engine_is_ours(&crew_of(self)->engine))
        return NULL;
    return PyBool_FromLong(sf_crew_finish(crew_of(self)));
}

static PyObject *crew_close(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return sf_crew_close(crew_of(self));
}

static PyObject *crew_pids(PyObject *self, PyObject *Py_UNUSED(unused))
{
    const struct sf_engine *engine = &crew_of(self)->engine;
    PyObject *pids = PyList_New(0);
    for (Py_ssize_t i = 0; pids && i < engine->started; i++) {
        const struct sf_worker *worker = engine->workers[i];
        PyObject *pid = worker && !worker->gone ? PyLong_FromLong(worker->task.child.pid) : NULL;
        if (PyErr_Occurred() || (pid && PyList_Append(pids, pid)))
            Py_CLEAR(pids);
        Py_XDECREF(pid);
    }
    return pids;
}

static PyObject *get_alive(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromSsize_t(crew_of(self)->engine.alive);
}

static PyObject *get_starting(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(sf_crew_is_starting(crew_of(self)));
}

static PyObject *get_under_way(PyObject *self, void *unused)
{
    (void)unused;
    const struct sf_crew *crew = crew_of(self);
    return PyLong_FromSsize_t(crew->sent ? PyDict_Size(crew->sent) : 0);
}

static PyObject *get_taken(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(crew_of(self)->taken);
}

static int crew_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return sf_crew_traverse(crew_of(self), visit, arg);
}

static int crew_clear(PyObject *self)
{
    PyObject *raised = sf_take_raised();
    Py_XDECREF(sf_crew_close(crew_of(self)));
    PyErr_Clear();
    if (raised)
        sf_put_raised(raised);
    return 0;
}

static void crew_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    crew_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef crew_methods[] = {
    {"start", crew_start, METH_NOARGS, NULL},   {"number", crew_number, METH_O, NULL},
    {"send", crew_send, METH_VARARGS, NULL},    {"wait", crew_wait, METH_O, NULL},
    {"nudge", crew_nudge, METH_NOARGS, NULL},   {"claims", crew_claims, METH_NOARGS, NULL},
    {"doom", crew_doom, METH_VARARGS, NULL},    {"sent", crew_sent, METH_NOARGS, NULL},
    {"drop", crew_drop, METH_O, NULL},          {"retire", crew_retire, METH_NOARGS, NULL},
    {"take", crew_take, METH_VARARGS, NULL},    {"attend", crew_attend, METH_NOARGS, NULL},
    {"finish", crew_finish, METH_NOARGS, NULL}, {"close", crew_close, METH_NOARGS, NULL},
    {"pids", crew_pids, METH_NOARGS, NULL},     {NULL, NULL, 0, NULL},
};

static PyGetSetDef crew_getset[] = {
    {"alive", get_alive, NULL, "How many workers live.", NULL},
    {"starting", get_starting, NULL, "Whether another thread forks a worker.", NULL},
    {"under_way", get_under_way, NULL, "How many tasks are sent.", NULL},
    {"taken", get_taken, NULL, "How many results wait() has not seen.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot crew_slots[] = {
    {Py_tp_doc,
     (void *)"Workers that stay. Internal, for snakefish.Executor: ext/py/workers/crew.h says what it does."},
    {Py_tp_new, crew_new},
    {Py_tp_dealloc, crew_dealloc},
    {Py_tp_traverse, crew_traverse},
    {Py_tp_clear, crew_clear},
    {Py_tp_methods, crew_methods},
    {Py_tp_getset, crew_getset},
    {0, NULL},
};

PyType_Spec sf_crew_spec = {
    .name = "snakefish._Crew",
    .basicsize = sizeof(struct crew_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = crew_slots,
};
