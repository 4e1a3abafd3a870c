/* What predictions say besides their seconds: the limit in words, intervals, and how many CPUs are enough. */
#include "hand_maps.h"

#include "predict/predict.h"

static void predicted(struct fixture *f, struct predict *predict_for)
{
    struct sentence why;
    CHECK_EQ(0, predict(predict_for, f->db, &why));
}

TEST(a_prediction_names_the_limit_from_where_it_binds)
{
    const int cpus[] = {1, 2, 16, 64};
    struct fixture f = map_with_results();
    struct predict p = {.cpus = cpus, .count = 4};
    predicted(&f, &p);
    CHECK(p.predictions[1].seconds == 4600e-9);
    CHECK(p.predictions[1].speedup == 8300.0 / 4600);
    CHECK(strcmp(p.predictions[0].limit.text, "the tasks") == 0);
    CHECK(strcmp(p.predictions[2].limit.text, "from 4 CPUs on the parent's unpickling, 2.4 us") == 0);
    CHECK_EQ(16, p.enough);
    sqlite3_close(f.db);
}

TEST(the_longest_task_is_a_limit_of_its_own)
{
    int64_t tasks[9];
    const int cpus[] = {1, 2, 4};
    equal(tasks, 9, 1000);
    tasks[0] = 10000;
    struct fixture f = map_of(0, tasks, 9, 1, 1);
    struct predict p = {.cpus = cpus, .count = 3};
    predicted(&f, &p);
    CHECK(strcmp(p.predictions[2].limit.text, "from 2 CPUs on the longest task, 10 us") == 0);
    CHECK_EQ(2, p.enough);
    sqlite3_close(f.db);
}

/* Tasks that are all alike give no interval; others do, and it is around the prediction. */
TEST(an_interval_comes_from_how_much_tasks_differ)
{
    int64_t even[16], uneven[16];
    const int cpus[] = {4};
    equal(even, 16, 1000);
    for (int i = 0; i < 16; i++)
        uneven[i] = 100 * (i + 1);
    struct fixture f = map_of(0, even, 16, 1, 1), g = map_of(0, uneven, 16, 1, 1);
    struct predict p = {.cpus = cpus, .count = 1}, q = p;
    predicted(&f, &p);
    predicted(&g, &q);
    CHECK(p.predictions[0].low == p.predictions[0].seconds && p.predictions[0].high == p.predictions[0].seconds);
    CHECK(q.predictions[0].low < q.predictions[0].seconds && q.predictions[0].high > q.predictions[0].seconds);
    sqlite3_close(f.db);
    sqlite3_close(g.db);
}

/* The run had one worker, on a machine of 3 CPUs. */
TEST(a_prediction_for_the_report_has_the_run_and_its_machine_and_keeps_the_numbers_rising)
{
    int64_t tasks[8];
    const int cpus[] = {2, 8}, all[] = {1, 2, 3, 8, 12};
    equal(tasks, 8, 1000);
    struct fixture f = map_of(500, tasks, 8, 1, 1);
    struct predict p = {.cpus = cpus, .count = 2, .with_run = true};
    trace_sql(f.db, "INSERT INTO meta VALUES('cpus', 3)");
    predicted(&f, &p);
    CHECK_EQ(5, p.count);
    for (int i = 0; i < p.count; i++)
        CHECK_EQ(all[i], p.predictions[i].cpus);
    CHECK_EQ(1, p.measured_cpus);
    CHECK(p.measured_s == 8600e-9 && p.predictions[0].seconds == p.measured_s);
    sqlite3_close(f.db);
}

TEST(a_full_list_of_cpus_stays_as_it_is)
{
    int64_t tasks[1] = {1000};
    int cpus[PREDICT_COUNT_MOST];
    for (int i = 0; i < PREDICT_COUNT_MOST; i++)
        cpus[i] = i + 2;
    struct fixture f = map_of(0, tasks, 1, 1, 1);
    struct predict p = {.cpus = cpus, .count = PREDICT_COUNT_MOST, .with_run = true};
    predicted(&f, &p);
    CHECK_EQ(PREDICT_COUNT_MOST, p.count);
    CHECK_EQ(2, p.predictions[0].cpus);
    sqlite3_close(f.db);
}

TEST(a_trace_without_processes_lasts_no_time)
{
    const int cpus[] = {1, 64};
    struct fixture f = {.db = trace_new()};
    struct predict p = {.cpus = cpus, .count = 2};
    predicted(&f, &p);
    CHECK(p.predictions[1].seconds == 0);
    sqlite3_close(f.db);
}

TEST_MAIN()
