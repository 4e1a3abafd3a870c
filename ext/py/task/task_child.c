/* Tasks in their child process: from the call of f to the exit status. See task_struct.h.
 *
 * Code of the program may call os.fork, and come back in both processes: f, extract, what pickling calls, a destructor,
 * a hook of the very fork that made the child. Only the child itself goes on to call f, to extract and to write into
 * the result memory; the other process ends as a program does. */
#include "py/task/task_child.h"

#include <errno.h>
#include <string.h>

#include "core/log/log.h"
#include "core/result/result_memory.h"
#include "py/task/task_struct.h"

/* Calls f: sets one of value and raised; neither in another process than the child, which may end without either. */
static void call_f(struct sf_task *task, PyObject **value, PyObject **raised)
{
    uint32_t number = task->child.task;
    sf_log_write(SF_EVENT_RUN, SF_PHASE_BEGIN, number, 0, 0);
    bool can_run =
        !PyErr_Occurred() && sf_child_is_self(&task->child); /* else setting up the child raised, or forked */
    *value = can_run ? task->run(task) : NULL;
    *raised = *value ? NULL : sf_take_raised();
    enum sf_outcome outcome = *value                                                              ? SF_OUTCOME_RETURNED
                              : *raised && PyErr_GivenExceptionMatches(*raised, PyExc_SystemExit) ? SF_OUTCOME_EXITED
                                                                                                  : SF_OUTCOME_RAISED;
    if (sf_child_is_self(&task->child))
        sf_log_write(SF_EVENT_RUN, SF_PHASE_END, number, outcome, 0);
}

/* Extracts, if something is to come back: exactly one of extracted and failed is set then. */
static void call_extract(struct sf_task *task, PyObject **extracted, PyObject **failed)
{
    *extracted = *failed = NULL;
    if (!task->extraction || task->extraction->by_run)
        return;
    *extracted = sf_extraction_extract(task->extraction, task->child.task);
    *failed = *extracted ? NULL : sf_take_raised();
}

/* An outcome on its way into the result memory. */
struct outgoing {
    enum sf_tag tag;
    int exit_status;
    struct sf_message message;
};

static struct sf_result_part part_of(const struct outgoing *outgoing)
{
    return (struct sf_result_part){.tag = outgoing->tag,
                                   .bytes = outgoing->message.bytes,
                                   .pieces = outgoing->message.parts,
                                   .count = outgoing->message.count};
}

static void pack(PyObject *value, PyObject *raised, const char *what, struct outgoing *out)
{
    if (!value && raised)
        sf_put_raised(Py_NewRef(raised));
    out->tag = sf_outcome_pack_message(value, what, &out->message, &out->exit_status);
}

/* What takes the place of outcomes of so many bytes that found no room. */
static void pack_no_room(const struct sf_result_memory *memory, uint64_t bytes, int error, struct outgoing *out)
{
    char sentence[240];
    if (error == -EFBIG)
        snprintf(sentence, sizeof sentence,
                 "no room for its result of %llu bytes: the limit of file sizes (RLIMIT_FSIZE, ulimit -f), which holds "
                 "for the memory of results too, allowed %llu bytes when it was started",
                 (unsigned long long)bytes, (unsigned long long)memory->room);
    else
        snprintf(sentence, sizeof sentence, "no room for its result of %llu bytes: %s", (unsigned long long)bytes,
                 strerror(-error));
    out->tag = sf_outcome_pack_broken(sentence, &out->message);
}

/* 0 or -errno. What does not fit is replaced by a sentence that says so. */
static int write_result(struct sf_result_memory *memory, const struct outgoing *result,
                        const struct outgoing *extracted)
{
    struct sf_result_part parts[SF_RESULT_MEMORY_PARTS] = {part_of(result), part_of(extracted)};
    int error = sf_result_memory_write(memory, parts);
    if (!error)
        return 0;
    struct outgoing broken;
    pack_no_room(memory, parts[SF_TASK_RESULT].bytes + parts[SF_TASK_EXTRACTED].bytes, error, &broken);
    parts[SF_TASK_RESULT] = part_of(&broken);
    if (extracted->tag)
        parts[SF_TASK_EXTRACTED] = part_of(&broken);
    error = sf_result_memory_write(memory, parts);
    sf_message_fini(&broken.message);
    return error;
}

/* Another process than the child, which came back out of code of the program. It ends as a program does: prints what
 * was raised there. Its exit status. */
static int end_forked(PyObject *raised)
{
    struct outgoing outgoing;
    if (!raised)
        return 0;
    sf_put_raised(Py_NewRef(raised));
    if (!PyErr_ExceptionMatches(PyExc_SystemExit)) {
        PyErr_Print();
        return 1;
    }
    pack(NULL, raised, "", &outgoing);
    sf_message_fini(&outgoing.message);
    return outgoing.exit_status;
}

int sf_task_child(void *context)
{
    struct sf_task *task = context;
    PyObject *value, *raised, *extracted, *failed;
    struct outgoing result, extraction;
    call_f(task, &value, &raised);
    if (!sf_child_is_self(&task->child))
        return end_forked(raised);
    call_extract(task, &extracted, &failed);
    if (!sf_child_is_self(&task->child))
        return end_forked(failed);
    sf_log_write(SF_EVENT_RESULT, SF_PHASE_BEGIN, task->child.task, 0, 0);
    pack(value, raised, "its result", &result);
    if (extracted || failed)
        pack(extracted, failed, "what it extracted", &extraction);
    else
        memset(&extraction, 0, sizeof extraction);
    if (!sf_child_is_self(&task->child))
        return end_forked(NULL);
    int error = write_result(&task->memory, &result, &extraction);
    sf_log_write(SF_EVENT_RESULT, SF_PHASE_END, task->child.task, result.message.bytes + extraction.message.bytes,
                 (uint64_t)-error);
    int status = result.tag == SF_TAG_EXITED ? result.exit_status : error ? 1 : 0;
    Py_XDECREF(raised);
    Py_XDECREF(failed);
    /* values and messages are not freed before _exit: freeing would take time, and copy pages */
    return status;
}
