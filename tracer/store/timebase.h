/* Raw ticks to nanoseconds, by the clock segments that a trace stores: as the view event_time does it. */
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

int timebase_init(struct timebase *timebase, sqlite3 *db); /* 0, -ENOMEM or -EIO; fini in every case */
void timebase_fini(struct timebase *timebase);

/* 0 where there is no segment that early. */
int64_t timebase_ns(const struct timebase *timebase, uint64_t tsc);

#endif
