/* What the parent does with a task. The life of a task, and its struct: task_struct.h. */
#ifndef SF_PY_TASK_TASK_H
#define SF_PY_TASK_TASK_H

#include "py/task/task_struct.h"

/* Checks the arguments and takes references to them. args: any iterable; kwargs: a dict; name: a str; extract and
 * merge: callables, both or neither. NULL or None for these: none; the name is then "<word>-<n> (<f>)". 0, or -1 with
 * an exception. */
int sf_task_init(struct sf_task *task, enum sf_task_kind kind, PyObject *f, PyObject *args, PyObject *kwargs,
                 PyObject *extract, PyObject *merge, PyObject *name);

/* Forks the child. 0, or -1 with an exception; then it can be tried again. */
int sf_task_start(struct sf_task *task);

/* Waits for the child to die, reaps it and takes its result, once. Result as of sf_child_wait. */
int sf_task_collect(struct sf_task *task, bool block, int64_t deadline_ns);

/* Unpickles what a collected task extracted, if anything. 0, or -1 with extract's exception. */
int sf_task_open_extracted(struct sf_task *task);

/* Merges what was opened, if anything, into task->globals. 0, or -1 with merge's exception. */
int sf_task_merge(struct sf_task *task);

/* Collects, opens and merges in one JOIN span: the body of join (block) and try_join. 1: joined, 0: not yet (only when
 * block is false), -1 with an exception. */
int sf_task_join(struct sf_task *task, bool block, int64_t deadline_ns);

/* The value that f returned (a new reference), or NULL with what it raised, or with ChildDied. Only once collected. */
PyObject *sf_task_result(struct sf_task *task);

/* Whether the task is in that state. If not: false, with a RuntimeError that says what to do. */
bool sf_task_is_usable(struct sf_task *task); /* initialised, not disposed, and this process's own */
bool sf_task_may_start(struct sf_task *task); /* usable, and not started */
bool sf_task_is_started(struct sf_task *task);
bool sf_task_is_joined(struct sf_task *task);
bool sf_task_may_dispose(
    struct sf_task *task); /* not in start(), which runs flush() and the hooks of register_at_fork */

/* Kills a child that still runs, and frees what belongs to the child. What was joined keeps its result. Does nothing in
 * the task's own child process, nor to a task that was never initialised (zeros). If `warn` and the child was running:
 * ResourceWarning about `self`, which may be NULL. Blocks until the child is reaped. Leaves the exception state alone.
 */
void sf_task_dispose(struct sf_task *task, PyObject *self, bool warn);

/* Disposes without a warning and drops every reference: for a task that is no Python object. */
void sf_task_fini(struct sf_task *task);

/* For the garbage collector. */
int sf_task_traverse(struct sf_task *task, visitproc visit, void *arg);
void sf_task_clear(struct sf_task *task);

#endif
