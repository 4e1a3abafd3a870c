/* Predictions whose durations are worked out by hand, from stored traces. Where they are closed forms, they come out
 * exactly: Amdahl's law, equal tasks, one long task, a parent that takes results one by one. */
#include "tracer/analyze/hand_trace.h"

#include "analyze/graph_build.h"
#include "predict/predict.h"
#include "predict/simulate.h"

struct fixture {
    sqlite3 *db;
    struct processes processes;
    struct graph graph;
    struct program program;
    struct maps maps;
};

static void fixture_open(struct fixture *f)
{
    CHECK_EQ(0, processes_init(&f->processes, f->db));
    CHECK_EQ(0, graph_build(&f->graph, f->db, &f->processes));
    CHECK_EQ(0, program_init(&f->program, &f->graph));
    CHECK_EQ(0, maps_init(&f->maps, &f->program));
}

static void fixture_close(struct fixture *f)
{
    maps_fini(&f->maps);
    program_fini(&f->program);
    graph_fini(&f->graph);
    processes_fini(&f->processes);
    sqlite3_close(f->db);
}

/* The duration, which is a whole number in all of these. */
static int64_t lasts(const struct fixture *f, int cpus)
{
    struct map_changes none = {0};
    struct simulate_path path;
    double ns = simulate(&f->maps, &f->program, cpus, &none, &path), sum = 0;
    CHECK(ns == (double)(int64_t)ns);
    for (int i = 0; i < ACTIVITY_COUNT; i++)
        sum += path.ns[i];
    CHECK(sum > ns - 0.001 && sum < ns + 0.001); /* the path covers all of it */
    CHECK(simulate(&f->maps, &f->program, cpus, &none, NULL) == ns);
    return (int64_t)ns;
}

/* A program that runs for `serial` ns, calls a map with one worker and these tasks, one to a chunk, and runs for 100
 * more. Nothing else takes time: forks, begins, ends and results are there at once. Chunks may have several arguments.
 */
static struct fixture map_of(int64_t serial, const int64_t *tasks, int count, int64_t arguments, int chunksize)
{
    struct fixture f = {.db = trace_new()};
    int64_t now = serial;
    for (int i = 0; i < count; i++)
        now += tasks[i];
    trace_process(f.db, 1, 0, now + 100, 0, 0);
    trace_process(f.db, 2, serial, now, 1, 7);
    int64_t map = TRACE_BEGIN(f.db, 1, serial, MAP, 3, chunksize ? count : 0, 1);
    TRACE_SPAN(f.db, 1, serial, serial, FORK, 7, 102, 0);
    int64_t wait = TRACE_BEGIN(f.db, 1, serial, WAIT, 0, SF_WAIT_MESSAGE, 0);
    int64_t run = TRACE_BEGIN(f.db, 2, serial, RUN, 7, 0, 0);
    for (int64_t i = 0, at = serial; i < count; at += tasks[i++])
        TRACE_SPAN(f.db, 2, at, at + tasks[i], CHUNK, 7, i, arguments);
    TRACE_END(f.db, 2, now, RUN, 7, SF_OUTCOME_RETURNED, 0, run);
    TRACE_INSTANT(f.db, 2, now, EXIT, 7, 0, 0);
    TRACE_END(f.db, 1, now, WAIT, 0, SF_WAIT_MESSAGE, 0, wait);
    TRACE_END(f.db, 1, now, MAP, 3, count, 1, map);
    return f;
}

static void equal(int64_t *tasks, int count, int64_t ns)
{
    for (int i = 0; i < count; i++)
        tasks[i] = ns;
}

TEST(equal_tasks_take_as_many_rounds_as_there_are_tasks_for_each_cpu)
{
    int64_t tasks[12];
    equal(tasks, 12, 1000);
    struct fixture f = map_of(0, tasks, 12, 1, 1);
    fixture_open(&f);
    for (int cpus = 1; cpus <= 16; cpus++)
        CHECK_EQ((12 + cpus - 1) / cpus * 1000 + 100, lasts(&f, cpus));
    fixture_close(&f);
}

/* Amdahl: a serial part of 4100 and 24000 that divide evenly. */
TEST(a_serial_part_stays_as_it_is)
{
    int64_t tasks[24];
    equal(tasks, 24, 1000);
    struct fixture f = map_of(4000, tasks, 24, 1, 1);
    fixture_open(&f);
    const int cpus[] = {1, 2, 3, 4, 6, 8, 12, 24};
    for (size_t i = 0; i < sizeof cpus / sizeof *cpus; i++)
        CHECK_EQ(4100 + 24000 / cpus[i], lasts(&f, cpus[i]));
    fixture_close(&f);
}

