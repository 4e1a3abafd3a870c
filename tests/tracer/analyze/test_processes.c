/* The processes of a stored trace: found by id and by task, with times that can be calculated with. */
#include "hand_trace.h"

#include "analyze/processes.h"

TEST(processes_are_found_by_id_and_by_task)
{
    sqlite3 *db = trace_new();
    struct processes processes;
    for (int id = 40; id > 0; id -= 2)
        trace_process(db, id, 0, 10, 0, 1000 - id);
    CHECK_EQ(0, processes_init(&processes, db));
    CHECK_EQ(20, processes.count);
    for (int id = 1; id <= 41; id++) {
        int wanted = id % 2 || id > 40 ? PROCESS_NONE : id / 2 - 1;
        CHECK_EQ(wanted, processes_find(&processes, id));
        CHECK_EQ(wanted, processes_of_task(&processes, 1000 - id));
    }
    processes_fini(&processes);
    sqlite3_close(db);
}

TEST(a_trace_without_processes_has_none_to_find)
{
    sqlite3 *db = trace_new();
    struct processes processes;
    CHECK_EQ(0, processes_init(&processes, db));
    CHECK_EQ(PROCESS_NONE, processes_find(&processes, 1));
    CHECK_EQ(PROCESS_NONE, processes_of_task(&processes, 1));
    processes_fini(&processes);
    sqlite3_close(db);
}

/* The map call is a task of its caller, but no process runs it alone. */
TEST(a_map_call_is_not_run_by_its_caller)
{
    sqlite3 *db = trace_new();
    struct processes processes;
    trace_process(db, 1, 0, 10, 0, 0);
    trace_sql(db, "INSERT INTO task(id, process, kind) VALUES(5, 1, 'map')");
    CHECK_EQ(0, processes_init(&processes, db));
    CHECK_EQ(PROCESS_NONE, processes_of_task(&processes, 5));
    processes_fini(&processes);
    sqlite3_close(db);
}

TEST(a_parent_may_have_a_higher_id_than_its_child_but_no_process_is_its_own)
{
    sqlite3 *db = trace_new();
    struct processes processes;
    trace_process(db, 1, 0, 10, 3, 0);
    trace_process(db, 2, 0, 10, 2, 0);
    trace_process(db, 3, 0, 10, 77, 0);
    CHECK_EQ(0, processes_init(&processes, db));
    CHECK_EQ(2, processes.rows[0].parent);
    CHECK_EQ(PROCESS_NONE, processes.rows[1].parent);
    CHECK_EQ(PROCESS_NONE, processes.rows[2].parent);
    processes_fini(&processes);
    sqlite3_close(db);
}

TEST(times_of_a_damaged_trace_are_held_within_bounds)
{
    sqlite3 *db = trace_new();
    struct processes processes;
    trace_process(db, 1, 20, 10, 0, 0); /* ends before it starts */
    trace_process(db, 2, INT64_MIN, INT64_MAX, 0, 0);
    trace_sql(db, "INSERT INTO process(id, pid, start_ns, end_ns) VALUES(3, 103, 5, 'never')");
    trace_sql(db, "INSERT INTO process(id, pid, start_ns) VALUES(4, 104, 5)");
    CHECK_EQ(0, processes_init(&processes, db));
    CHECK_EQ(3, processes.count);
    for (int i = 0; i < 3; i++) {
        int64_t ns;
        CHECK(!__builtin_sub_overflow(processes.rows[i].end_ns, processes.rows[i].start_ns, &ns));
        CHECK(ns >= 0);
    }
    CHECK_EQ(20, processes.rows[0].end_ns);
    processes_fini(&processes);
    sqlite3_close(db);
}

TEST_MAIN()
