/* Simulations whose durations are worked out by hand, of stored traces. Where they are closed forms, they come out
 * exactly: Amdahl's law, equal tasks, one long task, a parent that takes results one by one. */
#include "hand_maps.h"

#include "predict/simulate.h"

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

/* 1000 arguments of 10 us: the claims grow to some milliseconds, and shrink towards the end. By a second implementation
 * of the rule, one worker claims 15 times; three end at 334 arguments. */
TEST(short_arguments_are_claimed_by_the_guided_rule)
{
    const int64_t tasks[] = {10000000};
    struct fixture f = map_of(0, tasks, 1, 1000, 0);
    struct map_changes none = {0};
    struct simulate_path path;
    fixture_open(&f);
    CHECK(simulate(&f.maps, &f.program, 1, &none, &path) > 10000099);
    CHECK_EQ(15, path.tasks);
    double ns = simulate(&f.maps, &f.program, 3, &none, NULL);
    CHECK(ns > 3340099 && ns < 3340101);
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

/* The same on a machine of 2 CPUs, which were in use all the time: that was no sleep, but lack of a CPU. */
TEST(where_all_cpus_were_in_use_a_process_that_was_on_none_did_not_sleep)
{
    struct fixture f = threads(500);
    f.cpus = 2;
    fixture_open(&f);
    CHECK_EQ(2000, lasts(&f, 1));
    CHECK_EQ(1000, lasts(&f, 2));
    CHECK_EQ(500, lasts(&f, 4));
    fixture_close(&f);
    f = threads(500);
    f.cpus = 3;
    fixture_open(&f);
    CHECK_EQ(1000, lasts(&f, 4));
    fixture_close(&f);
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

/* With extract and merge: `chunks` processes one after the other, each for 1000, of that many arguments; each is merged
 * for 100: all at the end, or in rounds of one. */
static struct fixture map_of_processes(int chunks, int64_t arguments, bool rounds)
{
    struct fixture f = {.db = trace_new()};
    int64_t now = 0, map, chunk;
    for (int i = 0; i < chunks; i++)
        trace_process(f.db, i + 2, 0, 0, 1, i + 1);
    map = TRACE_BEGIN(f.db, 1, 0, MAP, 99, chunks, 1);
    for (int i = 0; i < chunks; i++) {
        trace_sql(f.db, "UPDATE process SET start_ns = %lld, end_ns = %lld WHERE id = %d", (long long)now,
                  (long long)now + 1000, i + 2);
        TRACE_SPAN(f.db, 1, now, now, FORK, i + 1, 102 + i, 0);
        int64_t wait = TRACE_BEGIN(f.db, 1, now, WAIT, 0, SF_WAIT_MESSAGE, 0);
        chunk = TRACE_BEGIN(f.db, i + 2, now, CHUNK, i + 1, i, arguments);
        now += 1000;
        TRACE_SPAN(f.db, i + 2, now, now, EXTRACT, i + 1, 0, 0);
        TRACE_END(f.db, i + 2, now, CHUNK, i + 1, i, arguments, chunk);
        TRACE_INSTANT(f.db, i + 2, now, EXIT, i + 1, 0, 0);
        TRACE_END(f.db, 1, now, WAIT, 0, SF_WAIT_MESSAGE, 0, wait);
        for (int k = rounds ? i : 0; k <= i && (rounds || i == chunks - 1); k++, now += 100)
            TRACE_SPAN(f.db, 1, now, now + 100, MERGE, k + 1, 0, 0);
    }
    TRACE_END(f.db, 1, now, MAP, 99, chunks, 1, map);
    trace_process(f.db, 1, 0, now, 0, 0);
    return f;
}

TEST(a_process_for_each_chunk_and_then_the_merges)
{
    struct fixture f = map_of_processes(6, 1, false);
    fixture_open(&f);
    CHECK_EQ(6600, lasts(&f, 1));
    CHECK_EQ(3600, lasts(&f, 2));
    CHECK_EQ(2600, lasts(&f, 4));
    CHECK_EQ(1600, lasts(&f, 64));
    fixture_close(&f);
}

TEST(with_rounds_each_round_is_merged_before_the_next)
{
    struct fixture f = map_of_processes(6, 1, true);
    fixture_open(&f);
    CHECK(f.maps.rows[0].rounds);
    CHECK_EQ(6600, lasts(&f, 1));
    CHECK_EQ(3600, lasts(&f, 2));
    CHECK_EQ(2600, lasts(&f, 4));
    fixture_close(&f);
}

/* One chunk for the one worker: four workers have four chunks, and four merges. */
TEST(an_even_split_is_made_anew_for_each_number_of_workers)
{
    struct fixture f = map_of_processes(1, 8, false);
    fixture_open(&f);
    CHECK_EQ(1100, lasts(&f, 1));
    CHECK_EQ(500 + 200, lasts(&f, 2));
    CHECK_EQ(250 + 400, lasts(&f, 4));
    CHECK_EQ(375 + 300, lasts(&f, 3)); /* chunks of 3, 3 and 2 */
    fixture_close(&f);
}

/* Two chunks, each of which calls a map of four tasks of 1000. */
TEST(a_map_in_a_worker_has_the_workers_share_of_the_cpus)
{
    struct fixture f = {.db = trace_new()};
    trace_process(f.db, 1, 0, 8000, 0, 0);
    trace_process(f.db, 2, 0, 8000, 1, 1);
    int64_t outer = TRACE_BEGIN(f.db, 1, 0, MAP, 90, 2, 1);
    TRACE_SPAN(f.db, 1, 0, 0, FORK, 1, 102, 0);
    int64_t wait = TRACE_BEGIN(f.db, 1, 0, WAIT, 0, SF_WAIT_MESSAGE, 0);
    for (int i = 0; i < 2; i++) {
        int64_t from = i * 4000, to = from + 4000;
        trace_process(f.db, i + 3, from, to, 2, i + 2);
        int64_t chunk = TRACE_BEGIN(f.db, 2, from, CHUNK, 1, i, 1);
        int64_t inner = TRACE_BEGIN(f.db, 2, from, MAP, 91 + i, 4, 1);
        TRACE_SPAN(f.db, 2, from, from, FORK, i + 2, 103 + i, 0);
        int64_t inner_wait = TRACE_BEGIN(f.db, 2, from, WAIT, 0, SF_WAIT_MESSAGE, 0);
        for (int k = 0; k < 4; k++)
            TRACE_SPAN(f.db, i + 3, from + k * 1000, from + (k + 1) * 1000, CHUNK, i + 2, k, 1);
        TRACE_INSTANT(f.db, i + 3, to, EXIT, i + 2, 0, 0);
        TRACE_END(f.db, 2, to, WAIT, 0, SF_WAIT_MESSAGE, 0, inner_wait);
        TRACE_END(f.db, 2, to, MAP, 91 + i, 4, 1, inner);
        TRACE_END(f.db, 2, to, CHUNK, 1, i, 1, chunk);
    }
    TRACE_INSTANT(f.db, 2, 8000, EXIT, 1, 0, 0);
    TRACE_END(f.db, 1, 8000, WAIT, 0, SF_WAIT_MESSAGE, 0, wait);
    TRACE_END(f.db, 1, 8000, MAP, 90, 2, 1, outer);
    fixture_open(&f);
    CHECK_EQ(3, f.maps.count);
    CHECK_EQ(8000, lasts(&f, 1));
    CHECK_EQ(4000, lasts(&f, 2));
    CHECK_EQ(4000, lasts(&f, 3)); /* a share of 1.5 is 1 */
    CHECK_EQ(2000, lasts(&f, 4));
    CHECK_EQ(1000, lasts(&f, 8));
    fixture_close(&f);
}

/* Two workers: the first one's only chunk waits for a message of the second one's. One worker would wait for ever. */
TEST(chunks_that_wait_for_each_other_end_on_one_cpu_too)
{
    struct fixture f = {.db = trace_new()};
    trace_process(f.db, 1, 0, 1500, 0, 0);
    trace_process(f.db, 2, 0, 1500, 1, 1);
    trace_process(f.db, 3, 0, 1000, 1, 2);
    int64_t map = TRACE_BEGIN(f.db, 1, 0, MAP, 9, 2, 2);
    TRACE_SPAN(f.db, 1, 0, 0, FORK, 1, 102, 0);
    TRACE_SPAN(f.db, 1, 0, 0, FORK, 2, 103, 0);
    int64_t first = TRACE_BEGIN(f.db, 2, 0, CHUNK, 1, 0, 1), second = TRACE_BEGIN(f.db, 3, 0, CHUNK, 2, 1, 1);
    int64_t receive = TRACE_BEGIN(f.db, 2, 0, RECEIVE, 5, 0, 0),
            wait = TRACE_BEGIN(f.db, 2, 0, WAIT, 0, SF_WAIT_MESSAGE, 5);
    TRACE_SPAN(f.db, 3, 1000, 1000, SEND, 5, 1, 8);
    TRACE_END(f.db, 3, 1000, CHUNK, 2, 1, 1, second);
    TRACE_INSTANT(f.db, 3, 1000, EXIT, 2, 0, 0);
    TRACE_END(f.db, 2, 1000, WAIT, 0, SF_WAIT_MESSAGE, 5, wait);
    TRACE_END(f.db, 2, 1000, RECEIVE, 5, 1, 8, receive);
    TRACE_END(f.db, 2, 1500, CHUNK, 1, 0, 1, first);
    TRACE_INSTANT(f.db, 2, 1500, EXIT, 1, 0, 0);
    TRACE_END(f.db, 1, 1500, MAP, 9, 2, 2, map);
    fixture_open(&f);
    CHECK_EQ(1500, lasts(&f, 1)); /* it goes on without the message, and the other chunk comes after it */
    CHECK_EQ(1500, lasts(&f, 2));
    fixture_close(&f);
}

TEST(more_workers_than_cpus_share_them)
{
    int64_t tasks[8];
    equal(tasks, 8, 1000);
    struct fixture f = map_of(0, tasks, 8, 1, 1);
    struct map_changes two = {.machine = 2};
    fixture_open(&f);
    CHECK(simulate(&f.maps, &f.program, 4, &two, NULL) == 4100);
    CHECK(simulate(&f.maps, &f.program, 8, &two, NULL) == 4100);
    fixture_close(&f);
}

/* A worker that was on a CPU for 1000 of 5000: it pickled for 1000, so it slept in f. Two of them on one CPU sleep at
 * once, and pickle one after the other. */
TEST(cpu_time_goes_to_pickling_first)
{
    struct fixture f = {.db = trace_new()};
    trace_process(f.db, 1, 0, 5000, 0, 0);
    for (int i = 0; i < 2; i++) {
        trace_process(f.db, i + 2, 0, 5000, 1, i + 1);
        TRACE_SPAN(f.db, 1, 0, 0, FORK, i + 1, 102 + i, 0);
        int64_t run = TRACE_BEGIN(f.db, i + 2, 0, RUN, i + 1, 0, 0);
        TRACE_INSTANT(f.db, i + 2, 5000, PICKLED, 0, 64, 4000);
        TRACE_END(f.db, i + 2, 5000, RUN, i + 1, SF_OUTCOME_RETURNED, 0, run);
        TRACE_INSTANT(f.db, i + 2, 5000, USAGE, 0, 1000, 0);
    }
    TRACE_INSTANT(f.db, 1, 5000, USAGE, 0, 0, 0);
    fixture_open(&f);
    CHECK_EQ(6000, lasts(&f, 1));
    CHECK_EQ(5000, lasts(&f, 2));
    fixture_close(&f);
}

/* Copies on 4 CPUs take twice as long each. */
TEST(a_ceiling_slows_tasks_down_by_how_many_work)
{
    const double slowdowns[] = {0, 1, 1.25, 1.5, 2};
    int64_t tasks[8];
    equal(tasks, 8, 1000);
    struct fixture f = map_of(0, tasks, 8, 1, 1);
    struct map_changes ceiling = {.slowdowns = slowdowns, .slowdowns_most = 4};
    fixture_open(&f);
    CHECK(simulate(&f.maps, &f.program, 1, &ceiling, NULL) == 8100);
    CHECK(simulate(&f.maps, &f.program, 2, &ceiling, NULL) == 5100);
    CHECK(simulate(&f.maps, &f.program, 4, &ceiling, NULL) == 4100);
    CHECK(simulate(&f.maps, &f.program, 8, &ceiling, NULL) == 2100);
    fixture_close(&f);
}

TEST_MAIN()
