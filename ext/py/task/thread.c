/* snakefish.Thread: a function in a child process. The work is done in task.c; here are the arguments and the tables.
 */
#include "py/base/types.h"

#include "core/log/log.h"
#include "py/base/arguments.h"
#include "py/base/wait.h"
#include "py/task/task_object.h"
#include "py/task/task_state.h"

static PyObject *run_thread(struct sf_task *task)
{
    return PyObject_Call(task->f, task->args, task->kwargs);
}

static int thread_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"f",       "extract", "merge",       "args",        "kwargs", "name",
                               "globals", "share",   "on_conflict", "share_check", NULL};
    struct sf_task_call call = {NULL};
    if (!sf_argument_knows_keywords("Thread", "Thread(f, args=(1, 2))", keywords, kwargs) ||
        !PyArg_ParseTupleAndKeywords(args, kwargs, "O|OO$OOOOOOO:Thread", keywords, &call.f, &call.extraction.extract,
                                     &call.extraction.merge, &call.args, &call.kwargs, &call.name,
                                     &call.extraction.globals, &call.extraction.share, &call.extraction.on_conflict,
                                     &call.extraction.share_check) ||
        sf_task_object_init_once(self, "Thread"))
        return -1;
    sf_task_of(self)->run = run_thread;
    return sf_task_init(sf_task_of(self), self, SF_TASK_THREAD, &call);
}

static PyObject *thread_start(PyObject *self, PyObject *Py_UNUSED(unused))
{
    if (!sf_task_object_start(self, sf_task_start, true))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *thread_get_result(PyObject *self, PyObject *Py_UNUSED(unused))
{
    struct sf_task *task = sf_task_of(self);
    PyObject *result = sf_task_is_joined(task) ? sf_task_result(task) : NULL;
    if (task->raised)
        task->asked = true;
    return result;
}

static PyMethodDef methods[] = {
    {"start", thread_start, METH_NOARGS,
     "start($self)\n--\n\n"
     "Forks a child process that runs f(*args, **kwargs).\n\n"
     "Raises RuntimeError when it was started before or the fork failed, MemoryError when memory ran out."},
    {"join", (PyCFunction)(void (*)(void))sf_task_object_join, METH_VARARGS | METH_KEYWORDS,
     "join($self, timeout=None)\n--\n\n"
     "Blocks until the child has ended, takes its result and merges what it extracted.\n\n"
     "timeout: seconds, None for ever; TimeoutError when they pass. Raises what extract (in the child) or merge\n"
     "(here) raised, after the child is reaped. Never raises what f raised: see get_result(). Joining again does\n"
     "nothing."},
    {"try_join", sf_task_object_try_join, METH_NOARGS,
     "try_join($self)\n--\n\n"
     "False while the child runs; otherwise joins as join() does and returns True. Does not block."},
    {"get_result", thread_get_result, METH_NOARGS,
     "get_result($self)\n--\n\n"
     "What f returned; raises what f raised, with the child's traceback as __cause__.\n\n"
     "Raises ChildDied when the child was killed, called sys.exit() or os._exit(), or its result could not be\n"
     "pickled; RuntimeError before join(). Does not block."},
    {"get_exit_status", sf_task_object_get_exit_status, METH_NOARGS,
     "get_exit_status($self)\n--\n\n"
     "0 when f returned or raised, n after sys.exit(n), -N after signal N, None if unknown.\n\n"
     "RuntimeError before join()."},
    {"fileno", sf_task_object_fileno, METH_NOARGS,
     "fileno($self)\n--\n\n"
     "A pidfd, readable once the child has ended, for select, poll and asyncio. Owned by the Thread: valid until\n"
     "join(). RuntimeError where the system gives none."},
    {"dispose", sf_task_object_dispose, METH_NOARGS,
     "dispose($self)\n--\n\n"
     "Kills a child that still runs (ResourceWarning), reaps it and frees its memory.\n\n"
     "A joined Thread keeps its result. Calling it again does nothing. RuntimeError when this process may not kill "
     "the\n"
     "child, which then goes on. Blocks until the child is reaped; signal handlers run."},
    SF_TASK_OBJECT_METHODS,
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(
    doc,
    "Thread(f, extract=None, merge=None, *, args=(), kwargs=None, name=None, globals=None,"
    " share=None, on_conflict=None, share_check=False)\n--\n\n"
    "Runs f(*args, **kwargs) in a forked process, which sees everything as it is at start().\n\n"
    "extract(globals) runs in the child after f, also when f raised. Its result is pickled, and\n"
    "merge(globals, extracted) runs in join(). Both get the globals() of the code that makes the Thread, each in\n"
    "its own process; or the dict given as globals.\n\n"
    "share: names of globals, or {name: rule}, of the module of f, or of the dict given as globals; or\n"
    "\"module:name\". What the child changes in them is merged in join() into what they are then: numbers add their\n"
    "changes, sets unite, dicts and lists merge by their parts. help(snakefish.merge) has the rules. start() copies\n"
    "the containers that they lead to, and raises ValueError or TypeError for a name that does not exist, or a value\n"
    "without a merge; other threads must not change them meanwhile. join() merges all or nothing.\n"
    "on_conflict: \"raise\" (snakefish.merge.Conflict, the default), \"parent\", \"child\", or a function of the\n"
    "Conflict that returns the value. merge, with share: merge(base, current, child) gets dicts of the shared\n"
    "globals at the fork, here and in the child, and returns a dict of the merged values.\n"
    "share_check: warns in join(), by a RuntimeWarning for each function and variable once, when f has changed a\n"
    "global of its module that is not shared, so that the change is lost. start() copies the containers of all of\n"
    "the module's globals for that, and the child compares them: for finding mistakes, not for production.\n\n"
    "As a context manager it joins at the end of the block, or kills the child if the block raised.\n"
    "A started Thread runs to its end, also when nobody refers to it any more; the program's end waits for it.\n"
    "Only dispose(), kill() and terminate() end it earlier. What nobody joins is not merged.\n"
    "If f raised or the child died, and nobody has called get_result() before the Thread is disposed of or\n"
    "collected, or the program ends, the exception is printed by sys.unraisablehook.");

static PyType_Slot slots[] = {
    SF_TASK_OBJECT_SLOTS, {Py_tp_doc, (void *)doc}, {Py_tp_init, thread_init}, {Py_tp_methods, methods}, {0, NULL},
};

PyType_Spec sf_thread_spec = {
    .name = "snakefish.Thread",
    .basicsize = sizeof(struct sf_task_object),
    .flags = SF_TASK_OBJECT_FLAGS,
    .slots = slots,
};
