/* Workers that stay, in the worker: what it does first, and the next task. See crew.h. */
#ifndef SF_PY_WORKERS_CREW_WORKER_H
#define SF_PY_WORKERS_CREW_WORKER_H

#include "py/workers/crew_struct.h"

#define SF_CREW_PREPARATION (SF_ENGINE_NO_CLAIM - 1) /* the number of what `prepare` raised */

/* The job's `run` and `next_chunk`. */
PyObject *sf_crew_worker_run(struct sf_task *task);
int sf_crew_worker_next(struct sf_worker *worker, struct sf_chunk *chunk);

#endif
