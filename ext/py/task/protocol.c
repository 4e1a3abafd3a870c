/* Around a fork. See protocol.h. Everything from the standard library is looked up once, at import;
 * pickle, which takes longest, perhaps at the first fork. */
#include "py/task/protocol.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/os/pid.h"
#include "core/os/process.h"
#include "py/base/errors.h"
#include "py/message/pickle.h"
#include "py/task/child.h"
#include "py/task/outcome.h"

static PyObject *gc_freeze; /* NULL on PyPy, which has no gc.freeze */
static PyObject *thread_count, *count_exit_functions, *add_exit_function, *clear_exit_functions, *run_exit_functions,
    *set_wakeup_fd, *set_signal, *loaded_modules, *system_names, *module_locks;
/* functions of snakefish/_child.py, and what it has in place of standard input */
static PyObject *warn_of_threads, *import_traceback, *forget_imports, *take_over_multiprocessing, *make_named_factory,
    *forget_executors, *forget_finalizers, *end_threads, *end_multiprocessing, *end_logging, *save_coverage,
    *make_empty_input;
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
    {"_signal", "signal", &set_signal},
    {"sys", "modules", &loaded_modules},
    {"sys", "__dict__", &system_names},
    {"_frozen_importlib", "_module_locks", &module_locks},
    {"snakefish._child", "warn_of_threads", &warn_of_threads},
    {"snakefish._child", "import_traceback", &import_traceback},
    {"snakefish._child", "forget_imports", &forget_imports},
    {"snakefish._child", "take_over_multiprocessing", &take_over_multiprocessing},
    {"snakefish._child", "make_named_factory", &make_named_factory},
    {"snakefish._child", "forget_executors", &forget_executors},
    {"snakefish._child", "forget_finalizers", &forget_finalizers},
    {"snakefish._child", "end_threads", &end_threads},
    {"snakefish._child", "end_multiprocessing", &end_multiprocessing},
    {"snakefish._child", "end_logging", &end_logging},
    {"snakefish._child", "save_coverage", &save_coverage},
    {"snakefish._child", "make_empty_input", &make_empty_input},
};

static PyObject *name_signal, *name_weakref, *name_executors, *name_multiprocessing, *name_logging, *name_functools,
    *name_coverage, *name_flush, *name_closed, *name_stdin, *name_stdout, *name_stderr, *name_handlers, *name_factory;
static const struct {
    const char *text;
    PyObject **to;
} names[] = {
    {"signal", &name_signal},
    {"weakref", &name_weakref},
    {"concurrent.futures", &name_executors}, /* the package: loaded with executors of either kind */
    {"multiprocessing.process", &name_multiprocessing},
    {"logging", &name_logging},
    {"functools", &name_functools},
    {"coverage", &name_coverage},
    {"flush", &name_flush},
    {"closed", &name_closed},
    {"stdin", &name_stdin},
    {"stdout", &name_stdout},
    {"stderr", &name_stderr},
    {"_handlerList", &name_handlers},
    {"_logRecordFactory", &name_factory},
};

static PyObject *minus_one, *empty_input, *own_name;

/* CPython makes a new thread-local key in each child. The dynamic linker binds the functions that this needs at their
 * first call. If the first call were in a child, each child would pay a dozen page faults for it. */
static void bind_early(void)
{
    Py_tss_t key = Py_tss_NEEDS_INIT;
    if (PyThread_tss_create(&key) == 0)
        PyThread_tss_delete(&key);
}

static PyObject *log_name; /* this process's name in log records; NULL: it is none of our children */

static PyObject *get_own_name(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    return Py_NewRef(log_name ? log_name : Py_None);
}

/* Before and after a fork, looking takes borrowed references: to count one would write into the object's page, which
 * the fork has made a copy-on-write one. */

static int is_loaded(PyObject *module_name)
{
    return PyDict_GetItemWithError(loaded_modules, module_name) != NULL;
}

