/* See timebase.h. Invariant: the segments are sorted by from_tsc, and no two are equal in it. */
#include "store/timebase.h"

#include "base/array.h"
#include "store/rows.h"

int timebase_init(struct timebase *timebase, sqlite3 *db)
{
    struct rows rows;
    size_t room = 0;
    *timebase = (struct timebase){0};
    rows_open(&rows, db, "SELECT from_tsc, tsc, ns, ns_per_tick FROM clock_segment ORDER BY from_tsc");
    while (rows_next(&rows)) {
        struct clock_segment *grown = array_grow(timebase->segments, timebase->count, &room, sizeof *grown);
        if (!grown) {
            rows_fail(&rows);
            break;
        }
        timebase->segments = grown;
        timebase->segments[timebase->count++] =
            (struct clock_segment){(uint64_t)rows_integer(&rows, 0), (uint64_t)rows_integer(&rows, 1),
                                   rows_integer(&rows, 2), sqlite3_column_double(rows.s, 3)};
    }
    return rows_close(&rows);
}

void timebase_fini(struct timebase *timebase)
{
    free(timebase->segments);
    *timebase = (struct timebase){0};
}

int64_t timebase_ns(const struct timebase *timebase, uint64_t tsc)
{
    size_t low = 0, high = timebase->count; /* bsearch cannot find the last segment that begins at tsc or before */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (timebase->segments[middle].from_tsc <= tsc)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low)
        return 0;
    return clock_segment_ns(&timebase->segments[low - 1], tsc);
}
