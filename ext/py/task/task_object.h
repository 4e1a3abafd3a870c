/* What Thread and Generator have in common as Python types: their objects begin with struct sf_task_object, and their
 * tables begin with the lines below. */
#ifndef SF_PY_TASK_TASK_OBJECT_H
#define SF_PY_TASK_TASK_OBJECT_H

#include "py/task/kept.h"
#include "py/task/task.h"

struct sf_task_object {
    PyObject_HEAD struct sf_task task;
    PyObject *weakrefs;
    struct sf_kept_link link; /* kept.h */
};

static inline struct sf_task *sf_task_of(PyObject *self)
{
    return &((struct sf_task_object *)self)->task;
}

/* Raises RuntimeError where the object was initialised before: "a Thread is initialised once: make a new one". */
int sf_task_object_init_once(PyObject *self, const char *word);

/* The body of start(). start: forks the child of a task that may start, as sf_task_start. keep: the library keeps the
 * object until its child has ended (kept.h). false with an exception; then it can be tried again. */
bool sf_task_object_start(PyObject *self, int (*start)(struct sf_task *task), bool keep);

/* Methods of both types, which have a docstring in each. */
PyObject *sf_task_object_join(PyObject *self, PyObject *args, PyObject *kwargs);
PyObject *sf_task_object_try_join(PyObject *self, PyObject *unused);
PyObject *sf_task_object_get_exit_status(PyObject *self, PyObject *unused);
PyObject *sf_task_object_fileno(PyObject *self, PyObject *unused);
PyObject *sf_task_object_dispose(PyObject *self, PyObject *unused);

/* The other methods, for their PyMethodDef tables. */
PyObject *sf_task_object_is_alive(PyObject *self, PyObject *unused);
PyObject *sf_task_object_terminate(PyObject *self, PyObject *unused);
PyObject *sf_task_object_kill(PyObject *self, PyObject *unused);
PyObject *sf_task_object_enter(PyObject *self, PyObject *unused);
PyObject *sf_task_object_exit(PyObject *self, PyObject *args);
#define SF_TASK_OBJECT_METHODS                                                                                         \
    {"is_alive", sf_task_object_is_alive, METH_NOARGS,                                                                 \
     "is_alive($self)\n--\n\nTrue from start() until the child's end. Does not block."},                               \
        {"terminate", sf_task_object_terminate, METH_NOARGS,                                                           \
         "terminate($self)\n--\n\nSends the child SIGTERM, which ends it unless f has set a handler. Does not wait."}, \
        {"kill", sf_task_object_kill, METH_NOARGS, "kill($self)\n--\n\nSends the child SIGKILL. Does not wait."},      \
        {"__enter__", sf_task_object_enter, METH_NOARGS, NULL},                                                        \
    {                                                                                                                  \
        "__exit__", sf_task_object_exit, METH_VARARGS, NULL                                                            \
    }

/* For their PyType_Slot tables. */
extern PyGetSetDef sf_task_object_attributes[]; /* pid, name */
extern PyMemberDef sf_task_object_members[];
PyObject *sf_task_object_repr(PyObject *self);
void sf_task_object_finalize(PyObject *self);
void sf_task_object_dealloc(PyObject *self);
int sf_task_object_traverse(PyObject *self, visitproc visit, void *arg);
int sf_task_object_clear(PyObject *self);
#define SF_TASK_OBJECT_SLOTS                                                                                           \
    {Py_tp_new, PyType_GenericNew}, {Py_tp_dealloc, sf_task_object_dealloc},                                           \
        {Py_tp_traverse, sf_task_object_traverse}, {Py_tp_clear, sf_task_object_clear},                                \
        {Py_tp_repr, sf_task_object_repr}, {Py_tp_getset, sf_task_object_attributes},                                  \
        SF_FINALIZE_SLOT(sf_task_object_finalize)                                                                      \
    {                                                                                                                  \
        Py_tp_members, sf_task_object_members                                                                          \
    }
#define SF_TASK_OBJECT_FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC)

#endif
