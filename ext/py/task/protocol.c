/* Around a fork. See protocol.h. Everything from the standard library is looked up once, at import;
 * pickle, which takes longest, at the first fork. */
#include "py/task/protocol.h"

#include <stdbool.h>
#include <unistd.h>

#include "py/base/errors.h"
#include "py/message/pickle.h"
#include "py/task/child.h"

static PyObject *gc_freeze; /* NULL on PyPy, which has no gc.freeze */
static PyObject *thread_count, *count_exit_functions, *add_exit_function, *clear_exit_functions, *run_exit_functions,
    *set_wakeup_fd, *loaded_modules;
/* functions of snakefish/_child.py */
static PyObject *warn_of_threads, *import_traceback, *take_over_multiprocessing, *forget_executors, *end_threads,
    *end_multiprocessing, *save_coverage;
static const struct {
    const char *module, *name;
    PyObject **to;
} lookups[] = {
#ifndef PYPY_VERSION
    {"gc", "freeze", &gc_freeze},
#endif
    {"_thread", "_count", &thread_count},
    {"atexit", "_ncallbacks", &count_exit_functions},
    {"atexit", "register", &add_exit_function},
    {"atexit", "_clear", &clear_exit_functions},
    {"atexit", "_run_exitfuncs", &run_exit_functions},
    {"_signal", "set_wakeup_fd", &set_wakeup_fd},
    {"sys", "modules", &loaded_modules},
    {"snakefish._child", "warn_of_threads", &warn_of_threads},
    {"snakefish._child", "import_traceback", &import_traceback},
    {"snakefish._child", "take_over_multiprocessing", &take_over_multiprocessing},
    {"snakefish._child", "forget_executors", &forget_executors},
    {"snakefish._child", "end_threads", &end_threads},
    {"snakefish._child", "end_multiprocessing", &end_multiprocessing},
    {"snakefish._child", "save_coverage", &save_coverage},
};

static PyObject *name_signal, *name_threading, *name_executors, *name_multiprocessing, *name_coverage, *name_flush;
static const struct {
    const char *text;
    PyObject **to;
} names[] = {
    {"signal", &name_signal},
    {"threading", &name_threading},
    {"concurrent.futures", &name_executors}, /* the package: loaded with executors of either kind */
    {"multiprocessing.process", &name_multiprocessing},
    {"coverage", &name_coverage},
    {"flush", &name_flush},
};

static PyObject *minus_one;

/* CPython makes a new thread-local key in each child. The dynamic linker binds the functions that this needs at their
 * first call. If the first call were in a child, each child would pay a dozen page faults for it. */
static void bind_early(void)
{
    Py_tss_t key = Py_tss_NEEDS_INIT;
    if (PyThread_tss_create(&key) == 0)
        PyThread_tss_delete(&key);
}

int sf_protocol_init(void)
{
    bind_early();
    for (size_t i = 0; i < sizeof lookups / sizeof *lookups; i++) {
        PyObject *module = PyImport_ImportModule(lookups[i].module);
        *lookups[i].to = module ? PyObject_GetAttrString(module, lookups[i].name) : NULL;
        Py_XDECREF(module);
        if (!*lookups[i].to)
            return -1;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!(*names[i].to = PyUnicode_InternFromString(names[i].text)))
            return -1;
    minus_one = PyLong_FromLong(-1);
    return minus_one ? 0 : -1;
}

