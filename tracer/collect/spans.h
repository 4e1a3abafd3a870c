/* The open spans of one process, one stack for each lane (thread): finds the begin that an end belongs to. Kept in
 * memory only: a collector that continues after another one restores them from the stored events. Nothing blocks. */
#ifndef SF_TRACER_COLLECT_SPANS_H
#define SF_TRACER_COLLECT_SPANS_H

#include <stdint.h>

struct spans; /* owned by the caller of spans_new */

struct spans *spans_new(void); /* NULL: no memory */
void spans_free(struct spans *spans);

/* The span of `kind` on `object` begins in row `event`. Beyond a certain depth and number of open spans it is not kept,
 * and its end will find no begin. */
void spans_begin(struct spans *spans, unsigned lane, unsigned kind, int64_t object, int64_t event);

/* Ends the innermost open span of that kind and object, and all that are still open inside it. Returns the row of its
 * begin; 0: none is open. */
int64_t spans_end(struct spans *spans, unsigned lane, unsigned kind, int64_t object);

/* Records are missing, so it is not known which spans are open: none is kept. */
void spans_clear(struct spans *spans);

/* How many ends had no begin, and how many spans were still open when the span around them ended. */
uint64_t spans_unmatched(const struct spans *spans);

/* Calls `each` with the begin's row of every open span. */
void spans_each_open(const struct spans *spans, void (*each)(void *arg, int64_t event), void *arg);

#endif
