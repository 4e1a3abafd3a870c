/* Tasks. See task.h.
 *
 * The life of one: new -> started (the child runs) -> reaped -> joined (its result_file read, merged) -> disposed;
 * dispose may come at any time. The child's half is `body`; everything else runs in the parent, under the interpreter
 * lock. `joining` keeps a second Python thread out while the first reads the result_file and merges. */
#include "py/task/task.h"

#include "core/log/log.h"
#include "core/result/result_file.h"
#include "py/base/arguments.h"
#include "py/base/errors.h"
#include "py/base/wait.h"
#include "py/task/fork.h"
#include "py/task/function.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { RESULT, EXTRACTED }; /* the result_file's parts */

#define LARGE_BYTES (64 << 10)

static PyObject *default_name(struct sf_task *task)
{
    static unsigned long started[5]; /* by kind; guarded by the interpreter lock */
    unsigned long number = ++started[task->kind];
    PyObject *function = PyObject_GetAttrString(task->f, "__name__");
    if (!function || !PyUnicode_Check(function)) {
        PyErr_Clear();
        Py_XSETREF(function, PyUnicode_FromString(Py_TYPE(task->f)->tp_name));
    }
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
    task->child.pidfd = task->result_file = -1;
    task->f = Py_NewRef(f);
    task->kwargs = kwargs && kwargs != Py_None ? PyDict_Copy(kwargs) : NULL;
    task->extract = Py_NewRef(extract);
    task->merge = Py_NewRef(merge);
    if (extract != Py_None)
        task->globals = sf_function_globals(f);
    task->name = name && name != Py_None ? Py_NewRef(name) : default_name(task);
    task->child.task = sf_log_next_task();
    return PyErr_Occurred() ? -1 : 0;
}

/* ---- in the child ---- */

/* Calls f: on return exactly one of value and raised is set. */
static void run(struct sf_task *task, PyObject **value, PyObject **raised)
{
    uint32_t number = task->child.task;
    sf_log_write(SF_EVENT_RUN, SF_PHASE_BEGIN, number, 0, 0);
    *value = PyErr_Occurred() ? NULL : task->run(task); /* an exception is there when the child could not be set up */
    *raised = *value ? NULL : sf_take_raised();
    enum sf_outcome outcome = *value                                                              ? SF_OUTCOME_RETURNED
                              : *raised && PyErr_GivenExceptionMatches(*raised, PyExc_SystemExit) ? SF_OUTCOME_EXITED
                                                                                                  : SF_OUTCOME_RAISED;
    if (sf_child_is_self(&task->child))
        sf_log_write(SF_EVENT_RUN, SF_PHASE_END, number, outcome, 0);
}

/* Likewise for extract, if there is one. */
static void extract(struct sf_task *task, PyObject **extracted, PyObject **failed)
{
    uint32_t number = task->child.task;
    *extracted = *failed = NULL;
    if (task->extract == Py_None)
        return;
    sf_log_write(SF_EVENT_EXTRACT, SF_PHASE_BEGIN, number, 0, 0);
    *extracted = PyObject_CallOneArg(task->extract, task->globals);
    *failed = *extracted ? NULL : sf_take_raised();
    sf_log_write(SF_EVENT_EXTRACT, SF_PHASE_END, number, 0, 0);
}

static void pack_part(PyObject *value, PyObject *raised, const char *what, struct sf_outcome_bytes *out,
                      struct sf_result_file_part *part)
{
    if (!value)
        sf_put_raised(Py_NewRef(raised));
    sf_outcome_pack(value, what, out);
    part->tag = out->tag;
    part->data = out->bytes ? PyBytes_AS_STRING(out->bytes) : NULL;
    part->bytes = out->bytes ? (uint64_t)PyBytes_GET_SIZE(out->bytes) : 0;
}

/* 0 or -errno; what does not fit is replaced by a sentence that says so. */
static int post(int result_file, struct sf_result_file_part parts[SF_RESULT_FILE_PARTS])
{
    int error = sf_result_file_write(result_file, parts);
    if (!error)
        return 0;
    char sentence[160];
    struct sf_outcome_bytes broken;
    snprintf(sentence, sizeof sentence, "its result of %llu bytes found no room: %s",
             (unsigned long long)(parts[RESULT].bytes + parts[EXTRACTED].bytes), strerror(-error));
    sf_outcome_pack_broken(sentence, &broken);
    if (!broken.bytes)
        return error;
    struct sf_result_file_part part = {broken.tag, (uint64_t)PyBytes_GET_SIZE(broken.bytes),
                                       PyBytes_AS_STRING(broken.bytes)};
    parts[RESULT] = part;
    if (parts[EXTRACTED].tag)
        parts[EXTRACTED] = part;
    error = sf_result_file_write(result_file, parts);
    Py_DECREF(broken.bytes);
    return error;
}

