/* What comes back from a child beside its result: changes of globals. By hand with extract and merge, or by share=,
 * which compares with the state at the fork and merges three ways (snakefish/_sharing.py).
 *
 *                     extract and merge                share
 *     parent, fork    -                                ancestor = sharing.fork()
 *     child, after f  extract(globals)                 ancestor.changes()
 *     parent, join    merge(globals, extracted)        ancestor.merge(extracted, name of the task)
 *
 * Code of the program runs in all of these. The caller looks afterwards whether it is still in the same process. */
#ifndef SF_PY_TASK_EXTRACTION_H
#define SF_PY_TASK_EXTRACTION_H

#include "py/base/compat.h"

/* The arguments of a call, as they are given; all borrowed. NULL or None: not given. */
struct sf_extraction_call {
    PyObject *extract, *merge, *globals;
    PyObject *share, *on_conflict, *share_check;
};

struct sf_extraction {
    PyObject *extract, *merge; /* NULL without them */
    PyObject *globals;         /* dict that these get; NULL without them */
    PyObject *sharing;         /* a snakefish._sharing.Sharing; NULL without share= */
    PyObject *ancestor;        /* the state at the fork, from then on; NULL without share= */
    bool by_run;               /* the task's `run` sends what is extracted: its end need not */
};

/* Checks the arguments. f: whose globals share= names; self: as for sf_caller_globals. *extraction: a new one, or NULL
 * if nothing is to come back. 0, or -1 with an exception. */
int sf_extraction_new(struct sf_extraction **extraction, PyObject *f, PyObject *self,
                      const struct sf_extraction_call *call);

/* The same for another child of the same call, whose `run` sends it. NULL with MemoryError. */
struct sf_extraction *sf_extraction_copy(const struct sf_extraction *extraction);

/* In the parent right before a fork, when the hooks have run. 0, or -1 with an exception: a name that does not exist,
 * or a value that has no merge. */
int sf_extraction_fork(struct sf_extraction *extraction);

/* In the child `task`, in an EXTRACT span: what is sent, or NULL with an exception. */
PyObject *sf_extraction_extract(const struct sf_extraction *extraction, uint32_t task);

/* In the parent, in a MERGE span. name: of the child. 0, or -1 with an exception. */
int sf_extraction_merge(const struct sf_extraction *extraction, uint32_t task, PyObject *name, PyObject *extracted);

/* With share= what is merged from here on, also for copies, can be taken back. 0, or -1 with an exception. */
int sf_extraction_begin(const struct sf_extraction *extraction);

/* Takes back what was merged since then, while signals are delayed. Whether it can: only with share=. Leaves the
 * exception state alone. */
bool sf_extraction_revert(const struct sf_extraction *extraction);

/* Leaves the exception state alone. NULL is nothing. */
void sf_extraction_free(struct sf_extraction *extraction);
int sf_extraction_traverse(const struct sf_extraction *extraction, visitproc visit, void *arg);

#endif
