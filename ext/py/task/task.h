/* What the parent does with a task. The life of a task, and its struct: task_struct.h. */
#ifndef SF_PY_TASK_TASK_H
#define SF_PY_TASK_TASK_H

#include "py/task/task_struct.h"

/* What a task is made of; all borrowed. args: any iterable; kwargs: a dict; name: a str. NULL or None for these: none;
 * the name is then "<word>-<n> (<f>)". */
struct sf_task_call {
    PyObject *f, *args, *kwargs, *name;
    struct sf_extraction_call extraction;
};

/* Checks the call and takes references to what is in it. self: the Python object that the task is part of, or NULL.
 * Reading the arguments may run code of the program. 0, or -1 with an exception: then the task is as it was, zeros. */
int sf_task_init(struct sf_task *task, PyObject *self, enum sf_task_kind kind, const struct sf_task_call *call);

/* Forks the child of a task that may start (task_state.h). 0, or -1 with an exception; then it can be tried again. */
int sf_task_start(struct sf_task *task);

/* Waits for the child to die, reaps it and takes its result, once. Result as of sf_child_wait. */
int sf_task_collect(struct sf_task *task, bool block, int64_t deadline_ns);

/* sf_task_collect of a child that is reaped, where other calls may be busy with the task. 0, or SF_RAISED. */
int sf_task_fetch(struct sf_task *task);

/* Unpickles what a collected task extracted, if anything. 0, or -1 with extract's exception. */
int sf_task_open_extracted(struct sf_task *task);

/* Merges what was opened, if anything. 0, or -1 with an exception of the merge. */
int sf_task_merge(struct sf_task *task);

/* Collects, opens and merges in one JOIN span: the body of join (block) and try_join. 1: joined, 0: not yet (only when
 * block is false), -1 with an exception. */
int sf_task_join(struct sf_task *task, bool block, int64_t deadline_ns);

/* The value that f returned (a new reference), or NULL with what it raised, or with ChildDied. Only once collected. */
PyObject *sf_task_result(struct sf_task *task);

/* Kills a child that still runs, and reaps it. Blocks until it is reaped, while signal handlers run. 1: it was killed
 * by this call, 0: it had ended before, or there was none, -1 with an exception: a handler's, or RuntimeError because
 * this process may not kill the child (it has another user). */
int sf_task_end(struct sf_task *task);

/* The same for those who cannot raise: signal handlers run later. 1, 0, or -errno. Leaves the exception state alone. */
int sf_task_end_deaf(struct sf_task *task);

/* Frees what the child has left and nobody has read, and drops the call. What was joined keeps its result. May run code
 * of the program. */
void sf_task_close(struct sf_task *task);

/* Ends and closes a task that is no Python object, and also fini: drops every reference. A task that was never
 * initialised may be given. Nothing happens in the task's own child process. A child that may not be killed goes on.
 * Leaves the exception state alone. */
void sf_task_dispose(struct sf_task *task);
void sf_task_fini(struct sf_task *task);

/* For the garbage collector. */
int sf_task_traverse(struct sf_task *task, visitproc visit, void *arg);
void sf_task_clear(struct sf_task *task);

#endif
