/* Converts ticks of the timestamp counter to nanoseconds by the clock segments of a trace, as the view event_time does.
 */
#ifndef SF_TRACER_STORE_TIMEBASE_H
#define SF_TRACER_STORE_TIMEBASE_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct timebase {
    struct clock_segment *segments;
    size_t count;
};

int timebase_init(struct timebase *timebase, sqlite3 *db); /* 0, -ENOMEM or -EIO; timebase_fini is due in any case */
void timebase_fini(struct timebase *timebase);

/* At most CLOCK_MAX_NS, at least -CLOCK_MAX_NS. 0 also if `tsc` is before the first segment. */
int64_t timebase_ns(const struct timebase *timebase, uint64_t tsc);

#endif
