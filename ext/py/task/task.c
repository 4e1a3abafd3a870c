/* Tasks in the parent. See task_struct.h for their life and its invariants; the child's half is task_child.c. */
#include "py/task/task.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "core/log/log.h"
#include "py/base/arguments.h"
#include "py/base/errors.h"
#include "py/base/wait.h"
#include "py/task/fork.h"
#include "py/task/function.h"
#include "py/task/task_child.h"

static PyObject *default_name(struct sf_task *task)
{
    static unsigned long started[5]; /* by kind; guarded by the interpreter lock */
    unsigned long number = ++started[task->kind];
    PyObject *function = sf_function_name(task->f);
    PyObject *name = function ? PyUnicode_FromFormat("%s-%lu (%U)", task->word, number, function) : NULL;
    Py_XDECREF(function);
    return name;
}

int sf_task_init(struct sf_task *task, enum sf_task_kind kind, PyObject *f, PyObject *args, PyObject *kwargs,
                 PyObject *extract, PyObject *merge, PyObject *name)
{
    static const char *const words[] = {
        [SF_TASK_THREAD] = "Thread", [SF_TASK_GENERATOR] = "Generator", [SF_TASK_MAP_WORKER] = "map worker"};
    extract = extract ? extract : Py_None;
    merge = merge ? merge : Py_None;
    if (!sf_argument_is_callable(f, "f", false) || !sf_argument_is_callable(extract, "extract", true) ||
        !sf_argument_is_callable(merge, "merge", true))
        return -1;
    if ((extract == Py_None) != (merge == Py_None)) {
        PyErr_SetString(PyExc_ValueError, "extract and merge go together: give both or neither");
        return -1;
    }
    if (name && name != Py_None && !PyUnicode_Check(name)) {
        PyErr_Format(PyExc_TypeError, "name must be a str or None, not %.200s", Py_TYPE(name)->tp_name);
        return -1;
    }
    if (kwargs && kwargs != Py_None && !PyDict_Check(kwargs)) {
        PyErr_Format(PyExc_TypeError, "kwargs must be a dict, not %.200s", Py_TYPE(kwargs)->tp_name);
        return -1;
    }
    if (name && name != Py_None && !PyUnicode_AsUTF8(name)) {
        PyErr_SetString(PyExc_ValueError, "name must be text that can be written as UTF-8");
        return -1;
    }
    PyObject *list = args && args != Py_None ? sf_argument_list(args, "args") : PyList_New(0);
    task->args = list ? PyList_AsTuple(list) : NULL;
    Py_XDECREF(list);
    if (!task->args)
        return -1;
    task->word = words[kind];
    task->kind = kind;
    task->child.pidfd = SF_OWN_FD_NONE;
    task->f = Py_NewRef(f);
    task->extract = Py_NewRef(extract);
    task->merge = Py_NewRef(merge);
    task->child.task = sf_log_next_task();
    if (kwargs && kwargs != Py_None && !(task->kwargs = PyDict_Copy(kwargs)))
        return -1;
    if (extract != Py_None && !(task->globals = sf_function_globals(f)))
        return -1;
    task->name = name && name != Py_None ? Py_NewRef(name) : default_name(task);
    return task->name ? 0 : -1;
}

int sf_task_start(struct sf_task *task)
{
    assert(task->child.state == SF_CHILD_NEW && !task->memory.page && !task->joined);
    int error = sf_result_memory_map(&task->memory);
    if (error) {
        sf_error(error, "cannot map memory for the result");
        return -1;
    }
    if (sf_log_enabled()) {
        Py_ssize_t bytes;
        const char *name = PyUnicode_AsUTF8AndSize(task->name, &bytes);
        uint32_t text = name ? sf_log_text(name, (uint64_t)bytes) : 0;
        PyErr_Clear();
        sf_log_write(SF_EVENT_TASK, SF_PHASE_INSTANT, task->child.task, text, task->kind);
    }
    task->starting = true;
    int failed = sf_fork_child(&task->child, task->name, sf_task_child, task);
    task->starting = false;
    if (!failed)
        return 0;
    sf_result_memory_unmap(&task->memory);
    return -1;
}

/* Takes what the child left. Each part gets its tag when it is whole. 0, or -1 with an exception; then it can be called
 * again, if that was MemoryError. */
static int take_result(struct sf_task *task, struct sf_result_memory *memory)
{
    struct sf_result_part parts[SF_RESULT_MEMORY_PARTS];
    if (sf_result_memory_parts(memory, parts))
        return 0; /* the child died before it had written its result */
    if (parts[SF_TASK_RESULT].tag && sf_packed_take(&task->packed, memory, &parts[SF_TASK_RESULT]))
        return -1;
    task->tag = (enum sf_tag)parts[SF_TASK_RESULT].tag;
    if (parts[SF_TASK_EXTRACTED].tag && sf_packed_take(&task->extracted, memory, &parts[SF_TASK_EXTRACTED]))
        return -1;
    task->extracted_tag = (enum sf_tag)parts[SF_TASK_EXTRACTED].tag;
    return 0;
}

