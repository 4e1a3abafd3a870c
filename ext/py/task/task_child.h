/* A task in its child process. */
#ifndef SF_PY_TASK_TASK_CHILD_H
#define SF_PY_TASK_TASK_CHILD_H

/* The body that sf_task_start gives to sf_fork_child: runs f and extract and writes their outcomes into the
 * result memory. context: the struct sf_task. Returns the exit status. */
int sf_task_child(void *context);

#endif
