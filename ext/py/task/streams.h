/* Flushing sys.stdout and sys.stderr around a fork, so that what was printed comes out once. */
#ifndef SF_PY_TASK_STREAMS_H
#define SF_PY_TASK_STREAMS_H

#include "py/base/compat.h"

int sf_streams_init(void); /* 0, or -1 with an exception */

/* Flushes both, but for what has nothing to flush. A stream that is None, closed, or whose reader has gone, is no
 * reason to fail. 0, or -1 with a signal handler's exception. Blocks as the streams do. */
int sf_streams_flush(void);

#endif
