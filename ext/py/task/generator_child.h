/* The child's half of a Generator. */
#ifndef SF_PY_TASK_GENERATOR_CHILD_H
#define SF_PY_TASK_GENERATOR_CHILD_H

#include "py/base/compat.h"

struct sf_task;

/* In the child: the task's `run`. Computes and sends items until the last one, or until the parent stops the generator.
 * None, or NULL with an exception (SystemExit when the child is to end with that status). */
PyObject *sf_generator_run(struct sf_task *task);

#endif
