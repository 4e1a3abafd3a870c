/* A task: a call that runs in a child process, its result, and what is extracted there and merged here. Threads,
 * Generators and the workers of map are tasks. The life of one:
 *
 *          start()              the child dies, and            join()
 *     NEW ---------> RUNNING ----------------------> REAPED ----------> joined
 *      ^               |     some call reaps it
 *      +---------------+
 *       the fork failed: start can be tried again
 *
 *     dispose() leads from any of these to disposed: it kills and reaps a child that runs. What was joined keeps its
 *     result.
 *
 * The names in capitals are child.state (child.h). `joined` and `disposed` are flags beside it, so that a joined task
 * can be disposed too. `joined` implies REAPED.
 *
 * What must not happen twice at once, or inside itself, makes the task busy. One call at a time is (task_state.h):
 *
 *     STARTING     start(), from its first hook to the fork
 *     COLLECTING   join(), once the child is reaped: reads what it left, and unpickles what was extracted
 *     MERGING      join(): merges
 *     OPENING      get_result(): unpickles the result
 *
 * Each of these may run code of the program: hooks, merge, __setstate__, signal handlers. If that code, or another
 * Python thread, calls a method which needs the task for itself, it gets RuntimeError. Only join() in another Python
 * thread waits for its turn. Waiting for the child's death is not busy: any number of calls may do it at once, one in a
 * signal handler that has interrupted another one too.
 *
 * What an interruption (Ctrl-C, lack of memory) cuts short stays: the result memory until all is taken out of it, an
 * outcome until it is opened (outcome.h). The call can be made again.
 *
 *     in the child (task_child.c): run f, extract, write both outcomes into the result memory, _exit
 *     in the parent (task.c):      everything else
 *
 * The child writes the result memory once, whole; the parent takes it after the child's death. All fields belong to the
 * process that made the task and are guarded by the interpreter lock. */
#ifndef SF_PY_TASK_TASK_STRUCT_H
#define SF_PY_TASK_TASK_STRUCT_H

#include "abi/log_format.h"
#include "core/result/result_memory.h"
#include "py/task/child.h"
#include "py/task/extraction.h"
#include "py/task/outcome.h"
#include "py/task/packed.h"

enum sf_task_busy { SF_TASK_IDLE, SF_TASK_STARTING, SF_TASK_COLLECTING, SF_TASK_MERGING, SF_TASK_OPENING };

enum sf_task_part { SF_TASK_RESULT, SF_TASK_EXTRACTED }; /* the result memory's parts */

struct sf_task {
    struct sf_child child;
    /* The call; owned, and NULL once it is joined or disposed, so that nothing is kept that nobody needs. */
    PyObject *f, *args, *kwargs;             /* args: tuple; kwargs: dict or NULL */
    struct sf_extraction *extraction;        /* owned; NULL: nothing but the result comes back */
    PyObject *name;                          /* owned str; NULL: not initialised */
    PyObject *(*run)(struct sf_task *task);  /* in the child: calls f; a new reference, or NULL with an exception */
    void (*stop)(struct sf_task *task);      /* asks the child to end, before a join; NULL: it ends by itself */
    void (*give_back)(struct sf_task *task); /* frees what only a running child needs; NULL: nothing */
    struct sf_result_memory memory;          /* from start until collected */
    bool joined, disposed;
    bool killed; /* by terminate(), kill() or dispose(), before it had ended */
    bool asked;  /* somebody was given its outcome, or has said that it does not matter (fate.h) */
    enum sf_task_kind kind;
    enum sf_task_busy busy;
    pid_t busy_process; /* while busy: the process, and the Python thread, that make it so */
    unsigned long busy_thread;
    enum sf_tag tag, extracted_tag; /* of f's outcome and of extract's, from collect on */
    struct sf_packed packed;        /* f's: from collect until its value is opened; an exception is opened at each call,
                                       for its traceback would keep the frames of the last one that was raised */
    PyObject *value;                /* what f returned, opened by a sf_task_result */
    PyObject *raised;               /* the name of the exception that a sf_task_result has raised; NULL: none yet */
    struct sf_packed extracted;     /* extract's: from collect until it is opened */
    PyObject *to_merge;             /* what extract returned, until it is merged */
};

#endif
