/* Tasks in their child process: from the call of f to the exit status. See task_struct.h.
 *
 * f may call os.fork, and both processes may come back out of f. Only the child itself goes on to extract and to
 * write into result_file; the other process ends as a program does. */
#include "py/task/task_child.h"

#include <string.h>

#include "core/log/log.h"
#include "core/result/result_file.h"
#include "py/base/caller.h"
#include "py/task/task_struct.h"

/* Calls f: sets one of value and raised; neither in a process that f made by os.fork, which may end without either. */
static void call_f(struct sf_task *task, PyObject **value, PyObject **raised)
{
    uint32_t number = task->child.task;
    sf_log_write(SF_EVENT_RUN, SF_PHASE_BEGIN, number, 0, 0);
    *value = PyErr_Occurred() ? NULL : task->run(task); /* else setting up the child raised */
    *raised = *value ? NULL : sf_take_raised();
    enum sf_outcome outcome = *value                                                              ? SF_OUTCOME_RETURNED
                              : *raised && PyErr_GivenExceptionMatches(*raised, PyExc_SystemExit) ? SF_OUTCOME_EXITED
                                                                                                  : SF_OUTCOME_RAISED;
    if (sf_child_is_self(&task->child))
        sf_log_write(SF_EVENT_RUN, SF_PHASE_END, number, outcome, 0);
}

/* Calls extract, if there is one: exactly one of extracted and failed is set then. */
static void call_extract(struct sf_task *task, PyObject **extracted, PyObject **failed)
{
    uint32_t number = task->child.task;
    *extracted = *failed = NULL;
    if (task->extract == Py_None)
        return;
    sf_log_write(SF_EVENT_EXTRACT, SF_PHASE_BEGIN, number, 0, 0);
    *extracted = PyObject_CallOneArg(task->extract, task->globals);
    if (!*extracted)
        sf_caller_note_key_error("extract", task->globals);
    *failed = *extracted ? NULL : sf_take_raised();
    sf_log_write(SF_EVENT_EXTRACT, SF_PHASE_END, number, 0, 0);
}

static void pack_part(PyObject *value, PyObject *raised, const char *what, struct sf_outcome_bytes *out,
                      struct sf_result_file_part *part)
{
    if (!value && raised)
        sf_put_raised(Py_NewRef(raised));
    sf_outcome_pack(value, what, out);
    part->tag = out->tag;
    part->data = out->bytes ? PyBytes_AS_STRING(out->bytes) : NULL;
    part->bytes = out->bytes ? (uint64_t)PyBytes_GET_SIZE(out->bytes) : 0;
}

/* 0 or -errno. What does not fit is replaced by a sentence that says so. */
static int write_result_file(const struct sf_own_fd *result_file,
                             struct sf_result_file_part parts[SF_RESULT_FILE_PARTS])
{
    int error = sf_result_file_write(result_file, parts);
    if (!error)
        return 0;
    char sentence[160];
    struct sf_outcome_bytes broken;
    snprintf(sentence, sizeof sentence, "no room for its result of %llu bytes: %s",
             (unsigned long long)(parts[SF_TASK_RESULT].bytes + parts[SF_TASK_EXTRACTED].bytes), strerror(-error));
    sf_outcome_pack_broken(sentence, &broken);
    if (!broken.bytes)
        return error;
    struct sf_result_file_part part = {broken.tag, (uint64_t)PyBytes_GET_SIZE(broken.bytes),
                                       PyBytes_AS_STRING(broken.bytes)};
    parts[SF_TASK_RESULT] = part;
    if (parts[SF_TASK_EXTRACTED].tag)
        parts[SF_TASK_EXTRACTED] = part;
    error = sf_result_file_write(result_file, parts);
    Py_DECREF(broken.bytes);
    return error;
}

/* A process that f made by os.fork, and that came back out of f. It ends as a program does: prints what was raised. Its
 * exit status. */
static int end_forked_by_f(PyObject *raised)
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

int sf_task_child(void *context)
{
    struct sf_task *task = context;
    PyObject *value, *raised, *extracted, *failed;
    struct sf_outcome_bytes result, extraction = {.tag = SF_TAG_NONE};
    struct sf_result_file_part parts[SF_RESULT_FILE_PARTS] = {{0, 0, NULL}, {0, 0, NULL}};
    call_f(task, &value, &raised);
    if (!sf_child_is_self(&task->child))
        return end_forked_by_f(raised);
    call_extract(task, &extracted, &failed);
    sf_log_write(SF_EVENT_RESULT, SF_PHASE_BEGIN, task->child.task, 0, 0);
    pack_part(value, raised, "its result", &result, &parts[SF_TASK_RESULT]);
    if (extracted || failed)
        pack_part(extracted, failed, "what it extracted", &extraction, &parts[SF_TASK_EXTRACTED]);
    int error = write_result_file(&task->result_file, parts);
    sf_log_write(SF_EVENT_RESULT, SF_PHASE_END, task->child.task,
                 parts[SF_TASK_RESULT].bytes + parts[SF_TASK_EXTRACTED].bytes, (uint64_t)-error);
    int status = result.tag == SF_TAG_EXITED ? result.exit_status : error ? 1 : 0;
    Py_XDECREF(result.bytes);
    Py_XDECREF(extraction.bytes);
    Py_XDECREF(raised);
    Py_XDECREF(failed);
    /* value and extracted are not freed before _exit: freeing would take time, and copy pages */
    return status;
}
