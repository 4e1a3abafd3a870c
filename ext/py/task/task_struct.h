/* A task: a call that runs in a child process, its result, and what is extracted there and merged here. Threads,
 * Generators and the workers of map are tasks. The life of one:
 *
 *           sf_task_start            the child dies;              sf_task_join
 *                                    sf_task_collect              opens and merges
 *     NEW ----------------> RUNNING ------------------> REAPED -------------------> joined
 *      ^                       |     takes the result
 *      +-----------------------+
 *        the fork failed: start can be tried again
 *
 *     sf_task_dispose leads from any of these to disposed: it kills and reaps a child that runs. A task that was joined
 *     keeps its result.
 *
 * The names in capitals are child.state (child.h); `joined` and `disposed` are flags beside it, so that a joined task
 * can be disposed too. `joined` implies REAPED. `joining` is set while one Python thread collects and merges; a second
 * one waits for the first. `starting` is set while sf_task_start runs; the state stays NEW until the fork. `opening` is
 * set while the result is unpickled, which runs code of the program.
 *
 * What an interruption (Ctrl-C, lack of memory) cuts short stays: the result memory until all is taken out of it, an
 * outcome until it is opened (outcome.h). The call can be made again.
 *
 *     in the child (task_child.c): run f, run extract, write both outcomes into the result memory, _exit
 *     in the parent (task.c):      everything else
 *
 * The child writes the result memory once, whole; the parent takes it after the child's death. All fields belong to the
 * process that made the task and are guarded by the interpreter lock. */
#ifndef SF_PY_TASK_TASK_STRUCT_H
#define SF_PY_TASK_TASK_STRUCT_H

#include "abi/log_format.h"
#include "core/result/result_memory.h"
#include "py/task/child.h"
#include "py/task/outcome.h"
#include "py/task/packed.h"

enum sf_task_part { SF_TASK_RESULT, SF_TASK_EXTRACTED }; /* the result memory's parts */

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
    struct sf_result_memory memory;          /* from start until collected */
    bool starting, joining, joined, opening, disposed;
    unsigned long joiner;           /* while joining: the Python thread that does it */
    enum sf_tag tag, extracted_tag; /* of f's outcome and of extract's, from collect on */
    struct sf_incoming packed;      /* f's: from collect until it is opened */
    PyObject *value, *exception;    /* f's, opened by a sf_task_result: one of the two */
    struct sf_incoming extracted;   /* extract's: from collect until it is opened */
    PyObject *to_merge;             /* what extract returned, until it is merged */
};

#endif
