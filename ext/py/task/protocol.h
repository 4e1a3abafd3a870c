/* What the interpreter's own rules, and multiprocessing's, want around a fork: before it in the parent, and first and
 * last in the child. What is seldom needed is Python (snakefish/_child.py); what every fork needs is C, because each
 * page that Python code touches after a fork is a page fault. */
#ifndef SF_PY_TASK_PROTOCOL_H
#define SF_PY_TASK_PROTOCOL_H

#include "py/base/compat.h"

int sf_protocol_init(void); /* 0, or -1 with an exception */

/* In the parent: warns of other threads, which may raise, while there is no child yet to be left behind; flushes the
 * streams, so that nothing comes out twice. 0, or -1 with an exception. */
int sf_protocol_prepare(void);

/* In the child, first: the parent's exit handlers, wake-up descriptor, children and garbage are the parent's. */
int sf_protocol_begin(PyObject *name);

/* In the child, last: waits for its threads, runs its exit handlers, waits for its children, flushes. Prints what any
 * of that raises, but for KeyboardInterrupt, which ends it early. */
void sf_protocol_end(void);

#endif