int sf_protocol_init(void)
{
    static PyMethodDef own_name_function = {"own_name", get_own_name, METH_NOARGS, NULL};
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
    empty_input = PyObject_CallObject(make_empty_input, NULL);
    own_name = PyCFunction_New(&own_name_function, NULL);
    if (!minus_one || !empty_input || !own_name)
        return -1;
    /* Most of what pickle takes to import is functools. Where that is loaded already, the rest is imported now: before
     * the first fork the program may have many objects, which a garbage collection visits in the midst of an import. */
    return is_loaded(name_functools) && (sf_pickle_import() || sf_outcome_import()) ? -1 : 0;
}

/* Drops the result. argument: NULL for none. 0, or -1 with an exception. */
static int call_function(PyObject *function, PyObject *argument)
{
    PyObject *result = PyObject_CallFunctionObjArgs(function, argument, NULL);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static long call_for_count(PyObject *function)
{
    PyObject *count = PyObject_CallFunctionObjArgs(function, NULL);
    long number = count ? PyLong_AsLong(count) : -1;
    Py_XDECREF(count);
    return number;
}

/* The dict of a module; NULL if it is not loaded. Borrowed. */
static PyObject *names_if_loaded(PyObject *module_name)
{
    PyObject *module = PyDict_GetItemWithError(loaded_modules, module_name);
    return module && PyModule_Check(module) ? PyModule_GetDict(module) : NULL;
}

/* Python threads in this process besides the main one. -1 with an exception. */
static long count_python_threads(void)
{
    return call_for_count(thread_count);
}

/* Warns if there are other threads than this one. 0, or -1 with an exception. */
static int warn_of_other_threads(void)
{
    uint64_t threads = sf_process_threads();
    if (threads == 0) { /* unknown: then those of Python count */
        long others = count_python_threads();
        if (others < 0)
            return -1;
        threads = (uint64_t)others + 1;
    }
    if (threads == 1)
        return 0;
    PyObject *this_thread = PyLong_FromLong(syscall(SYS_gettid));
    int failed = this_thread ? call_function(warn_of_threads, this_thread) : -1;
    Py_XDECREF(this_thread);
    return failed;
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
static long inherited;      /* how many of its handlers this process was forked with */

static PyObject *run_guard(PyObject *guard_depth, PyObject *Py_UNUSED(unused))
{
    if (depth > PyLong_AsLong(guard_depth))
        return PyObject_CallFunctionObjArgs(clear_exit_functions, NULL);
    Py_RETURN_NONE;
}

static bool parent_uses_finalizers;

/* weakref.finalize registers one exit handler, at its first use, for all that is made later. A child inherits it, and
 * does not run it; so it has to be told (forget_finalizers). */
static void note_finalizers(void)
{
    PyObject *weakref = PyDict_GetItemWithError(loaded_modules, name_weakref); /* borrowed */
    PyObject *finalize = weakref ? PyObject_GetAttrString(weakref, "finalize") : NULL;
    PyObject *registered = finalize ? PyObject_GetAttrString(finalize, "_registered_with_atexit") : NULL;
    parent_uses_finalizers = registered && PyObject_IsTrue(registered) > 0;
    Py_XDECREF(registered);
    Py_XDECREF(finalize);
    PyErr_Clear();
}

/* In the parent: 0, or -1 with an exception. */
static int guard_exit_handlers(void)
{
    static PyMethodDef guard = {"snakefish_guard", run_guard, METH_NOARGS, NULL};
    long count = call_for_count(count_exit_functions);
    if (count < 0 || (count == guarded && guard_process == sf_pid_own()))
        return count < 0 ? -1 : 0;
    note_finalizers();
    PyObject *number = PyLong_FromLong(depth);
    /* never freed: it clears itself while it runs */
    PyObject *function = number ? PyCFunction_New(&guard, number) : NULL;
    Py_XDECREF(number);
    if (!function || call_function(add_exit_function, function))
        return -1;
    guarded = count + 1; /* _ncallbacks counts unregistered handlers too */
    guard_process = sf_pid_own();
    return 0;
}

/* In the child, at its end. */
static int run_exit_handlers(void)
{
    if (call_for_count(count_exit_functions) == inherited)
        return 0; /* none was added */
    return call_function(run_exit_functions, NULL);
}

/* ---- the standard streams ---- */

/* A stream that is None, closed, without flush, or whose reader has gone is no failure. 0, or -1 with another
 * exception: a signal handler's. */
static int flush_stream(PyObject *name)
{
    PyObject *stream = PyDict_GetItemWithError(system_names, name); /* borrowed */
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
    return flush_stream(name_stdout) || flush_stream(name_stderr) ? -1 : 0;
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

/* The empty input of a child whose own children need another one, because it has closed its own. 0, or -1 with an
 * exception. */
static int renew_empty_input(void)
{
    PyObject *closed = PyObject_GetAttr(empty_input, name_closed), *another = NULL;
    int is_closed = closed ? PyObject_IsTrue(closed) : -1;
    Py_XDECREF(closed);
    if (is_closed > 0 && (another = PyObject_CallObject(make_empty_input, NULL)) != NULL)
        Py_SETREF(empty_input, another);
    return is_closed == 0 || another ? 0 : -1;
}

/* What the parent has read ahead is the parent's, and so is what comes next: a child's sys.stdin is empty. The new one
 * is made in the first process, once, because children should touch few pages. A child may close it, and then fork. */
static int empty_stdin(void)
{
    PyObject *stream = PyDict_GetItemWithError(system_names, name_stdin); /* borrowed */
    if (!stream || stream == Py_None)
        return 0;
    if (depth > 1 && renew_empty_input())
        return -1;
    return PyDict_SetItem(system_names, name_stdin, empty_input);
}

/* ---- logging ----
 *
 * logging registers one exit handler, when it is imported, for all log handlers. Where the parent has imported it, a
 * child does not run that, and others have to do its work (end_logging). What that needs is looked up in the parent,
 * for the sake of the child's pages; and there no more is done than to look, if nothing has changed since the last
 * fork.
 */

static PyObject *log_handlers;           /* logging's list at the last fork; NULL: not loaded */
static PyObject *noted_log_handlers;     /* a copy of it then */
static PyObject *inherited_log_handlers; /* the copy that this process was forked with */

static bool has_changed(PyObject *list, PyObject *copy)
{
    Py_ssize_t count = PyList_GET_SIZE(list);
    bool differs = count != PyList_GET_SIZE(copy);
    for (Py_ssize_t i = 0; i < count && !differs; i++)
        differs = PyList_GET_ITEM(list, i) != PyList_GET_ITEM(copy, i);
    return differs;
}

static void note_log_handlers(PyObject *logging)
{
    PyObject *list = logging ? PyDict_GetItemWithError(logging, name_handlers) : NULL; /* borrowed */
    if (list && !PyList_Check(list))
        list = NULL;
    if (list && list == log_handlers && noted_log_handlers && !has_changed(list, noted_log_handlers))
        return;
    Py_XSETREF(log_handlers, list ? Py_NewRef(list) : NULL);
    Py_XSETREF(noted_log_handlers, list ? PyList_GetSlice(list, 0, PyList_GET_SIZE(list)) : NULL);
    PyErr_Clear();
}

/* What makes log records, and what makes them with the name of a child, out of that one. NULL: not known */
static PyObject *record_factory, *named_factory;

/* Where multiprocessing is loaded, log records take the name from there. 0, or -1 with an exception. */
static int note_record_factory(PyObject *logging)
{
    PyObject *factory = logging ? PyDict_GetItemWithError(logging, name_factory) : NULL; /* borrowed */
    if (!factory || factory == record_factory || log_name || is_loaded(name_multiprocessing))
        return 0;
    PyObject *named = PyObject_CallFunctionObjArgs(make_named_factory, factory, own_name, NULL);
    Py_XSETREF(named_factory, named);
    Py_XSETREF(record_factory, named ? Py_NewRef(factory) : NULL);
    return named ? 0 : -1;
}

static int note_logging(void)
{
    PyObject *logging = names_if_loaded(name_logging);
    note_log_handlers(logging);
    return note_record_factory(logging);
}

/* In the child, where multiprocessing is not loaded. 0, or -1 with an exception. */
static int name_log_records(PyObject *name)
{
    PyObject *logging = named_factory ? names_if_loaded(name_logging) : NULL;
    bool is_named = log_name != NULL; /* this child's parent is a child itself, and has done it */
    if (!logging)
        return 0;
    Py_XSETREF(log_name, Py_NewRef(name));
    return is_named ? 0 : PyDict_SetItem(logging, name_factory, named_factory);
}

static void inherit_log_handlers(void)
{
    Py_XSETREF(inherited_log_handlers, noted_log_handlers);
    noted_log_handlers = NULL;
}

static PyObject *last_of(PyObject *list)
{
    return PyList_GET_SIZE(list) ? PyList_GET_ITEM(list, PyList_GET_SIZE(list) - 1) : NULL;
}

/* In the child, at its end: flushes the handlers that it has made. They stand last in the list. */
static int finish_logging(void)
{
    if (!log_handlers || !inherited_log_handlers || last_of(log_handlers) == last_of(inherited_log_handlers))
        return 0;
    return call_function(end_logging, inherited_log_handlers);
}

/* ---- the steps ---- */

int sf_protocol_prepare(void)
{
    if (warn_of_other_threads() || sf_pickle_import() || sf_outcome_import() ||
        (sf_error_came_home && call_function(import_traceback, NULL)))
        return -1;
    sf_error_came_home = false;
    return guard_exit_handlers() || flush_streams_fully() ? -1 : note_logging();
}

/* A full garbage collection visits every object. In a child most of them are inherited: visiting them takes time and
 * copies their pages, and frees little. gc.freeze excludes them. It takes constant time: it moves a whole list. */
static int exclude_inherited_from_gc(void)
{
    return gc_freeze ? call_function(gc_freeze, NULL) : 0;
}

/* Tells Python that SIGTERM has its default action, unless a hook of this fork has given it another one meanwhile. */
static int forget_sigterm_handler(void)
{
    struct sigaction now;
    if (sigaction(SIGTERM, NULL, &now) || now.sa_flags & SA_SIGINFO || now.sa_handler != SIG_DFL)
        return 0;
    PyObject *before = PyObject_CallFunction(set_signal, "ii", SIGTERM, 0); /* 0: SIG_DFL */
    Py_XDECREF(before);
    return before ? 0 : -1;
}

int sf_protocol_begin(PyObject *name, bool had_sigterm_action)
{
    depth++;
    inherited = guarded;
    inherit_log_handlers();
    if (PyDict_Size(module_locks) > 0 && call_function(forget_imports, NULL)) /* first: others may import */
        return -1;
    if (exclude_inherited_from_gc() || empty_stdin())
        return -1;
    if (had_sigterm_action && forget_sigterm_handler())
        return -1;
    /* else a signal to this process would wake the parent's event loop */
    if (is_loaded(name_signal) && call_function(set_wakeup_fd, minus_one))
        return -1;
    if (parent_uses_finalizers && call_function(forget_finalizers, NULL))
        return -1;
    if (is_loaded(name_executors) && call_function(forget_executors, NULL))
        return -1;
    return is_loaded(name_multiprocessing) ? call_function(take_over_multiprocessing, name) : name_log_records(name);
}

static int end_own_threads(void)
{
    long threads = count_python_threads();
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
    static int (*const steps[])(void) = {end_own_threads,        run_exit_handlers, end_own_children,
                                         finish_multiprocessing, finish_logging,    finish_coverage};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (steps[i]() == 0)
            continue;
        bool interrupted = PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
        /* Ctrl-C interrupts the parent too, which prints it. PyErr_Print of a SystemExit would end the process as a
         * program ends, by the parent's exit handlers. */
        if (!interrupted && !PyErr_ExceptionMatches(PyExc_SystemExit))
            PyErr_Print();
        PyErr_Clear();
        if (interrupted)
            break;
    }
    flush_streams();
    PyErr_Clear();
}
