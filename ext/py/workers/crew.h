/* Workers that stay: one more job of the worker engine (engine.h), for snakefish.Executor. A crew knows tasks and
 * items, and no futures: those, and who is started and killed when, are in snakefish/_executor.py.
 *
 *     send(task, item) --feed.h--> whichever worker is free: call(item) --results--> wait(): events
 *
 * A task is any object of the caller's. The item is what travels. A task is `sent` from its send() until wait() tells
 * what became of it:
 *
 *     (not known) --send--> sent --+--> RESULT, ERROR: its outcome                            --> (not known)
 *                                  +--> ENDED with the task: its worker died while it was at it
 *                                  +--> drop: the caller knows that it was lost
 *
 * Who calls what. wait() is for one Python thread, the manager's. All else may be called from any Python thread, from a
 * signal handler, and from what pickling an item calls. Everything runs under the interpreter lock. What releases it:
 * start() (hooks of the fork), send() (pickling), wait() and close(). So a send() may find another one pickling: it
 * returns False, and wakes wait(), whose caller sends it later. Only the process that made a crew may use it.
 *
 * An item is sent when it was packed, and pushed as far as there was room. wait() pushes the rest.
 *
 * Lost items. A worker may be killed after it has taken an item out of the ring and before its claim says so. Nobody
 * knows then whether there was such an item. But a worker stores its claim before it gives the turn back, and the next
 * one takes items only after that: so once a worker has taken an item P, each item that was pushed before P was
 * claimed, or is lost. The caller finds out with probes: it sends one (an item None, a task of its own) after a death
 * without a claim, and when that comes back notes which tasks of before are neither claimed nor done. The result of one
 * of these may still be on its way. When a second probe has come back, which was sent after that look, it was taken;
 * what is not done then is lost, and was never begun.
 *
 * Killing a worker at a task, and only there. doom() notes the task's number in the worker's claim, then looks whether
 * the worker is still at it. The worker clears its claim when it has sent the result, and then looks whether it is
 * doomed. One of them sees what the other has stored (both orders are seq_cst): a worker that is doomed takes nothing
 * more, and waits until it is killed, or the doom is taken back.
 *
 * A worker ends by itself when it has done tasks_per_worker tasks, when it is retired (feed.h), and when the crew is
 * finished.
 *
 * Finishing. sf_crew_finish() finds that no task is sent, and refuses all later ones, in one step under the interpreter
 * lock. send() first notes its task and then looks whether the crew is finished, as code may run in between. So either
 * finish() sees the task, or send() raises: no task is left over. A worker that is being forked meanwhile finds the
 * feed stopped. If it is not there yet when the crew is closed, whoever forks it kills and reaps it. */
#ifndef SF_PY_WORKERS_CREW_H
#define SF_PY_WORKERS_CREW_H

#include "py/workers/crew_struct.h"

/* All else is zero. Takes references. 0, or -1 with an exception; sf_crew_close in any case. */
int sf_crew_init(struct sf_crew *crew, PyObject *call, PyObject *prepare, PyObject *name, Py_ssize_t workers,
                 uint64_t tasks_per_worker);

/* Forks one more worker. 1, 0: there are `workers` already, -1 with an exception. */
int sf_crew_start(struct sf_crew *crew);

/* Whether another thread forks a worker. Once it is false, one that came too late for a closed crew is reaped. */
bool sf_crew_is_starting(const struct sf_crew *crew);

/* A new number for a task, which no other task of this process has. waiting: how many tasks of this crew wait to be
 * sent, for the trace's SUBMIT; -1: no such event is written. */
uint64_t sf_crew_number(const struct sf_crew *crew, int64_t waiting);

/* Sends an item. A task that is sent again has a new number. 1, 0: not now (wait() is woken when it can be tried
 * again), or -1 with an exception. *is_bad: that is pickle's, about the item. */
int sf_crew_send(struct sf_crew *crew, uint64_t number, PyObject *task, PyObject *item, bool *is_bad);

/* Waits until there are events, or it is nudged, or until deadline_ns. A list, or NULL with an exception. */
PyObject *sf_crew_wait(struct sf_crew *crew, int64_t deadline_ns);

/* Waits shortly for the result of a task that is sent, in the thread that needs it, and gives it to task.future: see
 * direct.h. waiting: tasks that are sent when there are fewer; if there are some, wait() is woken. 1, 0: the future
 * gets its outcome by wait(), as always; -1 with an exception. */
int sf_crew_take(struct sf_crew *crew, uint64_t number, PyObject *waiting, int64_t deadline_ns);

/* From now on wait() sees each outcome, and sf_crew_take none. Wakes it. */
void sf_crew_attend(struct sf_crew *crew);

/* Makes wait() return. Async-signal-safe but for Python's own rules. */
void sf_crew_nudge(struct sf_crew *crew);

/* What living workers are at: a list of (pid, number, task, since when in seconds of time.monotonic()). pid: 0 as long
 * as another thread is in the fork of that worker, which may work already. */
PyObject *sf_crew_claims(const struct sf_crew *crew);

/* Kills the worker if it is still at that number. 1: it will be reaped, 0: it is not, or it may not be killed. */
int sf_crew_doom(struct sf_crew *crew, pid_t pid, uint64_t number);

/* If no task is sent: from now on start() and send() raise RuntimeError, and workers end by themselves. Whether that is
 * so. */
bool sf_crew_finish(struct sf_crew *crew);

/* Kills all workers and reaps them, and gives everything back: at once, or when the last call under way returns. Does
 * nothing in a worker. A list of the tasks that were sent, of which nothing will come; NULL with MemoryError. */
PyObject *sf_crew_close(struct sf_crew *crew);

int sf_crew_traverse(const struct sf_crew *crew, visitproc visit, void *arg);

#endif
