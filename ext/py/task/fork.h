/* Making a child process by fork, by the interpreter's whole protocol. */
#ifndef SF_PY_TASK_FORK_H
#define SF_PY_TASK_FORK_H

#include "py/task/child.h"

/* To be called once, at import. 0, or -1 with an exception. */
int sf_fork_init(void);

/* Forks a child that is NEW. In the parent: 0, or -1 with an exception; then there is no child.
 *
 * Before the fork before(context) runs in the parent, as the last of the hooks that come before a fork: after those
 * that were registered later than ours (on PyPy before all of them). It may raise: then nothing is forked. Signals are
 * delayed meanwhile.
 *
 * In the child: runs body(context), which returns the exit status and leaves no exception behind (if setting up the
 * child raised, body finds that exception set), ends as the interpreter does (threads, exit handlers registered there,
 * flush), and never returns. name: str, for the trace and multiprocessing. */
int sf_fork_child(struct sf_child *child, PyObject *name, int (*before)(void *context), int (*body)(void *context),
                  void *context);

#endif
