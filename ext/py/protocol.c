/* Around a fork. See protocol.h. Functions of the standard library are looked up once. */
#include "py/protocol.h"

#include "py/child.h"

#include <stdbool.h>

/* Builtins of _thread, atexit, _signal and sys; functions of _child.py. */
static PyObject *thread_count, *clear_exit_functions, *run_exit_functions, *set_wakeup_fd, *modules;
static PyObject *warn_of_threads, *take_over_multiprocessing, *forget_executors, *end_threads, *end_multiprocessing,
    *save_coverage;
static const struct {
    const char *module, *name;
    PyObject **to;
} lookups[] = {
    {"_thread", "_count", &thread_count},
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

static PyObject *word_flush, *word_stdout, *word_stderr, *word_signal, *word_threading, *word_executors,
    *word_multiprocessing, *word_coverage;
static const struct {
    const char *text;
    PyObject **to;
} words[] = {
    {"flush", &word_flush},
    {"stdout", &word_stdout},
    {"stderr", &word_stderr},
    {"signal", &word_signal},
    {"threading", &word_threading},
    {"concurrent.futures", &word_executors}, /* which both kinds load */
    {"multiprocessing.process", &word_multiprocessing},
    {"coverage", &word_coverage},
};

static PyObject *sys_names, *minus_one; /* sys.__dict__, borrowed for ever */

int sf_protocol_init(void)
{
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
    PyObject *sys = PyImport_ImportModule("sys");
    sys_names = sys ? PyModule_GetDict(sys) : NULL;
    Py_XDECREF(sys); /* sys.modules holds it */
    minus_one = PyLong_FromLong(-1);
    return sys_names && minus_one ? 0 : -1;
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
static int flush_stream(PyObject *name)
{
    PyObject *stream = PyDict_GetItemWithError(sys_names, name); /* borrowed */
    if (!stream || stream == Py_None)
        return 0;
    Py_INCREF(stream);
    PyObject *done = PyObject_CallMethodObjArgs(stream, word_flush, NULL);
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
    return flush_stream(word_stdout) || flush_stream(word_stderr) ? -1 : 0;
}

int sf_protocol_prepare(void)
{
    long threads = is_loaded(word_threading) ? other_threads() : 0;
    if (threads < 0 || (threads > 0 && call(warn_of_threads, NULL)))
        return -1;
    return flush_streams();
}

int sf_protocol_begin(PyObject *name)
{
    /* the parent's event loop would be told of signals that were sent here */
    if (call(clear_exit_functions, NULL) || (is_loaded(word_signal) && call(set_wakeup_fd, minus_one)))
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
    flush_streams();
    PyErr_Clear();
}
