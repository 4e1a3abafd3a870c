/* Ticks of a stored trace become the same nanoseconds here and in the database's view. */
#include "harness.h"

#include <math.h>

#include "store/database.h"
#include "store/timebase.h"

static sqlite3 *trace_with_segments(const char *values)
{
    char sql[400];
    sqlite3 *db;
    CHECK_EQ(SQLITE_OK, sqlite3_open(":memory:", &db));
    snprintf(sql, sizeof sql,
             "CREATE TABLE clock_segment(from_tsc INTEGER PRIMARY KEY, tsc INTEGER, ns INTEGER, ns_per_tick REAL);"
             "INSERT INTO clock_segment VALUES%s",
             values);
    CHECK_EQ(SQLITE_OK, sqlite3_exec(db, sql, NULL, NULL, NULL));
    return db;
}

TEST(ticks_are_converted_by_the_segment_they_lie_in_as_the_view_does)
{
    sqlite3 *db = trace_with_segments("(0, 1000, 0, 0.5), (3000, 3000, 1000, 0.25), (5000, 5000, 1500, 2)");
    struct timebase timebase;
    sqlite3_stmt *s;
    CHECK_EQ(0, timebase_init(&timebase, db));
    CHECK_EQ(SQLITE_OK,
             sqlite3_prepare_v2(db,
                                "SELECT c.ns + CAST((?1 - c.tsc) * c.ns_per_tick AS INTEGER) FROM clock_segment c "
                                "WHERE c.from_tsc <= ?1 ORDER BY c.from_tsc DESC LIMIT 1",
                                -1, &s, NULL));
    for (int64_t tsc = 0; tsc < 7000; tsc += 7) {
        sqlite3_bind_int64(s, 1, tsc);
        CHECK_EQ(SQLITE_ROW, sqlite3_step(s));
        CHECK_EQ(sqlite3_column_int64(s, 0), timebase_ns(&timebase, (uint64_t)tsc));
        sqlite3_reset(s);
    }
    sqlite3_finalize(s);
    timebase_fini(&timebase);
    sqlite3_close(db);
}

TEST(a_damaged_trace_has_no_time_that_cannot_be_calculated_with)
{
    static const int64_t extremes[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
    static const double rates[] = {0, 0.3, -0.3, 1e6, -1e6, 1e300, -1e300, INFINITY, -INFINITY, NAN};
    enum { EXTREMES = sizeof extremes / sizeof *extremes, RATES = sizeof rates / sizeof *rates };
    for (int i = 0; i < EXTREMES * EXTREMES * EXTREMES * RATES; i++) {
        int n = i / RATES;
        struct clock_segment segment = {.tsc = (uint64_t)extremes[n % EXTREMES],
                                        .ns = extremes[n / EXTREMES % EXTREMES],
                                        .ns_per_tick = rates[i % RATES]};
        struct timebase timebase = {&segment, 1};
        int64_t ns = timebase_ns(&timebase, (uint64_t)extremes[n / EXTREMES / EXTREMES]);
        CHECK(ns >= -CLOCK_MAX_NS && ns <= CLOCK_MAX_NS);
    }
}

TEST(a_stored_rate_that_overflows_is_held)
{
    struct timebase timebase;
    sqlite3 *db = trace_with_segments("(0, 0, 9223372036854775807, 9e999)");
    CHECK_EQ(0, timebase_init(&timebase, db));
    CHECK_EQ(CLOCK_MAX_NS, timebase_ns(&timebase, 1));
    CHECK_EQ(CLOCK_MAX_NS, timebase_ns(&timebase, 0));
    timebase_fini(&timebase);
    sqlite3_close(db);
}

TEST_MAIN()
