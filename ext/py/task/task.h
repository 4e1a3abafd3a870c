/* A task: a call that runs in a child process, its result, and what is extracted there and merged here. Threads,
 * Generators and the workers of map are tasks. The life of one:
 *
 *           sf_task_start            the child dies;              sf_task_join
 *                                    sf_task_collect              opens and merges
 *     NEW ----------------> RUNNING ------------------> REAPED -------------------> joined
 *      ^                       |     reads result_file
 *      +-----------------------+
 *        the fork failed: start can be tried again
 *
 *     sf_task_dispose leads from any of these to disposed: it kills and reaps a child that runs. A task that was joined
 *     keeps its result.
 *
 * The names in capitals are child.state (child.h); `joined` and `disposed` are flags beside it, so that a joined task
 * can be disposed too. `joined` implies REAPED. `joining` is set while one Python thread collects and merges; a second
 * one waits for the first.
 *
 *     in the child (task_child.c): run f, run extract, write both outcomes into result_file, _exit
 *     in the parent (task.c):      everything else
 *
 * The child writes result_file once, whole; the parent reads it after the child's death. All fields belong to the
 * process that made the task and are guarded by the interpreter lock. */
#ifndef SF_PY_TASK_TASK_H
#define SF_PY_TASK_TASK_H

#include "abi/log_format.h"

#include "py/task/child.h"
#include "py/task/outcome.h"

enum sf_task_part { SF_TASK_RESULT, SF_TASK_EXTRACTED }; /* the result_file's parts */

struct sf_task {
    struct sf_child child;
    const char *word; /* "Thread", "Generator", "map worker": for messages */
    enum sf_task_kind kind;
    PyObject *f, *args, *kwargs;             /* owned; args: tuple; kwargs: dict or NULL */
    PyObject *extract, *merge;               /* owned; None where not given */
    PyObject *globals;                       /* owned dict that extract and merge get; NULL without them */
    PyObject *name;                          /* owned str; NULL: not initialised */
    PyObject *(*run)(struct sf_task *task);  /* in the child: calls f; a new reference, or NULL with an exception */
    void (*stop)(struct sf_task *task);      /* asks the child to end, before a join; NULL: it ends by itself */
    void (*give_back)(struct sf_task *task); /* frees what only a running child needs; NULL: nothing */
    int result_file;                         /* from start until collected, owned; -1: none */
    bool joining, joined, disposed;
    enum sf_tag tag, extracted_tag;
    PyObject *bytes;             /* f's outcome, packed: from collect until it is opened */
    PyObject *value, *exception; /* f's outcome, opened by the first sf_task_result: one of the two */
    PyObject *extracted;         /* extract's outcome, packed: from collect until it is opened */
    PyObject *to_merge;          /* what extract returned, until it is merged */
};

/* Checks the arguments and takes references to them. args: any iterable; kwargs: a dict; name: a str; extract and
 * merge: callables, both or neither. NULL or None for these: none; the name is then "<word>-<n> (<f>)". 0, or -1 with
 * an exception. */
int sf_task_init(struct sf_task *task, enum sf_task_kind kind, PyObject *f, PyObject *args, PyObject *kwargs,
                 PyObject *extract, PyObject *merge, PyObject *name);

/* Forks the child. 0, or -1 with an exception; then it can be tried again. */
int sf_task_start(struct sf_task *task);

/* The child's whole life, which sf_task_start hands to sf_fork_child; context: the task. Returns the exit status. */
int sf_task_child(void *context);

/* Waits for the child to die, reaps it and reads its result_file, once. Result as of sf_child_wait. */
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
