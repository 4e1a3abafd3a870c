/* Ticks of a stored trace become the same nanoseconds here and in the database's view. */
#include "harness.h"

#include "store/database.h"
#include "store/timebase.h"

TEST(ticks_are_converted_by_the_segment_they_lie_in_as_the_view_does)
{
    sqlite3 *db;
    struct timebase timebase;
    sqlite3_stmt *s;
    CHECK_EQ(SQLITE_OK, sqlite3_open(":memory:", &db));
    CHECK_EQ(SQLITE_OK,
             sqlite3_exec(
                 db,
                 "CREATE TABLE clock_segment(from_tsc INTEGER PRIMARY KEY, tsc INTEGER, ns INTEGER, "
                 "ns_per_tick REAL);"
                 "INSERT INTO clock_segment VALUES(0, 1000, 0, 0.5), (3000, 3000, 1000, 0.25), (5000, 5000, 1500, 2)",
                 NULL, NULL, NULL));
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

TEST_MAIN()
