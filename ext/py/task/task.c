/* Tasks in the parent. See task_struct.h for their life and its invariants; the child's half is task_child.c. */
#include "py/task/task.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "core/log/log.h"
#include "core/os/pid.h"
#include "core/result/result_spare.h"
#include "py/base/arguments.h"
#include "py/base/errors.h"
#include "py/base/interruption.h"
#include "py/base/wait.h"
#include "py/task/fork.h"
#include "py/task/function.h"
#include "py/task/task_child.h"
#include "py/task/task_state.h"

static PyObject *default_name(const char *word, enum sf_task_kind kind, PyObject *f)
{
    static unsigned long made[5]; /* by kind; guarded by the interpreter lock */
    unsigned long number = ++made[kind];
    PyObject *function = sf_function_name(f);
    PyObject *name = function ? PyUnicode_FromFormat("%s-%lu (%U)", word, number, function) : NULL;
    Py_XDECREF(function);
    return name;
}

static bool is_given(PyObject *argument)
{
    return argument && argument != Py_None;
}

/* 0, or -1 with an exception that names the argument. */
static int check_call(const struct sf_task_call *call)
{
    if (!sf_argument_is_callable(call->f, "f", false))
        return -1;
    if (is_given(call->name) && !PyUnicode_Check(call->name)) {
        PyErr_Format(PyExc_TypeError, "name must be a str or None, not %.200s", Py_TYPE(call->name)->tp_name);
        return -1;
    }
    if (is_given(call->kwargs) && !PyDict_Check(call->kwargs)) {
        PyErr_Format(PyExc_TypeError, "kwargs must be a dict, not %.200s", Py_TYPE(call->kwargs)->tp_name);
        return -1;
    }
    if (is_given(call->name) && !PyUnicode_AsUTF8(call->name)) {
        PyErr_SetString(PyExc_ValueError, "name must be text that can be written as UTF-8");
        return -1;
    }
    return 0;
}

/* A tuple: a new reference, or NULL with an exception. */
static PyObject *args_of(const struct sf_task_call *call)
{
    if (!is_given(call->args))
        return PyTuple_New(0);
    if (PyTuple_CheckExact(call->args))
        return Py_NewRef(call->args);
    PyObject *list = sf_argument_list(call->args, "args"), *args = list ? PyList_AsTuple(list) : NULL;
    Py_XDECREF(list);
    return args;
}

int sf_task_init(struct sf_task *task, PyObject *self, enum sf_task_kind kind, const struct sf_task_call *call)
{
    if (check_call(call))
        return -1;
    /* All that may run code of the program comes first: an iterator in args might initialise this very task. */
    PyObject *args = args_of(call), *kwargs = NULL, *name = NULL;
    struct sf_extraction *extraction = NULL;
    bool failed =
        !args || (is_given(call->kwargs) && !(kwargs = PyDict_Copy(call->kwargs))) ||
        sf_extraction_new(&extraction, call->f, self, &call->extraction) ||
        !(name = is_given(call->name) ? Py_NewRef(call->name) : default_name(sf_task_word(kind), kind, call->f));
    if (!failed && task->name) {
        PyErr_Format(PyExc_RuntimeError, "%U was initialised meanwhile: a %s is initialised once", task->name,
                     sf_task_word(task->kind));
        failed = true;
    }
    if (failed) {
        Py_XDECREF(args);
        Py_XDECREF(kwargs);
        sf_extraction_free(extraction);
        Py_XDECREF(name);
        return -1;
    }
    task->kind = kind;
    task->child.pidfd = SF_OWN_FD_NONE;
    task->child.task = sf_log_next_task();
    task->f = Py_NewRef(call->f);
    task->args = args;
    task->kwargs = kwargs;
    task->extraction = extraction;
    task->name = name;
    return 0;
}

static int before_fork(void *context)
{
    struct sf_extraction *extraction = ((struct sf_task *)context)->extraction;
    return extraction ? sf_extraction_fork(extraction) : 0;
}

int sf_task_start(struct sf_task *task)
{
    assert(task->child.state == SF_CHILD_NEW && !task->memory.page && !task->joined);
    int error = sf_result_spare_take(&task->memory);
    if (error) {
        sf_error(error, "cannot map memory for the result");
        return -1;
    }
    if (sf_task_occupy(task, SF_TASK_STARTING)) {
        sf_result_spare_give(&task->memory);
        return -1;
    }
    if (sf_log_enabled()) {
        Py_ssize_t bytes;
        const char *name = PyUnicode_AsUTF8AndSize(task->name, &bytes);
        uint32_t text = name ? sf_log_text(name, (uint64_t)bytes) : 0;
        PyErr_Clear();
        sf_log_write(SF_EVENT_TASK, SF_PHASE_INSTANT, task->child.task, text, task->kind);
    }
    int failed = sf_fork_child(&task->child, task->name, before_fork, sf_task_child, task);
    task->busy = SF_TASK_IDLE;
    if (!failed)
        return 0;
    sf_result_spare_give(&task->memory); /* there is no child */
    return -1;
}