int sf_task_collect(struct sf_task *task, bool block, int64_t deadline_ns)
{
    int got = sf_child_wait(&task->child, block, deadline_ns);
    if (got || !task->memory.page)
        return got;
    assert(task->child.state == SF_CHILD_REAPED);
    struct sf_result_memory memory = task->memory;
    task->memory = (struct sf_result_memory){0}; /* another Python thread may dispose of the task meanwhile */
    bool failed = take_result(task, &memory);
    if (failed && PyErr_ExceptionMatches(PyExc_MemoryError) && !task->disposed)
        task->memory = memory; /* the rest can be taken when there is memory */
    else
        sf_result_memory_unmap(&memory);
    return failed ? SF_RAISED : 0;
}

static struct sf_outcome_origin origin_of(const struct sf_task *task, const char *what)
{
    return (struct sf_outcome_origin){task->child.pid, task->child.exit_status, task->name, what};
}

int sf_task_open_extracted(struct sf_task *task)
{
    if (!task->extracted.total)
        return 0;
    bool interrupted;
    struct sf_outcome_origin origin = origin_of(task, "what it extracted");
    PyObject *opened = sf_incoming_open(&task->extracted);
    task->to_merge = sf_outcome_open(task->extracted_tag, opened, &origin, &interrupted);
    Py_XDECREF(opened);
    if (!interrupted) /* else the next join opens it */
        sf_incoming_clear(&task->extracted);
    return task->to_merge ? 0 : -1;
}

int sf_task_merge(struct sf_task *task)
{
    PyObject *extracted = task->to_merge;
    if (!extracted)
        return 0;
    task->to_merge = NULL;
    sf_log_write(SF_EVENT_MERGE, SF_PHASE_BEGIN, task->child.task, 0, 0);
    PyObject *merged = PyObject_CallFunctionObjArgs(task->merge, task->globals, extracted, NULL);
    sf_log_write(SF_EVENT_MERGE, SF_PHASE_END, task->child.task, 0, 0);
    Py_DECREF(extracted);
    Py_XDECREF(merged);
    return merged ? 0 : -1;
}

static int try_joined(void *what)
{
    struct sf_task *task = what;
    return task->joined ? 0 : -EAGAIN;
}

static int sleep_a_little(void *what, int64_t timeout_ns)
{
    (void)what;
    usleep(timeout_ns < 1000000 ? (useconds_t)(timeout_ns / 1000) : 1000);
    return 0;
}

/* sf_task_join without its span. 0, or as sf_task_collect. */
static int collect_and_merge(struct sf_task *task, bool block, int64_t deadline_ns)
{
    if (task->joining && block && task->joiner == (unsigned long)PyThread_get_thread_ident()) {
        PyErr_Format(PyExc_RuntimeError,
                     "%U is being joined by this Python thread already: neither merge nor a signal handler may join it "
                     "meanwhile",
                     task->name);
        return SF_RAISED;
    }
    if (task->joining) { /* another Python thread is in here, and will finish it */
        struct sf_waiting waiting = {try_joined, sleep_a_little, task, SF_WAIT_CHILD, task->child.task};
        return sf_wait(&waiting, block, deadline_ns);
    }
    task->joining = true;
    task->joiner = (unsigned long)PyThread_get_thread_ident(); /* PyPy's is signed */
    int got = sf_task_collect(task, block, deadline_ns);
    if (got == 0) {
        if (sf_task_open_extracted(task) || sf_task_merge(task))
            got = SF_RAISED;
        task->joined = !task->extracted.total; /* also when merge raised: the child is reaped and its result is here */
    } else if (task->child.state == SF_CHILD_REAPED && !task->memory.page) {
        task->joined = true; /* its result could not be read */
    }
    task->joining = false;
    return got;
}

int sf_task_join(struct sf_task *task, bool block, int64_t deadline_ns)
{
    if (task->joined)
        return 1;
    if (!block && !task->joining && sf_child_wait(&task->child, false, 0) == -EAGAIN)
        return 0; /* a try_join that finds the child running writes no JOIN span */
    uint32_t number = task->child.task;
    sf_log_write(SF_EVENT_JOIN, SF_PHASE_BEGIN, number, 0, 0);
    int got = collect_and_merge(task, block, deadline_ns);
    sf_log_write(SF_EVENT_JOIN, SF_PHASE_END, number, task->joined ? (uint64_t)(int64_t)task->child.exit_status : 0, 0);
    if (got == 0)
        return 1;
    if (got == -EAGAIN)
        return 0;
    if (got == -ETIMEDOUT)
        PyErr_Format(PyExc_TimeoutError, "%U is still running", task->name);
    else if (got != SF_RAISED)
        sf_error(got, "cannot wait for the child");
    return -1;
}

