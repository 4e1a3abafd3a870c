/* What a worker gets of the machine: a share of the CPUs that its parent may use. A map that it makes has that many
 * workers by default, and the native threads of libraries can be limited to as many. */
#ifndef SF_PY_WORKERS_SHARE_H
#define SF_PY_WORKERS_SHARE_H

#include "py/workers/engine_struct.h"

/* Reads the argument `blas_threads` of a map: None, 0 or a number, into engine->blas_threads. 0, or -1 with an
 * exception: ValueError or TypeError that name it, or ImportError, because threadpoolctl is not installed. */
int sf_share_read(PyObject *blas_threads, struct sf_engine *engine);

/* In a worker, before its first chunk. 0, or -1 with an exception. */
int sf_share_take(const struct sf_worker *worker);

#endif