/* Takes what the child left. Each part gets its tag when it is whole, and is not looked for any more. 0, or -1 with an
 * exception; then it can be called again. */
static int take_result(struct sf_task *task, struct sf_result_memory *memory)
{
    struct sf_result_part parts[SF_RESULT_MEMORY_PARTS];
    if (sf_result_memory_parts(memory, parts))
        return 0; /* the child died before it had written its result */
    if (!task->tag && parts[SF_TASK_RESULT].tag && sf_packed_take(&task->packed, memory, &parts[SF_TASK_RESULT]))
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
    if (failed && sf_interruption_is_raised() && !task->disposed)
        task->memory = memory; /* the rest can be taken by another call */
    else
        sf_result_spare_give(&memory);
    return failed ? SF_RAISED : 0;
}

static struct sf_outcome_origin origin_of(const struct sf_task *task, const char *what)
{
    return (struct sf_outcome_origin){task->child.pid, task->child.exit_status, task->name, what};
}

/* Whether f's outcome is the same as extract's (opened), word for word: the child found no room for both. */
static bool is_told_by(struct sf_task *task, PyObject *opened)
{
    if (!opened || task->tag != SF_TAG_BROKEN || task->extracted_tag != SF_TAG_BROKEN ||
        !sf_packed_is_there(&task->packed))
        return false;
    PyObject *result = sf_packed_open(&task->packed); /* bytes: no code of the program runs */
    bool same = result && PyObject_RichCompareBool(result, opened, Py_EQ) > 0;
    PyErr_Clear();
    Py_XDECREF(result);
    return same;
}

int sf_task_open_extracted(struct sf_task *task)
{
    if (!sf_packed_is_there(&task->extracted))
        return 0;
    bool interrupted;
    struct sf_outcome_origin origin = origin_of(task, "what it extracted");
    PyObject *opened = sf_packed_open(&task->extracted);
    bool tells_all = is_told_by(task, opened);
    task->to_merge = sf_outcome_open(task->extracted_tag, opened, &origin, &interrupted);
    Py_XDECREF(opened);
    if (!interrupted) { /* else the next join opens it */
        task->asked = task->asked || tells_all;
        sf_packed_clear(&task->extracted);
    }
    return task->to_merge ? 0 : -1;
}

int sf_task_merge(struct sf_task *task)
{
    PyObject *extracted = task->to_merge;
    if (!extracted)
        return 0;
    task->to_merge = NULL;
    if (sf_extraction_begin(task->extraction) == 0 &&
        sf_extraction_merge(task->extraction, task->child.task, task->name, extracted) == 0) {
        Py_DECREF(extracted);
        return 0;
    }
    /* A merge by share can be made again, for nothing of it is left; what a merge by hand has done nobody knows. */
    if (sf_extraction_revert(task->extraction) && sf_interruption_is_raised() && !task->disposed)
        task->to_merge = extracted;
    else
        Py_DECREF(extracted);
    return -1;
}

int sf_task_fetch(struct sf_task *task)
{
    if (sf_task_occupy(task, SF_TASK_COLLECTING))
        return SF_RAISED;
    int got = sf_task_collect(task, false, SF_FOREVER);
    task->busy = SF_TASK_IDLE;
    return got;
}

static int try_idle(void *what)
{
    const struct sf_task *task = what;
    return sf_task_is_busy(task) ? -EAGAIN : 0;
}

static int sleep_a_little(void *what, int64_t timeout_ns)
{
    (void)what;
    usleep(timeout_ns < 1000000 ? (useconds_t)(timeout_ns / 1000) : 1000);
    return 0;
}

/* Waits until the task is joined, or not busy. 0, or as sf_wait. */
static int await_turn(struct sf_task *task, bool block, int64_t deadline_ns)
{
    if (sf_task_is_busy_here(task) && block) {
        sf_task_refuse_busy(task); /* it would wait for itself */
        return SF_RAISED;
    }
    struct sf_waiting waiting = {try_idle, sleep_a_little, task, SF_WAIT_CHILD, task->child.task};
    return sf_wait(&waiting, block, deadline_ns);
}

/* Drops what is needed no more once it is joined or disposed. May run code of the program. Leaves the exception state
 * alone. */
static void drop_call(struct sf_task *task)
{
    PyObject *raised = sf_take_raised();
    Py_CLEAR(task->f);
    Py_CLEAR(task->args);
    Py_CLEAR(task->kwargs);
    struct sf_extraction *extraction = task->extraction;
    task->extraction = NULL;
    sf_extraction_free(extraction);
    if (raised)
        sf_put_raised(raised);
}

/* Once the child is reaped: collects and merges what it left. 0, or SF_RAISED. */
static int take_over(struct sf_task *task)
{
    if (sf_task_occupy(task, SF_TASK_COLLECTING))
        return SF_RAISED;
    int got = sf_task_collect(task, false, SF_FOREVER);
    if (got == 0) {
        bool opened = sf_task_open_extracted(task) == 0;
        task->busy = SF_TASK_MERGING;
        if (!opened || sf_task_merge(task))
            got = SF_RAISED;
        /* also when merge raised: the child is reaped and its result is here */
        task->joined = !sf_packed_is_there(&task->extracted) && !task->to_merge;
    } else if (!task->memory.page) {
        task->joined = true; /* its result could not be read */
    }
    task->busy = SF_TASK_IDLE;
    if (task->joined || task->disposed)
        drop_call(task);
    return got;
}

