/* The open spans of one process, a stack for each lane: which begin an end ends.
 * In memory only; a collector that goes on after another one replays the stored events. Nothing blocks. */
#ifndef SF_TRACER_COLLECT_SPANS_H
#define SF_TRACER_COLLECT_SPANS_H

#include <stdint.h>

struct spans; /* owned by whoever called spans_new */

struct spans *spans_new(void); /* NULL: no memory */
void spans_free(struct spans *spans);

/* The span of `kind` on `object` begins in row `event`. Past the depth and the number that are kept, it is
 * forgotten: its end will find no begin. */
void spans_begin(struct spans *spans, unsigned lane, unsigned kind, int64_t object, int64_t event);

/* Ends the innermost open span of that kind and object, and with it those that were left open inside it.
 * Returns the row of its begin; 0: none is open. */
int64_t spans_end(struct spans *spans, unsigned lane, unsigned kind, int64_t object);

/* Records are missing: nothing is known any more. */
void spans_clear(struct spans *spans);

/* Ends without begin, and begins that were left open inside an ended span. */
uint64_t spans_unmatched(const struct spans *spans);

/* Calls `each` with the begin's row of every open span. */
void spans_open(const struct spans *spans, void (*each)(void *arg, int64_t event), void *arg);

#endif
