/* A time for each argument: a worker that is longer at one than engine->timeout_ns is killed, and TimeoutError is what
 * became of that argument.
 *
 * The worker notes when f begins, in its entry in shared memory; the parent looks while it waits, and kills. Both agree
 * by one word whether f was in time, so the error is raised exactly where the result is not sent:
 *
 *     0 (no argument) --begin--> when it began --end: in time--> 0; the result counts
 *                                      \--parent: too long--> LATE; the parent kills the worker, which else would do so
 *                                                             itself at the end
 *
 * The rest is as at any death of a worker: what it had sent is taken, then the job learns that it has ended
 * (sf_engine_raise_death). What a worker had computed and not sent yet is lost. */
#ifndef SF_PY_WORKERS_TIMEOUT_H
#define SF_PY_WORKERS_TIMEOUT_H

#include "py/workers/engine_struct.h"

/* Reads the argument `timeout` of a map: None, or seconds, more than 0. 0, or -1 with an exception that names it. */
int sf_timeout_read(PyObject *timeout, int64_t *timeout_ns);

/* In a worker: around f of one argument, whose claim is noted. Does not come back from `end` if it took too long. In a
 * copy of the worker, which f has forked, `end` does nothing. */
void sf_timeout_begin(const struct sf_worker *worker);
void sf_timeout_end(const struct sf_worker *worker);

/* In the parent: kills the workers that are late, and notes in engine->due_ns when to look again. Until they are reaped
 * engine->look is set. Does not block. */
void sf_timeout_look(struct sf_engine *engine);

/* Whether a worker was killed for its argument's time. */
bool sf_timeout_has_passed(const struct sf_worker *worker);

/* Raises TimeoutError, which names the argument, for such a worker. */
void sf_timeout_raise(const struct sf_worker *worker);

#endif
