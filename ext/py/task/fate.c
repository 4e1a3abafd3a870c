/* What came of a task. See fate.h. */
#include "py/task/fate.h"

#include <signal.h>

#include "core/os/pid.h"
#include "core/os/process.h"
#include "py/task/task.h"
#include "py/task/task_state.h"

static PyObject *words_for_status(int32_t exit_status)
{
    if (exit_status == SF_PROCESS_STATUS_UNKNOWN)
        return PyUnicode_FromString("exit status unknown");
    return exit_status < 0 ? PyUnicode_FromFormat("killed by signal %d", (int)-exit_status)
                           : PyUnicode_FromFormat("exit status %d", (int)exit_status);
}

static PyObject *words_for_exception(struct sf_task *task)
{
    PyObject *opened = NULL;
    if (!task->raised && sf_packed_is_there(&task->packed))
        opened = sf_packed_open(&task->packed); /* bytes: no code of the program runs */
    PyObject *name = task->raised                           ? Py_NewRef(task->raised)
                     : opened && PyBytes_CheckExact(opened) ? sf_outcome_exception_name(opened)
                                                            : NULL;
    Py_XDECREF(opened);
    PyObject *words = name ? PyUnicode_FromFormat("raised %U", name) : NULL;
    if (!words) {
        PyErr_Clear();
        words = PyUnicode_FromString("raised");
    }
    Py_XDECREF(name);
    return words;
}

/* Of a child that is reaped. */
static PyObject *words_for_end(struct sf_task *task)
{
    switch (task->tag) {
    case SF_TAG_RAISED:
        return words_for_exception(task);
    case SF_TAG_RETURNED:
        return PyUnicode_FromString("returned");
    case SF_TAG_BROKEN:
        return PyUnicode_FromString("its result is lost");
    default:
        return words_for_status(task->child.exit_status);
    }
}

PyObject *sf_fate_words(struct sf_task *task)
{
    if (task->child.state == SF_CHILD_NEW)
        return PyUnicode_FromString(task->disposed ? "disposed" : "not started");
    if (task->child.state == SF_CHILD_RUNNING)
        return PyUnicode_FromString("started");
    PyObject *end = words_for_end(task);
    PyObject *words = end ? PyUnicode_FromFormat("%s, %U",
                                                 task->joined     ? "joined"
                                                 : task->disposed ? "disposed"
                                                                  : "ended",
                                                 end)
                          : NULL;
    Py_XDECREF(end);
    return words;
}

static bool has_failed(const struct sf_task *task)
{
    int32_t status = task->child.exit_status;
    switch (task->tag) {
    case SF_TAG_RETURNED:
        return false;
    case SF_TAG_RAISED:
        return true;
    case SF_TAG_BROKEN:
        return !task->killed;
    default:
        return !task->killed && status != 0 && status != -SIGINT;
    }
}

/* Prints the exception that is set. */
static void print_raised(const struct sf_task *task, PyObject *self)
{
    PyObject *exception = sf_take_raised();
    if (exception && !PyErr_GivenExceptionMatches(exception, PyExc_KeyboardInterrupt)) {
        PyObject *module = PyImport_ImportModule("snakefish._kept");
        PyObject *told = module ? PyObject_CallMethod(module, "tell", "OO", self ? self : task->name, exception) : NULL;
        if (!told)
            PyErr_WriteUnraisable(self);
        Py_XDECREF(told);
        Py_XDECREF(module);
    }
    Py_XDECREF(exception);
}

static void report_result(struct sf_task *task, PyObject *self)
{
    if (task->asked || !has_failed(task))
        return;
    PyObject *value = sf_task_result(task);
    task->asked = true;
    Py_XDECREF(value);
    if (!value)
        print_raised(task, self);
}

static void report_extracted(struct sf_task *task, PyObject *self)
{
    bool failed = task->extracted_tag != SF_TAG_NONE && task->extracted_tag != SF_TAG_RETURNED;
    if (task->joined || task->killed || !failed || !sf_packed_is_there(&task->extracted))
        return;
    sf_task_open_extracted(task); /* raises */
    print_raised(task, self);
}

void sf_fate_report(struct sf_task *task, PyObject *self)
{
    if (!task->name || task->child.state != SF_CHILD_REAPED || task->child.owner != sf_pid_own() ||
        sf_task_is_busy(task))
        return;
    PyObject *raised = sf_take_raised();
    if (sf_task_fetch(task))
        PyErr_WriteUnraisable(self);
    report_result(task, self);
    report_extracted(task, self);
    if (raised)
        sf_put_raised(raised);
}