/* sf_task_join without its span. 0, or as sf_wait. */
static int wait_and_take_over(struct sf_task *task, bool block, int64_t deadline_ns)
{
    int got = sf_child_wait(&task->child, block, deadline_ns);
    while (got == 0 && !task->joined && sf_task_is_busy(task))
        got = await_turn(task, block, deadline_ns);
    return got || task->joined ? got : take_over(task);
}

int sf_task_join(struct sf_task *task, bool block, int64_t deadline_ns)
{
    if (task->joined)
        return 1;
    if (!block && sf_child_wait(&task->child, false, 0) == -EAGAIN)
        return 0; /* a try_join that finds the child running writes no JOIN span */
    uint32_t number = task->child.task;
    sf_log_write(SF_EVENT_JOIN, SF_PHASE_BEGIN, number, 0, 0);
    int got = wait_and_take_over(task, block, deadline_ns);
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

/* The current exception is what f raised. */
static void note_raised(struct sf_task *task)
{
    PyObject *exception = sf_take_raised(), *name = PyUnicode_FromString(Py_TYPE(exception)->tp_name);
    PyErr_Clear();
    Py_XSETREF(task->raised, name ? name : Py_NewRef(Py_None));
    sf_put_raised(exception);
}

PyObject *sf_task_result(struct sf_task *task)
{
    assert(task->child.state == SF_CHILD_REAPED && !(task->value && task->raised));
    if (task->value)
        return Py_NewRef(task->value);
    if (sf_task_occupy(task, SF_TASK_OPENING))
        return NULL;
    bool interrupted;
    struct sf_outcome_origin origin = origin_of(task, "its result");
    PyObject *opened = task->tag == SF_TAG_NONE ? NULL : sf_packed_open(&task->packed);
    PyObject *value = sf_outcome_open(task->tag, opened, &origin, &interrupted);
    task->busy = SF_TASK_IDLE;
    Py_XDECREF(opened);
    if (!value && !interrupted && task->tag != SF_TAG_RETURNED)
        note_raised(task);
    if (!value)
        return NULL; /* what was interrupted, and exceptions, stay packed: they can be asked for again */
    sf_packed_clear(&task->packed);
    task->value = value;
    return Py_NewRef(value);
}

/* A child of this process that still runs, as far as is known. */
static bool has_child(const struct sf_task *task)
{
    return task->name && task->child.state == SF_CHILD_RUNNING && task->child.owner == sf_pid_own();
}

int sf_task_end(struct sf_task *task)
{
    if (!has_child(task) || sf_child_wait(&task->child, false, 0) != -EAGAIN)
        return 0;
    int error = sf_child_signal(&task->child, SIGKILL);
    if (error && error != -ESRCH) {
        PyErr_Format(PyExc_RuntimeError, "cannot end the process of %U (pid %d), which goes on: %s", task->name,
                     (int)task->child.pid, strerror(-error));
        return -1;
    }
    task->killed = true;
    int got = sf_child_wait(&task->child, true, SF_FOREVER);
    if (got == 0)
        return 1;
    if (got != SF_RAISED)
        sf_error(got, "cannot wait for the child");
    return -1;
}

int sf_task_end_deaf(struct sf_task *task)
{
    if (!has_child(task) || sf_child_wait(&task->child, false, 0) != -EAGAIN)
        return 0;
    int error = sf_child_kill(&task->child);
    task->killed = !error;
    return error ? error : 1;
}

void sf_task_close(struct sf_task *task)
{
    if (task->name)
        sf_result_memory_unmap(&task->memory);
    task->disposed = true;
    if (task->busy == SF_TASK_IDLE || task->busy == SF_TASK_OPENING) /* else the call that is under way needs it */
        drop_call(task);
}

void sf_task_dispose(struct sf_task *task)
{
    if (!task->name || sf_child_is_self(&task->child)) /* this process needs it until its end */
        return;
    sf_task_end_deaf(task);
    if (task->child.state == SF_CHILD_RUNNING)
        sf_child_forget(&task->child);
    sf_task_close(task);
}

int sf_task_traverse(struct sf_task *task, visitproc visit, void *arg)
{
    Py_VISIT(task->f);
    Py_VISIT(task->args);
    Py_VISIT(task->kwargs);
    Py_VISIT(task->value);
    Py_VISIT(task->to_merge);
    return task->extraction ? sf_extraction_traverse(task->extraction, visit, arg) : 0;
}

void sf_task_clear(struct sf_task *task)
{
    drop_call(task);
    sf_packed_clear(&task->packed);
    sf_packed_clear(&task->extracted);
    Py_CLEAR(task->value);
    Py_CLEAR(task->raised);
    Py_CLEAR(task->to_merge);
}

void sf_task_fini(struct sf_task *task)
{
    sf_task_dispose(task);
    sf_task_clear(task);
    Py_CLEAR(task->name);
}
