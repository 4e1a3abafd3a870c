/* A result taken by the thread that waits for it, rather than by the one that waits for all of them (the manager, which
 * is in sf_crew_wait). That saves the way through the manager: two wake-ups of a thread and a change of the thread that
 * has the interpreter lock, which take longer than a short task.
 *
 *     manager:  asleep at the ring ---------> away, asleep at engine->away ----------> asleep at the ring
 *                                    lent                                  given back
 *     waiting thread:      begins ---> takes what comes; its own result: into the future ---> ends
 *
 * The engine is lent for a short time only, to one thread at a time, and only while the manager sleeps there or is not
 * in sf_crew_wait: else the manager may be in the midst of a message. Meanwhile the manager takes nothing. It can be
 * called (sf_crew_nudge), takes the events that are there, and does all that is not the engine's.
 *
 * No code of the program runs while it is lent: no signal handler, no unpickling. A result that has to be unpickled, an
 * exception, and what else comes are left to the manager, which is called for them. So is a future that has callbacks,
 * or for which others wait. Where a signal arrives, the engine is given back at once.
 *
 * Everything runs under the interpreter lock, but for the sleep. */
#ifndef SF_PY_WORKERS_DIRECT_H
#define SF_PY_WORKERS_DIRECT_H

#include "py/workers/crew_struct.h"

int sf_direct_init(void); /* 0, or -1 with an exception */

/* Waits for the result of a task that is sent, until deadline_ns and not for long, and gives it to task.future.
 * Whether it did: else the future gets its outcome by the manager, as always. Clears the exception state. */
bool sf_direct_take(struct sf_crew *crew, PyObject *task, int64_t deadline_ns);

#endif