/* The long task is the last of 9: 8 others first, then it alone. As the first one, it hides them. */
TEST(one_long_task_bounds_the_time_and_its_place_counts)
{
    int64_t last[9], first[9];
    equal(last, 9, 1000);
    equal(first, 9, 1000);
    last[8] = first[0] = 10000;
    struct fixture f = map_of(0, last, 9, 1, 1), g = map_of(0, first, 9, 1, 1);
    fixture_open(&f);
    fixture_open(&g);
    CHECK_EQ(18100, lasts(&f, 1));
    CHECK_EQ(14100, lasts(&f, 2));
    CHECK_EQ(12100, lasts(&f, 4));
    CHECK_EQ(10100, lasts(&f, 16));
    CHECK_EQ(10100, lasts(&g, 2));
    CHECK_EQ(10100, lasts(&g, 16));
    fixture_close(&f);
    fixture_close(&g);
}

/* Without chunksize, one chunk of 8 arguments of 10 ms each: the workers claim them one by one. */
TEST(a_chunk_of_a_map_without_chunksize_is_cut_into_its_arguments)
{
    const int64_t tasks[] = {80000000};
    struct fixture f = map_of(0, tasks, 1, 8, 0);
    fixture_open(&f);
    CHECK_EQ(80000100, lasts(&f, 1));
    CHECK_EQ(40000100, lasts(&f, 2));
    CHECK_EQ(20000100, lasts(&f, 4));
    CHECK_EQ(10000100, lasts(&f, 8));
    CHECK_EQ(10000100, lasts(&f, 64));
    fixture_close(&f);
}

/* With chunksize it stays whole. */
TEST(a_chunk_of_a_map_with_chunksize_stays_whole)
{
    const int64_t tasks[] = {80000000};
    struct fixture f = map_of(0, tasks, 1, 8, 8);
    fixture_open(&f);
    CHECK_EQ(80000100, lasts(&f, 64));
    fixture_close(&f);
}

/* Four processes that the first one has started at once, each for 1000 ns on a CPU. */
static struct fixture threads(int64_t cpu_ns)
{
    struct fixture f = {.db = trace_new()};
    trace_process(f.db, 1, 0, 1000, 0, 0);
    for (int i = 0; i < 4; i++)
        trace_process(f.db, i + 2, 0, 1000, 1, i + 1);
    for (int i = 0; i < 4; i++)
        TRACE_SPAN(f.db, 1, 0, 0, FORK, i + 1, 100 + i + 2, 0);
    for (int i = 0; i < 4; i++) {
        TRACE_SPAN(f.db, i + 2, 0, 1000, RUN, i + 1, SF_OUTCOME_RETURNED, 0);
        TRACE_INSTANT(f.db, i + 2, 1000, USAGE, 0, cpu_ns, 0);
        TRACE_INSTANT(f.db, i + 2, 1000, EXIT, i + 1, 0, 0);
    }
    for (int i = 0; i < 4; i++) {
        int64_t join = TRACE_BEGIN(f.db, 1, i ? 1000 : 0, JOIN, i + 1, 0, 0);
        TRACE_SPAN(f.db, 1, i ? 1000 : 0, 1000, WAIT, 0, SF_WAIT_CHILD, i + 1);
        TRACE_END(f.db, 1, 1000, JOIN, i + 1, 0, 0, join);
    }
    return f;
}

TEST(processes_that_are_more_than_the_cpus_share_them)
{
    struct fixture f = threads(1000);
    fixture_open(&f);
    CHECK_EQ(4000, lasts(&f, 1));
    CHECK_EQ(2000, lasts(&f, 2));
    CHECK_EQ(1000, lasts(&f, 4));
    CHECK_EQ(1000, lasts(&f, 64));
    fixture_close(&f);
}

TEST(processes_that_sleep_need_no_cpu)
{
    struct fixture f = threads(0);
    fixture_open(&f);
    CHECK_EQ(1000, lasts(&f, 1));
    CHECK_EQ(1000, lasts(&f, 64));
    fixture_close(&f);
}

/* Half of the time asleep: on one CPU four want two, and the half that is work takes twice as long. */
TEST(work_is_slowed_down_and_sleep_is_not)
{
    struct fixture f = threads(500);
    fixture_open(&f);
    CHECK_EQ(1500, lasts(&f, 1));
    CHECK_EQ(1000, lasts(&f, 2));
    fixture_close(&f);
}

/* Each of 8 results takes the parent 300 to unpickle, after tasks of 1000: on 1 worker that is hidden but for the last
 * one, where the parent has a CPU of its own. */