PyObject *sf_task_result(struct sf_task *task)
{
    assert(task->child.state == SF_CHILD_REAPED && !(task->value && task->exception));
    if (task->value)
        return Py_NewRef(task->value);
    if (!task->exception && task->opening)
        return PyErr_Format(PyExc_RuntimeError,
                            "%U is in get_result() already, in another Python thread or in the unpickling of its own "
                            "result: that call must finish first",
                            task->name);
    if (!task->exception) {
        bool interrupted;
        struct sf_outcome_origin origin = origin_of(task, "its result");
        task->opening = true;
        PyObject *opened = task->tag == SF_TAG_NONE ? NULL : sf_incoming_open(&task->packed);
        PyObject *value = sf_outcome_open(task->tag, opened, &origin, &interrupted);
        task->opening = false;
        Py_XDECREF(opened);
        if (interrupted || (!value && task->tag == SF_TAG_RETURNED))
            return NULL; /* it stays packed: it can be asked for again */
        sf_incoming_clear(&task->packed);
        task->value = value;
        if (value)
            return Py_NewRef(value);
        task->exception = sf_take_raised();
    }
    sf_put_raised(Py_NewRef(task->exception));
    return NULL;
}

bool sf_task_is_usable(struct sf_task *task)
{
    if (!task->name) {
        PyErr_SetString(PyExc_RuntimeError, "__init__ was not called, or failed");
        return false;
    }
    if (task->disposed) {
        PyErr_Format(PyExc_RuntimeError, "%U is disposed: make a new %s", task->name, task->word);
        return false;
    }
    return sf_child_is_ours(&task->child);
}

bool sf_task_may_start(struct sf_task *task)
{
    if (!sf_task_is_usable(task))
        return false;
    if (task->child.state == SF_CHILD_NEW)
        return sf_task_may_dispose(task);
    PyErr_Format(PyExc_RuntimeError, "%U is started already: a %s runs once, make a new one", task->name, task->word);
    return false;
}

bool sf_task_may_dispose(struct sf_task *task)
{
    if (task->child.state != SF_CHILD_NEW || !task->starting)
        return true;
    PyErr_Format(PyExc_RuntimeError, "%U is in start() already: that call must finish first", task->name);
    return false;
}

bool sf_task_is_started(struct sf_task *task)
{
    if (!sf_task_is_usable(task))
        return false;
    if (task->child.state == SF_CHILD_NEW) {
        PyErr_Format(PyExc_RuntimeError, "%U is not started: call start() first", task->name);
        return false;
    }
    return true;
}

bool sf_task_is_joined(struct sf_task *task)
{
    if (task->joined)
        return true;
    if (sf_task_is_started(task))
        PyErr_Format(PyExc_RuntimeError, "%U is not joined: call join() first", task->name);
    return false;
}

static int warn_of_kill(const struct sf_task *task, PyObject *self)
{
    if (self)
        return PyErr_ResourceWarning(self, 1, "%R was still running: its process was killed", self);
    return PyErr_WarnFormat(PyExc_ResourceWarning, 1, "%U was still running: its process was killed", task->name);
}

void sf_task_dispose(struct sf_task *task, PyObject *self, bool warn)
{
    if (!task->name) /* never initialised */
        return;
    if (sf_child_is_self(&task->child)) /* this process needs it until its end */
        return;
    PyObject *raised = sf_take_raised();
    if (task->child.state == SF_CHILD_RUNNING && task->child.owner != getpid()) {
        sf_child_forget(&task->child);
    } else if (task->child.state == SF_CHILD_RUNNING) {
        /* no warning for a child that has ended by itself and was only not joined */
        bool killed = sf_child_wait(&task->child, false, 0) == -EAGAIN;
        sf_child_kill(&task->child);
        if (warn && killed && warn_of_kill(task, self))
            PyErr_WriteUnraisable(self);
    }
    sf_result_memory_unmap(&task->memory);
    task->disposed = true;
    if (raised)
        sf_put_raised(raised);
}

int sf_task_traverse(struct sf_task *task, visitproc visit, void *arg)
{
    Py_VISIT(task->f);
    Py_VISIT(task->args);
    Py_VISIT(task->kwargs);
    Py_VISIT(task->extract);
    Py_VISIT(task->merge);
    Py_VISIT(task->globals);
    Py_VISIT(task->value);
    Py_VISIT(task->exception);
    Py_VISIT(task->to_merge);
    return 0;
}

void sf_task_clear(struct sf_task *task)
{
    Py_CLEAR(task->f);
    Py_CLEAR(task->args);
    Py_CLEAR(task->kwargs);
    Py_CLEAR(task->extract);
    Py_CLEAR(task->merge);
    Py_CLEAR(task->globals);
    sf_incoming_clear(&task->packed);
    sf_incoming_clear(&task->extracted);
    Py_CLEAR(task->value);
    Py_CLEAR(task->exception);
    Py_CLEAR(task->to_merge);
}

void sf_task_fini(struct sf_task *task)
{
    sf_task_dispose(task, NULL, false);
    sf_task_clear(task);
    Py_CLEAR(task->name);
}