/* A process that f made by os.fork, and that came back out of f: the result_file is not its own. It ends as a program
 * does; its exit status. */
static int end_stray(PyObject *raised)
{
    struct sf_outcome_bytes outcome;
    if (!raised)
        return 0;
    sf_put_raised(Py_NewRef(raised));
    if (!PyErr_ExceptionMatches(PyExc_SystemExit)) {
        PyErr_Print();
        return 1;
    }
    sf_outcome_pack(NULL, "", &outcome);
    Py_XDECREF(outcome.bytes);
    return outcome.exit_status;
}

static int body(void *context)
{
    struct sf_task *task = context;
    PyObject *value, *raised, *extracted, *failed;
    struct sf_outcome_bytes result, extraction = {.tag = SF_TAG_NONE};
    struct sf_result_file_part parts[SF_RESULT_FILE_PARTS] = {{0, 0, NULL}, {0, 0, NULL}};
    run(task, &value, &raised);
    if (!sf_child_is_self(&task->child))
        return end_stray(raised);
    extract(task, &extracted, &failed);
    sf_log_write(SF_EVENT_RESULT, SF_PHASE_BEGIN, task->child.task, 0, 0);
    pack_part(value, raised, "its result", &result, &parts[RESULT]);
    if (extracted || failed)
        pack_part(extracted, failed, "what it extracted", &extraction, &parts[EXTRACTED]);
    int error = post(task->result_file, parts);
    sf_log_write(SF_EVENT_RESULT, SF_PHASE_END, task->child.task, parts[RESULT].bytes + parts[EXTRACTED].bytes,
                 (uint64_t)-error);
    int status = result.tag == SF_TAG_EXITED ? result.exit_status : error ? 1 : 0;
    Py_XDECREF(result.bytes);
    Py_XDECREF(extraction.bytes);
    Py_XDECREF(raised);
    Py_XDECREF(failed);
    /* value and extracted live on until _exit: freeing them would only cost time, and copy pages */
    return status;
}

/* ---- in the parent ---- */

int sf_task_start(struct sf_task *task)
{
    task->result_file = sf_result_file_open();
    if (task->result_file < 0) {
        sf_error(task->result_file, "cannot make a memfd for the result");
        return -1;
    }
    if (sf_log_enabled()) {
        Py_ssize_t bytes;
        const char *name = PyUnicode_AsUTF8AndSize(task->name, &bytes);
        uint32_t text = name ? sf_log_text(name, (uint64_t)bytes) : 0;
        PyErr_Clear();
        sf_log_write(SF_EVENT_TASK, SF_PHASE_INSTANT, task->child.task, text, task->kind);
    }
    if (sf_fork_child(&task->child, task->name, body, task) == 0)
        return 0;
    close(task->result_file);
    task->result_file = -1;
    return -1;
}

/* Reads a part of the result_file as bytes. NULL with an exception. */
static PyObject *read_part(int result_file, const struct sf_result_file_part *parts, int which)
{
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)parts[which].bytes);
    if (!bytes)
        return NULL;
    char *to = PyBytes_AS_STRING(bytes);
    int error;
    uint64_t from = sf_log_stretch_begin();
    Py_BEGIN_ALLOW_THREADS;
    error = sf_result_file_read(result_file, parts, which, to);
    Py_END_ALLOW_THREADS;
    sf_log_stretch(SF_EVENT_COPIED, from, parts[which].bytes);
    if (error) {
        Py_DECREF(bytes);
        return sf_error(error, "cannot read the child's result");
    }
    return bytes;
}

static int read_result_file(struct sf_task *task, int result_file)
{
    struct sf_result_file_part parts[SF_RESULT_FILE_PARTS];
    int error = sf_result_file_read_parts(result_file, parts);
    if (error == -ENODATA)
        return 0; /* it died before it had said anything */
    if (error) {
        sf_error(error, "cannot read the child's result");
        return -1;
    }
    task->bytes = read_part(result_file, parts, RESULT);
    if (!task->bytes)
        return -1;
    task->tag = (enum sf_tag)parts[RESULT].tag;
    if (parts[EXTRACTED].tag) {
        task->extracted = read_part(result_file, parts, EXTRACTED);
        task->extracted_tag = (enum sf_tag)parts[EXTRACTED].tag;
        if (!task->extracted)
            return -1;
    }
    return 0;
}

