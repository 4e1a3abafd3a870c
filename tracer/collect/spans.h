/* The open spans of one log: finds the begin that an end belongs to, by what both have in common. Spans may overlap in
 * any way. Kept in memory only: a collector that continues after another one restores them from the stored events.
 * Nothing blocks. */
#ifndef SF_TRACER_COLLECT_SPANS_H
#define SF_TRACER_COLLECT_SPANS_H

#include <stdint.h>

struct spans; /* owned by the caller of spans_new */

/* What a begin and its end have in common. Either a number, or the thread; the other one is 0. */
struct span_key {
    uint64_t number; /* of a span that has one: then it may end in another thread */
    uint64_t thread; /* identifies a thread within the log; see log_import.c */
    int64_t object;
    unsigned kind;
};

struct spans *spans_new(void); /* NULL: no memory */
void spans_free(struct spans *spans);

/* A span begins in row `event`. Beyond a certain number of open spans it is not kept, and its end will find no begin.
 */
void spans_begin(struct spans *spans, const struct span_key *key, int64_t event);

/* Ends the open span of that key that began last. Returns the row of its begin; 0: none is open. */
int64_t spans_end(struct spans *spans, const struct span_key *key);

/* Records are missing, so it is not known which spans are open: none is kept. */
void spans_clear(struct spans *spans);

/* How many ends had no begin. */
uint64_t spans_unmatched(const struct spans *spans);

/* Calls `each` with the begin's row of every open span. */
void spans_each_open(const struct spans *spans, void (*each)(void *arg, int64_t event), void *arg);

#endif
