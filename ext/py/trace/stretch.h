/* Stretches (core/log/log.h) of work on a number of bytes. A copy of few bytes takes little more time than its event,
 * so only longer ones are logged. */
#ifndef SF_PY_TRACE_STRETCH_H
#define SF_PY_TRACE_STRETCH_H

#include "core/log/log.h"

#define SF_STRETCH_LEAST_BYTES (4u << 10)

/* Where a stretch over `bytes` bytes begins, for sf_log_stretch. 0: it will not be logged. */
static inline uint64_t sf_stretch_begin(uint64_t bytes)
{
    return bytes < SF_STRETCH_LEAST_BYTES ? 0 : sf_log_stretch_begin();
}

#endif
