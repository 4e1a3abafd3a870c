/* snakefish.Thread: a function in a child process. The work is in task.c; here are the arguments and the table. */
#include "py/base/types.h"

#include "core/log/log.h"
#include "py/base/wait.h"
#include "py/task/task.h"

#include <signal.h>

static struct sf_task *task_of(PyObject *self)
{
    return &((struct sf_task_object *)self)->task;
}

static PyObject *call(struct sf_task *task)
{
    return PyObject_Call(task->f, task->args, task->kwargs);
}

static int thread_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"f", "extract", "merge", "args", "kwargs", "name", NULL};
    PyObject *f, *extract = NULL, *merge = NULL, *f_args = NULL, *f_kwargs = NULL, *name = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OO$OOO:Thread", keywords, &f, &extract, &merge, &f_args,
                                     &f_kwargs, &name))
        return -1;
    struct sf_task *task = task_of(self);
    if (task->f) {
        PyErr_SetString(PyExc_RuntimeError, "a Thread is initialised once: make a new one");
        return -1;
    }
    task->run = call;
    return sf_task_init(task, SF_TASK_THREAD, f, f_args, f_kwargs, extract, merge, name);
}

static PyObject *thread_start(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct sf_task *task = task_of(self);
    if (!sf_task_may_start(task) || sf_task_start(task))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *thread_get_result(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct sf_task *task = task_of(self);
    return sf_task_is_joined(task) ? sf_task_result(task) : NULL;
}

/* For Threads that are our own workers: nobody else knows that they run. */
static PyObject *thread_end(PyObject *self, PyObject *unused)
{
    (void)unused;
    sf_task_dispose(task_of(self), self, false);
    Py_RETURN_NONE;
}

static void kill_at_exit(struct sf_child *child)
{
    sf_child_signal(child, SIGKILL);
}

static PyObject *thread_kill_at_exit(PyObject *self, PyObject *unused)
{
    (void)unused;
    task_of(self)->child.at_exit = kill_at_exit;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"start", thread_start, METH_NOARGS,
     "start()\n--\n\nForks a child process that runs f(*args, **kwargs).\n\n"
     "Raises RuntimeError when it was started before or the fork failed, MemoryError when memory ran out."},
    {"join", (PyCFunction)(void (*)(void))sf_task_method_join, METH_VARARGS | METH_KEYWORDS,
     "join(timeout=None)\n--\n\nBlocks until the child has ended, takes its result and merges what it extracted.\n\n"
     "timeout: seconds, None for ever; TimeoutError when they pass. Raises what extract (in the child) or merge "
     "(here)\n"
     "raised, after the child is reaped; never for the fate of f: see get_result(). Joining again does nothing."},
    {"try_join", sf_task_method_try_join, METH_NOARGS,
     "try_join()\n--\n\nFalse while the child runs; else joins it as join() does and returns True. Does not block."},
    {"get_result", thread_get_result, METH_NOARGS,
     "get_result()\n--\n\nWhat f returned; raises what f raised, with the child's traceback as __cause__.\n\n"
     "Raises ChildDied when the child was killed, called sys.exit() or os._exit(), or its result could not be "
     "pickled;\n"
     "RuntimeError before join()."},
    {"get_exit_status", sf_task_method_get_exit_status, METH_NOARGS,
     "get_exit_status()\n--\n\n0 when f returned or raised, n after sys.exit(n), -N after signal N, None if "
     "unknown.\n\n"
     "RuntimeError before join()."},
    {"is_alive", sf_task_method_is_alive, METH_NOARGS, "is_alive()\n--\n\nTrue from start() until the child's end."},
    {"fileno", sf_task_method_fileno, METH_NOARGS,
     "fileno()\n--\n\nA pidfd, readable once the child has ended, for select, poll and asyncio. Owned by the Thread:\n"
     "valid until join()."},
    {"terminate", sf_task_method_terminate, METH_NOARGS, "terminate()\n--\n\nSends the child SIGTERM. Does not wait."},
    {"kill", sf_task_method_kill, METH_NOARGS, "kill()\n--\n\nSends the child SIGKILL. Does not wait."},
    {"dispose", sf_task_method_dispose, METH_NOARGS,
     "dispose()\n--\n\nKills a child that still runs (ResourceWarning), reaps it and gives everything back.\n\n"
     "A joined Thread keeps its result. Calling it again does nothing."},
    {"_end", thread_end, METH_NOARGS, "dispose() without a warning."},
    {"_kill_at_exit", thread_kill_at_exit, METH_NOARGS,
     "The end of the program kills the child instead of waiting for it."},
    {"__enter__", sf_task_method_enter, METH_NOARGS, NULL},
    {"__exit__", sf_task_method_exit, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(doc, "Thread(f, extract=None, merge=None, *, args=(), kwargs=None, name=None)\n--\n\n"
                  "Runs f(*args, **kwargs) in a forked process, which sees everything as it is at start().\n\n"
                  "extract(globals) runs in the child after f, also when f raised; its result is pickled, and\n"
                  "merge(globals, extracted) runs in join(). Both get the globals of f's module, each in its process.\n"
                  "As a context manager it joins at the end of the block, or kills the child if the block raised.\n"
                  "A running Thread that is collected kills its child and warns (ResourceWarning).");

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)doc},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, thread_init},
    SF_FINALIZE_SLOT(sf_task_finalize){Py_tp_dealloc, sf_task_dealloc},
    {Py_tp_traverse, sf_task_type_traverse},
    {Py_tp_clear, sf_task_type_clear},
    {Py_tp_repr, sf_task_repr},
    {Py_tp_methods, methods},
    {Py_tp_getset, sf_task_attributes},
    {Py_tp_members, sf_task_members},
    {0, NULL},
};

PyType_Spec sf_thread_spec = {
    .name = "snakefish.Thread",
    .basicsize = sizeof(struct sf_task_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};
