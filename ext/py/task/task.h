/* A task: a call that runs in a child process, its result, and what is extracted there and merged here. Thread,
 * Generator and the workers of map are tasks. */
#ifndef SF_PY_TASK_TASK_H
#define SF_PY_TASK_TASK_H

#include "py/task/child.h"
#include "py/task/outcome.h"

#include "abi/log_format.h"

struct sf_task {
    struct sf_child child;
    const char *word; /* "Thread", "Generator", "map worker": for messages */
    enum sf_task_kind kind;
    PyObject *f, *args, *kwargs, *extract, *merge; /* owned; extract, merge: None where not given */
    PyObject *globals, *name; /* owned; globals: where something is extracted; kwargs, globals may be NULL */
    PyObject *(*run)(struct sf_task *task);  /* in the child: calls f; a new reference or NULL and raised */
    void (*stop)(struct sf_task *task);      /* asks the child to end, before a join; NULL: it ends by itself */
    void (*give_back)(struct sf_task *task); /* frees what only a running child needs; NULL: nothing */
    int result_file;                         /* from start until collected */
    bool joining, joined, disposed;
    enum sf_tag tag, extracted_tag;
    PyObject *bytes, *value, *exception; /* f's outcome, once joined: packed, or opened by the first get_result */
    PyObject *extracted, *to_merge;      /* what extract returned: packed, then opened, until merged */
};

/* Checks the arguments and takes references. args: a tuple or list, kwargs: a dict, name: str; NULL or None: none,
 * none,
 * "<word>-<n>". 0, or -1 with an exception. */
int sf_task_init(struct sf_task *task, enum sf_task_kind kind, PyObject *f, PyObject *args, PyObject *kwargs,
                 PyObject *extract, PyObject *merge, PyObject *name);

/* Forks. 0, or -1 with an exception, and it can be tried again. */
int sf_task_start(struct sf_task *task);

/* Waits for the child to die and takes what it left, once. Result as of sf_child_wait. */
int sf_task_collect(struct sf_task *task, bool block, int64_t deadline_ns);

/* Unpickles what a collected task extracted, if anything. 0, or -1 with extract's exception. */
int sf_task_open_extracted(struct sf_task *task);

/* Merges what was opened, if anything, into task->globals. 0, or -1 with merge's exception. */
int sf_task_merge(struct sf_task *task);

/* collect and merge as one JOIN span: the body of join (block) and try_join. 1: joined, 0: not yet (only when block is
 * false), -1 with an exception. */
int sf_task_join(struct sf_task *task, bool block, int64_t deadline_ns);

/* The value f returned, or NULL with what it raised, or ChildDied. Only once joined. */
PyObject *sf_task_result(struct sf_task *task);

/* Raises RuntimeError unless the task is in that state: "start() it first" and so on. */
bool sf_task_is_started(struct sf_task *task);
bool sf_task_is_joined(struct sf_task *task);
bool sf_task_is_usable(struct sf_task *task); /* not disposed, ours */

/* Ends what still runs and gives everything back; what was joined keeps its result. Does nothing in the task's own
 * process, nor to one that was never initialised (zeros). If `warn` and it was running:
 * ResourceWarning about `self`, which may be NULL. Leaves the exception state alone. */
void sf_task_dispose(struct sf_task *task, PyObject *self, bool warn);

/* Disposes without a warning and drops every reference: for a task that is no Python object. */
void sf_task_fini(struct sf_task *task);

int sf_task_traverse(struct sf_task *task, visitproc visit, void *arg);
void sf_task_clear(struct sf_task *task);

/* The methods and attributes that Thread and Generator share. Their objects begin with struct sf_task_object. */
struct sf_task_object {
    PyObject_HEAD struct sf_task task;
    PyObject *weakrefs;
};
bool sf_task_may_start(struct sf_task *task); /* else raises RuntimeError */
PyObject *sf_task_method_join(PyObject *self, PyObject *args, PyObject *kwargs);
PyObject *sf_task_method_try_join(PyObject *self, PyObject *unused);
PyObject *sf_task_method_enter(PyObject *self, PyObject *unused);
PyObject *sf_task_method_exit(PyObject *self, PyObject *args);
PyObject *sf_task_method_get_exit_status(PyObject *self, PyObject *unused);
PyObject *sf_task_method_is_alive(PyObject *self, PyObject *unused);
PyObject *sf_task_method_fileno(PyObject *self, PyObject *unused);
PyObject *sf_task_method_terminate(PyObject *self, PyObject *unused);
PyObject *sf_task_method_kill(PyObject *self, PyObject *unused);
PyObject *sf_task_method_dispose(PyObject *self, PyObject *unused);
extern PyGetSetDef sf_task_attributes[]; /* pid, name */
extern PyMemberDef sf_task_members[];
PyObject *sf_task_repr(PyObject *self);
void sf_task_finalize(PyObject *self);
void sf_task_dealloc(PyObject *self);
int sf_task_type_traverse(PyObject *self, visitproc visit, void *arg);
int sf_task_type_clear(PyObject *self);

#endif