/* Drops the result. argument: NULL for none. 0, or -1 with an exception. */
static int call_function(PyObject *function, PyObject *argument)
{
    PyObject *result = PyObject_CallFunctionObjArgs(function, argument, NULL);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int is_loaded(PyObject *module_name)
{
    return PyDict_GetItemWithError(loaded_modules, module_name) != NULL;
}

static long call_for_count(PyObject *function)
{
    PyObject *count = PyObject_CallFunctionObjArgs(function, NULL);
    long number = count ? PyLong_AsLong(count) : -1;
    Py_XDECREF(count);
    return number;
}

/* Python threads in this process besides the main one. -1 with an exception. */
static long count_other_threads(void)
{
    return call_for_count(thread_count);
}

/* ---- exit handlers ----
 *
 * A child runs its own handlers at its end and never its parent's. Clearing the parent's in each child would touch,
 * and so copy, every page that holds one of them. Instead the parent registers a guard before it forks. Handlers run
 * from the newest to the oldest, so a child runs its own handlers first and then the guard, which clears the rest:
 * the parent's. In the parent itself, and in its children by os.fork, the guard does nothing. */

static long depth;          /* how many of our forks lie between this process and the first one */
static pid_t guard_process; /* the process that last registered a guard */
static long guarded;        /* how many handlers it had then, the guard among them */

static PyObject *run_guard(PyObject *guard_depth, PyObject *Py_UNUSED(unused))
{
    if (depth > PyLong_AsLong(guard_depth))
        return PyObject_CallFunctionObjArgs(clear_exit_functions, NULL);
    Py_RETURN_NONE;
}

/* In the parent: 0, or -1 with an exception. */
static int guard_exit_handlers(void)
{
    static PyMethodDef guard = {"snakefish_guard", run_guard, METH_NOARGS, NULL};
    long count = call_for_count(count_exit_functions);
    if (count < 0 || (count == guarded && guard_process == getpid()))
        return count < 0 ? -1 : 0;
    PyObject *number = PyLong_FromLong(depth);
    /* never freed: it clears itself while it runs */
    PyObject *function = number ? PyCFunction_New(&guard, number) : NULL;
    Py_XDECREF(number);
    if (!function || call_function(add_exit_function, function))
        return -1;
    guarded = count + 1; /* _ncallbacks counts unregistered handlers too */
    guard_process = getpid();
    return 0;
}

/* In the child, at its end. */
static int run_exit_handlers(void)
{
    if (call_for_count(count_exit_functions) == guarded)
        return 0; /* none was added */
    return call_function(run_exit_functions, NULL);
}

/* ---- the standard streams ---- */

/* A stream that is None, closed, without flush, or whose reader has gone is no failure. 0, or -1 with another
 * exception: a signal handler's. */
static int flush_stream(const char *name)
{
    PyObject *stream = PySys_GetObject(name); /* borrowed */
    if (!stream || stream == Py_None)
        return 0;
    Py_INCREF(stream);
    PyObject *flushed = PyObject_CallMethodObjArgs(stream, name_flush, NULL);
    Py_DECREF(stream);
    if (!flushed && !PyErr_ExceptionMatches(PyExc_AttributeError) && !PyErr_ExceptionMatches(PyExc_ValueError) &&
        !PyErr_ExceptionMatches(PyExc_OSError))
        return -1;
    PyErr_Clear();
    Py_XDECREF(flushed);
    return 0;
}

static int flush_streams(void)
{
    return flush_stream("stdout") || flush_stream("stderr") ? -1 : 0;
}

/* A flush that writes lets other threads and signal handlers run, which may print more. A flush that has nothing to
 * write does not, so a second one leaves nothing that parent and child could both print. */
static int flush_streams_fully(void)
{
    for (int i = 0; i < 2; i++)
        if (flush_streams())
            return -1;
    return 0;
}

/* ---- the steps ---- */

int sf_protocol_prepare(void)
{
    long threads = is_loaded(name_threading) ? count_other_threads() : 0;
    if (threads < 0 || (threads > 0 && call_function(warn_of_threads, NULL)))
        return -1;
    if (sf_pickle_import() || (sf_error_came_home && call_function(import_traceback, NULL)))
        return -1;
    sf_error_came_home = false;
    return guard_exit_handlers() ? -1 : flush_streams_fully();
}

/* A full garbage collection visits every object. In a child most of them are inherited: visiting them takes time and
 * copies their pages, and frees little. gc.freeze excludes them. It takes constant time: it moves a whole list. */
static int exclude_inherited_from_gc(void)
{
    return gc_freeze ? call_function(gc_freeze, NULL) : 0;
}

int sf_protocol_begin(PyObject *name)
{
    depth++;
    if (exclude_inherited_from_gc())
        return -1;
    /* else a signal to this process would wake the parent's event loop */
    if (is_loaded(name_signal) && call_function(set_wakeup_fd, minus_one))
        return -1;
    if (is_loaded(name_executors) && call_function(forget_executors, NULL))
        return -1;
    return is_loaded(name_multiprocessing) ? call_function(take_over_multiprocessing, name) : 0;
}

static int end_own_threads(void)
{
    long threads = count_other_threads();
    return threads > 0 ? call_function(end_threads, NULL) : (int)threads;
}

static int end_own_children(void)
{
    PyObject *waited = sf_child_at_exit(NULL, NULL);
    Py_XDECREF(waited);
    return waited ? 0 : -1;
}

static int finish_multiprocessing(void)
{
    return is_loaded(name_multiprocessing) ? call_function(end_multiprocessing, NULL) : 0;
}

static int finish_coverage(void)
{
    return is_loaded(name_coverage) ? call_function(save_coverage, NULL) : 0;
}

void sf_protocol_end(void)
{
    /* in this order; one that raises does not skip the others */
    static int (*const steps[])(void) = {end_own_threads, run_exit_handlers, end_own_children, finish_multiprocessing,
                                         finish_coverage};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (steps[i]() == 0)
            continue;
        bool interrupted = PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
        if (!interrupted) /* Ctrl-C interrupts the parent too, which prints it */
            PyErr_Print();
        PyErr_Clear();
        if (interrupted)
            break;
    }
    flush_streams();
    PyErr_Clear();
}
