/* What a trace is told of a Channel. */
#ifndef SF_PY_TRACE_CHANNELS_H
#define SF_PY_TRACE_CHANNELS_H

#include "core/ring/ring_handle.h"

/* Writes that the Channel of this ring is there, and its name if it has one. Does nothing when tracing is off. */
void sf_channels_log(const struct sf_ring *ring);

#endif
