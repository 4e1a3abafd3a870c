/* The states of a task. See task_state.h. */
#include "py/task/task_state.h"

#include <assert.h>

#include "core/os/pid.h"

const char *sf_task_word(enum sf_task_kind kind)
{
    static const char *const words[] = {
        [SF_TASK_THREAD] = "Thread",
        [SF_TASK_GENERATOR] = "Generator",
        [SF_TASK_MAP_WORKER] = "map worker",
        [SF_TASK_EXECUTOR_WORKER] = "Executor worker",
    };
    return words[kind];
}

bool sf_task_is_usable(struct sf_task *task)
{
    if (!task->name) {
        PyErr_SetString(PyExc_RuntimeError, "__init__ was not called, or failed");
        return false;
    }
    if (task->disposed) {
        PyErr_Format(PyExc_RuntimeError, "%U is disposed: make a new %s", task->name, sf_task_word(task->kind));
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
    PyErr_Format(PyExc_RuntimeError, "%U is started already: a %s runs once, make a new one", task->name,
                 sf_task_word(task->kind));
    return false;
}

bool sf_task_may_dispose(struct sf_task *task)
{
    if (task->busy != SF_TASK_STARTING || task->child.state != SF_CHILD_NEW)
        return true;
    sf_task_refuse_busy(task);
    return false;
}

bool sf_task_is_started(struct sf_task *task)
{
    if (task->name && task->disposed && task->child.state == SF_CHILD_NEW) {
        PyErr_Format(
            PyExc_RuntimeError,
            "%U was never started, and is disposed: make a new %s and call start(), in the with block if there "
            "is one",
            task->name, sf_task_word(task->kind));
        return false;
    }
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
    if (!sf_task_is_started(task))
        return false;
    if (task->busy == SF_TASK_COLLECTING || task->busy == SF_TASK_MERGING)
        sf_task_refuse_busy(task);
    else
        PyErr_Format(PyExc_RuntimeError, "%U is not joined: call join() first", task->name);
    return false;
}

static unsigned long this_thread(void)
{
    return (unsigned long)PyThread_get_thread_ident(); /* PyPy's is signed */
}

bool sf_task_is_busy(const struct sf_task *task)
{
    return task->busy != SF_TASK_IDLE && (task->busy_process == sf_pid_own() || task->busy_thread == this_thread());
}

bool sf_task_is_busy_here(const struct sf_task *task)
{
    return task->busy != SF_TASK_IDLE && task->busy_thread == this_thread();
}

void sf_task_refuse_busy(const struct sf_task *task)
{
    static const char *const calls[] = {[SF_TASK_STARTING] = "start()",
                                        [SF_TASK_COLLECTING] = "join()",
                                        [SF_TASK_MERGING] = "join()",
                                        [SF_TASK_OPENING] = "get_result()"};
    assert(task->busy != SF_TASK_IDLE);
    bool opens_item = task->busy == SF_TASK_OPENING && task->kind == SF_TASK_GENERATOR;
    PyErr_Format(PyExc_RuntimeError, "%U is in %s already: that call must finish first", task->name,
                 opens_item ? "next()" : calls[task->busy]);
}

int sf_task_occupy(struct sf_task *task, enum sf_task_busy busy)
{
    if (sf_task_is_busy(task)) {
        sf_task_refuse_busy(task);
        return -1;
    }
    task->busy = busy;
    task->busy_thread = this_thread();
    task->busy_process = sf_pid_own();
    return 0;
}
