/* Around a fork. See protocol.h. Functions of the standard library are looked up once. */
#include "py/task/protocol.h"

#include "py/task/child.h"
#include "py/task/streams.h"

#include <stdbool.h>
#include <unistd.h>

/* Builtins of _thread, atexit, _signal, gc and sys; functions of _child.py. */
static PyObject *freeze; /* NULL on PyPy, which has none */
static PyObject *thread_count, *count_exit_functions, *add_exit_function, *clear_exit_functions, *run_exit_functions,
    *set_wakeup_fd, *modules;
static PyObject *warn_of_threads, *take_over_multiprocessing, *forget_executors, *end_threads, *end_multiprocessing,
    *save_coverage;
static const struct {
    const char *module, *name;
    PyObject **to;
} lookups[] = {
#ifndef PYPY_VERSION
    {"gc", "freeze", &freeze},
#endif
    {"_thread", "_count", &thread_count},
    {"atexit", "_ncallbacks", &count_exit_functions},
    {"atexit", "register", &add_exit_function},
    {"atexit", "_clear", &clear_exit_functions},
    {"atexit", "_run_exitfuncs", &run_exit_functions},
    {"_signal", "set_wakeup_fd", &set_wakeup_fd},
    {"sys", "modules", &modules},
    {"snakefish._child", "warn_of_threads", &warn_of_threads},
    {"snakefish._child", "take_over_multiprocessing", &take_over_multiprocessing},
    {"snakefish._child", "forget_executors", &forget_executors},
    {"snakefish._child", "end_threads", &end_threads},
    {"snakefish._child", "end_multiprocessing", &end_multiprocessing},
    {"snakefish._child", "save_coverage", &save_coverage},
};

static PyObject *word_signal, *word_threading, *word_executors, *word_multiprocessing, *word_coverage;
static const struct {
    const char *text;
    PyObject **to;
} words[] = {
    {"signal", &word_signal},
    {"threading", &word_threading},
    {"concurrent.futures", &word_executors}, /* which both kinds load */
    {"multiprocessing.process", &word_multiprocessing},
    {"coverage", &word_coverage},
};

static PyObject *minus_one;

/* CPython makes a new key in each child. The dynamic linker binds what that needs at its first call: if that were
 * in a child, then in each child anew, a dozen page faults each time. */
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
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!(*words[i].to = PyUnicode_InternFromString(words[i].text)))
            return -1;
    minus_one = PyLong_FromLong(-1);
    return minus_one ? sf_streams_init() : -1;
}

/* Calls it and drops the result. 0, or -1 with an exception. */
static int call(PyObject *function, PyObject *argument)
{
    PyObject *result = PyObject_CallFunctionObjArgs(function, argument, NULL);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int is_loaded(PyObject *module_name)
{
    return PyDict_GetItemWithError(modules, module_name) != NULL;
}

static long call_for_count(PyObject *function)
{
    PyObject *count = PyObject_CallFunctionObjArgs(function, NULL);
    long number = count ? PyLong_AsLong(count) : -1;
    Py_XDECREF(count);
    return number;
}

/* Threads of Python in this process besides the main one. -1 with an exception. */
static long other_threads(void)
{
    return call_for_count(thread_count);
}

/* ---- exit handlers ----
 *
 * A child runs its own handlers at its end and never its parent's. To clear the parent's in each child would touch,
 * and so copy, every page in which one of them stands. So the parent puts a guard on top of its handlers before it
 * forks: handlers run from the newest to the oldest, and a guard that a child comes to clears the rest, which are
 * its parent's. The parent itself, and its children by os.fork, pass over it. */

static long depth;          /* how many of our forks this process is from the first one */
static pid_t guard_process; /* which process's handlers the guard was last put on */
static long guarded;        /* how many there were then, with it */

static PyObject *pass_guard(PyObject *guard_depth, PyObject *unused)
{
    (void)unused;
    if (depth > PyLong_AsLong(guard_depth))
        return PyObject_CallFunctionObjArgs(clear_exit_functions, NULL);
    Py_RETURN_NONE;
}

/* In the parent: 0, or -1 with an exception. */
static int guard_exit_handlers(void)
{
    static PyMethodDef guard = {"snakefish_guard", pass_guard, METH_NOARGS, NULL};
    long count = call_for_count(count_exit_functions);
    if (count < 0 || (count == guarded && guard_process == getpid()))
        return count < 0 ? -1 : 0;
    PyObject *number = PyLong_FromLong(depth);
    /* never freed: it may run while it is cleared */
    PyObject *function = number ? PyCFunction_New(&guard, number) : NULL;
    Py_XDECREF(number);
    if (!function || call(add_exit_function, function))
        return -1;
    guarded = count + 1; /* which counts those that were taken away again, too */
    guard_process = getpid();
    return 0;
}

/* In the child, at its end. */
static int run_exit_handlers(void)
{
    if (call_for_count(count_exit_functions) == guarded)
        return 0; /* none was added */
    return call(run_exit_functions, NULL);
}

int sf_protocol_prepare(void)
{
    long threads = is_loaded(word_threading) ? other_threads() : 0;
    if (threads < 0 || (threads > 0 && call(warn_of_threads, NULL)))
        return -1;
    return guard_exit_handlers() ? -1 : sf_streams_flush();
}

/* The collector's full collections walk over all that there is. In a child most of that is its parent's, which lives on
 * whatever the child does: to walk over it takes time, and copies the pages in which it stands. To freeze is to hang
 * one list into another, however long they are. */
static int leave_alone_what_is_inherited(void)
{
    return freeze ? call(freeze, NULL) : 0;
}

int sf_protocol_begin(PyObject *name)
{
    depth++;
    if (leave_alone_what_is_inherited())
        return -1;
    /* the parent's event loop would be told of signals that were sent here */
    if (is_loaded(word_signal) && call(set_wakeup_fd, minus_one))
        return -1;
    if (is_loaded(word_executors) && call(forget_executors, NULL))
        return -1;
    return is_loaded(word_multiprocessing) ? call(take_over_multiprocessing, name) : 0;
}

/* The steps of the end, in their order; each is taken, whatever the others raise. */
static int wait_for_threads(void)
{
    long threads = other_threads();
    return threads > 0 ? call(end_threads, NULL) : (int)threads;
}

static int wait_for_children(void)
{
    PyObject *waited = sf_child_at_exit(NULL, NULL);
    Py_XDECREF(waited);
    return waited ? 0 : -1;
}

static int finish_multiprocessing(void)
{
    return is_loaded(word_multiprocessing) ? call(end_multiprocessing, NULL) : 0;
}

static int finish_coverage(void)
{
    return is_loaded(word_coverage) ? call(save_coverage, NULL) : 0;
}

void sf_protocol_end(void)
{
    static int (*const steps[])(void) = {wait_for_threads, run_exit_handlers, wait_for_children, finish_multiprocessing,
                                         finish_coverage};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (steps[i]() == 0)
            continue;
        bool interrupted = PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
        if (!interrupted) /* the parent has that too, and tells it */
            PyErr_Print();
        PyErr_Clear();
        if (interrupted)
            break;
    }
    sf_streams_flush();
    PyErr_Clear();
}