int sf_task_collect(struct sf_task *task, bool block, int64_t deadline_ns)
{
    int got = sf_child_wait(&task->child, block, deadline_ns);
    if (got || task->result_file < 0)
        return got;
    int result_file = task->result_file;
    task->result_file = -1;
    int failed = read_result_file(task, result_file);
    /* a child that was forked meanwhile holds the memfd too: its pages are to go now, not when that one dies */
    if (task->bytes && PyBytes_GET_SIZE(task->bytes) >= LARGE_BYTES && ftruncate(result_file, 0)) {
        /* then they go with that child */
    }
    close(result_file);
    return failed ? SF_RAISED : 0;
}

static struct sf_outcome_origin origin_of(const struct sf_task *task, const char *what)
{
    return (struct sf_outcome_origin){task->child.pid, task->child.exit_status, task->name, what};
}

int sf_task_open_extracted(struct sf_task *task)
{
    if (!task->extracted)
        return 0;
    PyObject *bytes = task->extracted;
    task->extracted = NULL;
    struct sf_outcome_origin origin = origin_of(task, "what it extracted");
    task->to_merge = sf_outcome_open(task->extracted_tag, bytes, &origin);
    Py_DECREF(bytes);
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

static int is_joined(void *what)
{
    struct sf_task *task = what;
    return task->joined ? 0 : -EAGAIN;
}

static int nap(void *what, int64_t timeout_ns)
{
    (void)what;
    usleep(timeout_ns < 1000000 ? (useconds_t)(timeout_ns / 1000) : 1000);
    return 0;
}

/* The waiting of sf_task_join. 0, or as sf_task_collect. */
static int join(struct sf_task *task, bool block, int64_t deadline_ns)
{
    if (task->joining) { /* by another Python thread, which will finish it */
        struct sf_waiting waiting = {is_joined, nap, task, SF_WAIT_CHILD, task->child.task};
        return sf_wait(&waiting, block, deadline_ns);
    }
    task->joining = true;
    int got = sf_task_collect(task, block, deadline_ns);
    if (got == 0) {
        if (sf_task_open_extracted(task) || sf_task_merge(task))
            got = SF_RAISED;
        task->joined = true; /* also when merge raised: the child is gone and its result is here */
    } else if (task->child.state == SF_CHILD_REAPED) {
        task->joined = true;
    }
    task->joining = false;
    return got;
}

int sf_task_join(struct sf_task *task, bool block, int64_t deadline_ns)
{
    if (task->joined)
        return 1;
    if (!block && !task->joining && sf_child_wait(&task->child, false, 0) == -EAGAIN)
        return 0; /* no JOIN span for a look */
    uint32_t number = task->child.task;
    sf_log_write(SF_EVENT_JOIN, SF_PHASE_BEGIN, number, 0, 0);
    int got = join(task, block, deadline_ns);
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
    if (task->value)
        return Py_NewRef(task->value);
    if (!task->exception) {
        PyObject *bytes = task->bytes;
        task->bytes = NULL;
        struct sf_outcome_origin origin = origin_of(task, "its result");
        task->value = sf_outcome_open(task->tag, bytes, &origin);
        Py_XDECREF(bytes);
        if (task->value)
            return Py_NewRef(task->value);
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

static int warn_of_end(const struct sf_task *task, PyObject *self)
{
    if (self)
        return PyErr_ResourceWarning(self, 1, "%R was still running: its process was killed", self);
    return PyErr_WarnFormat(PyExc_ResourceWarning, 1, "%U was still running: its process was killed", task->name);
}

void sf_task_dispose(struct sf_task *task, PyObject *self, bool warn)
{
    if (!task->name || sf_child_is_self(&task->child)) /* never initialised; or needed until this process ends */
        return;
    PyObject *raised = sf_take_raised();
    if (task->child.state == SF_CHILD_RUNNING && task->child.owner != getpid()) {
        sf_child_forget(&task->child);
    } else if (task->child.state == SF_CHILD_RUNNING) {
        /* one that has ended by itself only lacked a join: nothing was cut off, but its result is lost */
        bool cut_off = sf_child_wait(&task->child, false, 0) == -EAGAIN;
        sf_child_end(&task->child);
        if (warn && cut_off && warn_of_end(task, self))
            PyErr_WriteUnraisable(self);
    }
    if (task->result_file >= 0)
        close(task->result_file);
    task->result_file = -1;
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
    Py_CLEAR(task->bytes);
    Py_CLEAR(task->extracted);
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
