/* What the interpreter and multiprocessing require around a fork: in the parent before it, and in the child first and
 * last.
 *
 * Steps that few programs need are Python (snakefish/_child.py). Steps that every fork needs are C, because each page
 * that Python code touches after a fork costs a page fault. */
#ifndef SF_PY_TASK_PROTOCOL_H
#define SF_PY_TASK_PROTOCOL_H

#include "py/base/compat.h"

#include <stdbool.h>

int sf_protocol_init(void); /* looks up what is called later. 0, or -1 with an exception */

/* In the parent, before the fork: warns of other threads, those of libraries too (here, because the warning may raise,
 * and no child is left behind yet); makes sure that the child will not run the parent's exit handlers; flushes
 * sys.stdout and sys.stderr, so that what was printed comes out once. Blocks as the streams do. 0, or -1 with an
 * exception. */
int sf_protocol_prepare(void);

/* In the child, first: lets go of what belongs to the parent (imports of its other threads, garbage, standard input,
 * wake-up descriptor, finalizers, executors, multiprocessing's children), and takes its name. name: str, for
 * multiprocessing and logging. had_sigterm_action: SIGTERM had another action than the default in the parent; Python is
 * told that it is gone. 0, or -1 with an exception. */
int sf_protocol_begin(PyObject *name, bool had_sigterm_action);

/* In the child, last: waits for its threads, runs its exit handlers and finalizers, waits for its children, flushes.
 * Prints what any of these raises. A SystemExit of one changes nothing. A KeyboardInterrupt is not printed and skips
 * the steps that are left, but for the flush. */
void sf_protocol_end(void);

#endif
