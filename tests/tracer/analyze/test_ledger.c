/* The ledger: each nanosecond of a life is in one row. */
#include "hand_trace.h"

#include "analyze/ledger.h"
#include "store/category.h"

static void fill(sqlite3 *db)
{
    struct processes processes;
    CHECK_EQ(0, processes_init(&processes, db));
    CHECK_EQ(0, ledger_fill(db, &processes));
    processes_fini(&processes);
}

static int64_t integer(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s;
    CHECK_EQ(SQLITE_OK, sqlite3_prepare_v2(db, sql, -1, &s, NULL));
    CHECK_EQ(SQLITE_ROW, sqlite3_step(s));
    int64_t value = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return value;
}

/* From 0 to 100: merging from 20 to 50, no CPU from 30 to 40, 12 ns of faults from 60 to 80, two events of 2 ns. */
static sqlite3 *some_life(void)
{
    sqlite3 *db = trace_new();
    trace_process(db, 1, 0, 100, 0, 0);
    TRACE_SPAN(db, 1, 20, 50, MERGE, 1, 0, 0);
    trace_sql(db, "INSERT INTO meta VALUES('event_cost_ps', 2000)");
    trace_sql(db, "INSERT INTO sched_slice VALUES(1, 101, 0, 40, 50, 'blocked', NULL, 30)");
    trace_sql(db, "INSERT INTO fault VALUES(1, 101, 'first-read', 'user', 60, 80, 3, 12, 1)");
    return db;
}

TEST(each_category_has_its_time_and_faults_and_tracing_are_in_no_other)
{
    sqlite3 *db = some_life();
    fill(db);
    CHECK_EQ(18, integer(db, "SELECT ns FROM ledger WHERE category = 'merging'"));
    CHECK_EQ(10, integer(db, "SELECT ns FROM ledger WHERE category = 'no cpu'"));
    CHECK_EQ(12, integer(db, "SELECT ns FROM ledger WHERE category = 'page faults'"));
    CHECK_EQ(4, integer(db, "SELECT ns FROM ledger WHERE category = 'tracing'"));
    CHECK_EQ(56, integer(db, "SELECT ns FROM ledger WHERE category = 'running'"));
    CHECK_EQ(100, integer(db, "SELECT sum(ns) FROM ledger"));
    sqlite3_close(db);
}

TEST(each_process_has_a_row_for_each_category)
{
    sqlite3 *db = some_life();
    trace_process(db, 2, 10, 10, 1, 0); /* it did not live for a moment */
    fill(db);
    CHECK_EQ(CATEGORY_COUNT, integer(db, "SELECT count(*) FROM ledger WHERE process = 1"));
    CHECK_EQ(CATEGORY_COUNT, integer(db, "SELECT count(*) FROM ledger WHERE process = 2"));
    CHECK_EQ(0, integer(db, "SELECT sum(ns) FROM ledger WHERE process = 2"));
    sqlite3_close(db);
}

TEST(filling_it_again_replaces_it)
{
    sqlite3 *db = some_life();
    trace_sql(db, "INSERT INTO ledger VALUES(77, 'running', 5)");
    fill(db);
    fill(db);
    CHECK_EQ(100, integer(db, "SELECT sum(ns) FROM ledger"));
    sqlite3_close(db);
}

TEST_MAIN()