static struct fixture map_with_results(void)
{
    struct fixture f = {.db = trace_new()};
    trace_process(f.db, 1, 0, 8300, 0, 0);
    trace_process(f.db, 2, 0, 8000, 1, 7);
    int64_t map = TRACE_BEGIN(f.db, 1, 0, MAP, 3, 8, 1);
    TRACE_SPAN(f.db, 1, 0, 0, FORK, 7, 102, 0);
    int64_t wait = TRACE_BEGIN(f.db, 1, 0, WAIT, 0, SF_WAIT_MESSAGE, 0);
    int64_t run = TRACE_BEGIN(f.db, 2, 0, RUN, 7, 0, 0);
    for (int64_t i = 0; i < 8; i++) {
        TRACE_SPAN(f.db, 2, i * 1000, (i + 1) * 1000, CHUNK, 7, i, 1);
        TRACE_INSTANT(f.db, 1, (i + 1) * 1000 + 300, PICKLED, 0, 64, (i + 1) * 1000);
    }
    TRACE_END(f.db, 2, 8000, RUN, 7, SF_OUTCOME_RETURNED, 0, run);
    TRACE_INSTANT(f.db, 2, 8000, USAGE, 0, 0, 0);
    TRACE_INSTANT(f.db, 2, 8000, EXIT, 7, 0, 0);
    TRACE_END(f.db, 1, 8300, WAIT, 0, SF_WAIT_MESSAGE, 0, wait);
    TRACE_END(f.db, 1, 8300, MAP, 3, 8, 1, map);
    return f;
}

TEST(results_are_taken_one_by_one)
{
    struct fixture f = map_with_results();
    fixture_open(&f);
    CHECK_EQ(8300, lasts(&f, 1));
    CHECK_EQ(4600, lasts(&f, 2)); /* the last two at 4000 */
    CHECK_EQ(3400, lasts(&f, 8)); /* at 1000, eight */
    CHECK_EQ(3400, lasts(&f, 64));
    fixture_close(&f);
}

/* Workers send a message each to a process that takes 500 for each, and ends with the last one. */
static struct fixture map_with_collector(void)
{
    struct fixture f = {.db = trace_new()};
    trace_process(f.db, 1, 0, 4500, 0, 0);
    trace_process(f.db, 2, 0, 4500, 1, 1);
    trace_process(f.db, 3, 0, 4000, 1, 2);
    TRACE_SPAN(f.db, 1, 0, 0, FORK, 1, 102, 0);
    int64_t map = TRACE_BEGIN(f.db, 1, 0, MAP, 3, 4, 1);
    TRACE_SPAN(f.db, 1, 0, 0, FORK, 2, 103, 0);
    int64_t wait = TRACE_BEGIN(f.db, 1, 0, WAIT, 0, SF_WAIT_MESSAGE, 0);
    int64_t collect = TRACE_BEGIN(f.db, 2, 0, RUN, 1, 0, 0);
    for (int64_t i = 0; i < 4; i++) {
        int64_t from = i * 1000, to = from + 1000;
        int64_t receive = TRACE_BEGIN(f.db, 2, i ? from + 500 : 0, RECEIVE, 1, 0, 0);
        int64_t receive_wait = TRACE_BEGIN(f.db, 2, i ? from + 500 : 0, WAIT, 0, SF_WAIT_MESSAGE, 1);
        int64_t chunk = TRACE_BEGIN(f.db, 3, from, CHUNK, 2, i, 1);
        TRACE_SPAN(f.db, 3, to, to, SEND, 1, i + 1, 8);
        TRACE_END(f.db, 3, to, CHUNK, 2, i, 1, chunk);
        TRACE_END(f.db, 2, to, WAIT, 0, SF_WAIT_MESSAGE, 1, receive_wait);
        TRACE_END(f.db, 2, to, RECEIVE, 1, i + 1, 8, receive);
    }
    TRACE_INSTANT(f.db, 3, 4000, EXIT, 2, 0, 0);
    TRACE_END(f.db, 1, 4000, WAIT, 0, SF_WAIT_MESSAGE, 0, wait);
    TRACE_END(f.db, 1, 4000, MAP, 3, 4, 1, map);
    TRACE_END(f.db, 2, 4500, RUN, 1, SF_OUTCOME_RETURNED, 0, collect);
    TRACE_INSTANT(f.db, 2, 4500, USAGE, 0, 0, 0);
    TRACE_INSTANT(f.db, 2, 4500, EXIT, 1, 0, 0);
    int64_t join = TRACE_BEGIN(f.db, 1, 4000, JOIN, 1, 0, 0);
    TRACE_SPAN(f.db, 1, 4000, 4500, WAIT, 0, SF_WAIT_CHILD, 1);
    TRACE_END(f.db, 1, 4500, JOIN, 1, 0, 0, join);
    return f;
}

TEST(a_process_that_receives_from_workers_becomes_the_limit)
{
    struct fixture f = map_with_collector();
    fixture_open(&f);
    CHECK_EQ(4500, lasts(&f, 1));
    CHECK_EQ(3000, lasts(&f, 2)); /* at 1000 two, until 2000; at 2000 two more, until 3000 */
    CHECK_EQ(3000, lasts(&f, 4)); /* at 1000 four */
    fixture_close(&f);
}

/* ---- predictions ---- */

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
