/* What came of a task: told by repr, and printed where nobody has asked. */
#ifndef SF_PY_TASK_FATE_H
#define SF_PY_TASK_FATE_H

#include "py/task/task_struct.h"

/* "not started", "started", "joined, raised ValueError", "disposed, killed by signal 9", ... A new str, or NULL with an
 * exception. */
PyObject *sf_fate_words(struct sf_task *task);

/* Prints the exception of a task that nobody has asked for (task->asked), by sys.unraisablehook: what f raised,
 * ChildDied, or what extract raised where nobody has joined. Counts as asked from then on. Nothing is printed
 *     while the child runs, and in other processes than the one that has forked it;
 *     where the program itself has ended the child, by terminate(), kill() or dispose();
 *     where the child has ended with exit status 0 and left nothing: it has called sys.exit(0), os._exit(0) or exec;
 *     of Ctrl-C, which comes to the parent too.
 * self: whose repr is printed; NULL: the task's name. May run code of the program. Leaves the exception state alone. */
void sf_fate_report(struct sf_task *task, PyObject *self);

#endif
