/* Around a fork. See protocol.h. Functions of the standard library are looked up once. */
#include "py/protocol.h"

#include "py/child.h"

#include <stdbool.h>

static PyObject *thread_count, *clear_exit_functions, *run_exit_functions; /* builtins of _thread and atexit */
static PyObject *warn_of_threads, *take_over_multiprocessing, *forget_executors, *end_threads,
    *end_multiprocessing, *save_coverage; /* of _child.py */
static PyObject *set_wakeup_fd, *minus_one; /* of _signal */
static PyObject *flush, *modules, *multiprocessing, *threading, *executors, *coverage;

static int look_up(const char *module_name, const char *name, PyObject **out)
{
    PyObject *module = PyImport_ImportModule(module_name);
    *out = module ? PyObject_GetAttrString(module, name) : NULL;
    Py_XDECREF(module);
    return *out ? 0 : -1;
}

int sf_protocol_init(void)
{
    if (look_up("_thread", "_count", &thread_count) || look_up("atexit", "_clear", &clear_exit_functions) ||
        look_up("atexit", "_run_exitfuncs", &run_exit_functions) || look_up("_signal", "set_wakeup_fd", &set_wakeup_fd) || look_up("sys", "modules", &modules) ||
        look_up("snakefish._child", "warn_of_threads", &warn_of_threads) ||
        look_up("snakefish._child", "take_over_multiprocessing", &take_over_multiprocessing) ||
        look_up("snakefish._child", "forget_executors", &forget_executors) ||
        look_up("snakefish._child", "end_threads", &end_threads) ||
        look_up("snakefish._child", "end_multiprocessing", &end_multiprocessing) ||
        look_up("snakefish._child", "save_coverage", &save_coverage))
        return -1;
    flush = PyUnicode_InternFromString("flush");
    multiprocessing = PyUnicode_InternFromString("multiprocessing.process");
    threading = PyUnicode_InternFromString("threading");
    executors = PyUnicode_InternFromString("concurrent.futures"); /* which both kinds load */
    coverage = PyUnicode_InternFromString("coverage");
    minus_one = PyLong_FromLong(-1);
    return flush && multiprocessing && threading && executors && coverage && minus_one ? 0 : -1;
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

/* Threads of Python in this process besides the main one. -1 with an exception. */
static long other_threads(void)
{
    PyObject *count = PyObject_CallFunctionObjArgs(thread_count, NULL);
    long threads = count ? PyLong_AsLong(count) : -1;
    Py_XDECREF(count);
    return threads;
}

/* A stream that is None, closed, or whose reader has gone, is no reason to fail; a signal handler's exception is. */
static int flush_stream(const char *name)
{
    PyObject *stream = PySys_GetObject(name); /* borrowed */
    if (!stream || stream == Py_None)
        return 0;
    Py_INCREF(stream);
    PyObject *done = PyObject_CallMethodObjArgs(stream, flush, NULL);
    Py_DECREF(stream);
    if (!done && !PyErr_ExceptionMatches(PyExc_AttributeError) && !PyErr_ExceptionMatches(PyExc_ValueError) &&
        !PyErr_ExceptionMatches(PyExc_OSError))
        return -1;
    PyErr_Clear();
    Py_XDECREF(done);
    return 0;
}

static int flush_streams(void)
{
    return flush_stream("stdout") || flush_stream("stderr") ? -1 : 0;
}

int sf_protocol_prepare(void)
{
    long threads = is_loaded(threading) ? other_threads() : 0;
    if (threads < 0 || (threads > 0 && call(warn_of_threads, NULL)))
        return -1;
    return flush_streams();
}

int sf_protocol_begin(PyObject *name)
{
    /* the parent's event loop would be told of signals that were sent here */
    if (call(clear_exit_functions, NULL) || call(set_wakeup_fd, minus_one))
        return -1;
    if (is_loaded(executors) && call(forget_executors, NULL))
        return -1;
    return is_loaded(multiprocessing) ? call(take_over_multiprocessing, name) : 0;
}

/* The steps of the end, in their order; each is taken, whatever the others raise. */
static int wait_for_threads(void)
{
    long threads = other_threads();
    return threads > 0 ? call(end_threads, NULL) : (int)threads;
}

static int run_exit_handlers(void)
{
    return call(run_exit_functions, NULL);
}

static int wait_for_children(void)
{
    PyObject *waited = sf_child_at_exit(NULL, NULL);
    Py_XDECREF(waited);
    return waited ? 0 : -1;
}

static int finish_multiprocessing(void)
{
    return is_loaded(multiprocessing) ? call(end_multiprocessing, NULL) : 0;
}

static int finish_coverage(void)
{
    return is_loaded(coverage) ? call(save_coverage, NULL) : 0;
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
    flush_streams();
    PyErr_Clear();
}
