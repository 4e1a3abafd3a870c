/* Stacks of Python for trace.start(sample_hz=). What is not here is snakefish.trace's own (sf_samples_functions). */
#ifndef SF_PY_TRACE_SAMPLES_H
#define SF_PY_TRACE_SAMPLES_H

#include "py/base/types.h"

/* In a child whose stacks are sampled: the frame that has forked it, to which it never returns. So it is none of the
 * child's own, and neither is what has called it. Borrowed; NULL elsewhere. Whoever forks sets it. */
extern PyFrameObject *sf_samples_fork_frame;

#endif
