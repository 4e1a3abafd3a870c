/* What state a task is in, and who may do what in it. The states are drawn in task_struct.h. */
#ifndef SF_PY_TASK_TASK_STATE_H
#define SF_PY_TASK_TASK_STATE_H

#include "py/task/task_struct.h"

/* "Thread", "Generator", "map worker": for messages. */
const char *sf_task_word(enum sf_task_kind kind);

/* Whether the task is in that state. If not: false, with a RuntimeError that says what to do. */
bool sf_task_is_usable(struct sf_task *task); /* initialised, not disposed, and this process's own */
bool sf_task_may_start(struct sf_task *task); /* usable, and not started */
bool sf_task_is_started(struct sf_task *task);
bool sf_task_is_joined(struct sf_task *task);
bool sf_task_may_dispose(struct sf_task *task); /* not in start(), which runs flush() and the hooks of a fork */

/* Whether a call is just busy with the task. In a process that was forked meanwhile by another Python thread, that call
 * does not exist, and false is right. */
bool sf_task_is_busy(const struct sf_task *task);
bool sf_task_is_busy_here(const struct sf_task *task); /* in this Python thread, which so must not wait for it */

/* Raises RuntimeError: that call must finish first. */
void sf_task_refuse_busy(const struct sf_task *task);

/* Makes the task busy. The caller makes it SF_TASK_IDLE again before it returns. 0, or -1 with RuntimeError: it is busy
 * already. */
int sf_task_occupy(struct sf_task *task, enum sf_task_busy busy);

#endif
