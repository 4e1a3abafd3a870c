/* Crews, of stored traces made by hand: their times are worked out by hand too, and come out exactly. */
#include "hand_maps.h"

#include <errno.h>

#include "predict/predict.h"
#include "predict/simulate.h"

enum { WORKER = 7 }; /* the task of the only worker, which is process 2 */

static int64_t lasts(const struct fixture *f, int cpus)
{
    struct map_changes none = {0};
    double ns = simulate(&f->maps, &f->program, cpus, &none, NULL);
    CHECK(ns == (double)(int64_t)ns);
    return (int64_t)ns;
}

/* The first process has forked the worker, whose life is [0, ends_ns]. It sleeps when it does not wait. */
static struct fixture one_worker(int64_t ends_ns)
{
    struct fixture f = {.db = trace_new()};
    trace_process(f.db, 1, 0, ends_ns + 100, 0, 0);
    trace_process(f.db, 2, 0, ends_ns, 1, WORKER);
    TRACE_SPAN(f.db, 1, 0, 0, FORK, WORKER, 102, 0);
    return f;
}

static void wait_for_result(struct fixture *f, int64_t from_ns, int64_t to_ns)
{
    TRACE_SPAN(f->db, 1, from_ns, to_ns, WAIT, 0, SF_WAIT_MESSAGE, 0);
}

static void end_both(struct fixture *f, int64_t ns)
{
    TRACE_INSTANT(f->db, 2, ns, EXIT, WORKER, 0, 0);
    TRACE_SPAN(f->db, 1, ns, ns, JOIN, WORKER, 0, 0);
    TRACE_INSTANT(f->db, 1, ns + 100, USAGE, 0, 0, 0);
}

/* Chunks of that many ns each, one after the other; the first process takes each result when it comes. */
static struct fixture imap_of(int count, int64_t ns)
{
    struct fixture f = one_worker(count * ns);
    for (int64_t i = 0; i < count; i++) {
        TRACE_SPAN(f.db, 2, i * ns, (i + 1) * ns, CHUNK, WORKER, i, 1);
        wait_for_result(&f, i * ns, (i + 1) * ns);
    }
    end_both(&f, count * ns);
    return f;
}

TEST(the_workers_of_imap_are_as_many_as_cpus_and_not_as_many_as_they_were)
{
    struct fixture f = imap_of(12, 1000);
    fixture_open(&f);
    for (int cpus = 1; cpus <= 16; cpus++)
        CHECK_EQ((12 + cpus - 1) / cpus * 1000 + 100, lasts(&f, cpus));
    fixture_close(&f);
}

/* After each result its process sleeps for 400. */
TEST(a_consumer_of_imap_does_what_it_did_between_results)
{
    struct fixture f = one_worker(4000);
    for (int64_t i = 0; i < 4; i++) {
        TRACE_SPAN(f.db, 2, i * 1000, (i + 1) * 1000, CHUNK, WORKER, i, 1);
        wait_for_result(&f, i * 1000 + (i ? 400 : 0), (i + 1) * 1000);
    }
    end_both(&f, 4000);
    fixture_open(&f);
    CHECK_EQ(4100, lasts(&f, 1));
    CHECK_EQ(1000 + 3 * 400 + 100, lasts(&f, 4));
    fixture_close(&f);
}

/* A task is submitted each 1000, and takes 3000. */
TEST(an_executors_task_is_not_done_before_it_was_submitted)
{
    struct fixture f = one_worker(25000);
    for (int64_t i = 0; i < 8; i++) {
        int64_t from_ns = 1000 + i * 3000;
        TRACE_INSTANT(f.db, 1, 1000 * (i + 1), SUBMIT, 0, i + 1, 0);
        if (!i)
            TRACE_SPAN(f.db, 2, 0, 1000, WAIT, 0, SF_WAIT_WORK, 0);
        TRACE_SPAN(f.db, 2, from_ns, from_ns + 3000, CHUNK, WORKER, i + 1, 1);
    }
    wait_for_result(&f, 8000, 25000);
    end_both(&f, 25000);
    fixture_open(&f);
    CHECK_EQ(25100, lasts(&f, 1));
    CHECK_EQ(14100, lasts(&f, 2));
    CHECK_EQ(11100, lasts(&f, 3));
    CHECK_EQ(11100, lasts(&f, 64));
    fixture_close(&f);
}

/* Three chunks are under way at a time; another thread submits the next one when one has come back. */
TEST(of_an_executors_map_more_chunks_are_under_way_with_more_workers)
{
    struct fixture f = one_worker(8000);
    for (int64_t i = 0; i < 8; i++) {
        int64_t lane = i < 3 ? 0 : 1, ns = i < 3 ? 0 : (i - 2) * 1000;
        if (i >= 3)
            wait_for_result(&f, (i - 3) * 1000, ns);
        trace_sql(f.db, "INSERT INTO event VALUES(1, 0, %lld, %d, 0, %lld, 2, %d, %lld, NULL)", (long long)ns,
                  SF_EVENT_SUBMIT, (long long)i + 1, SF_PHASE_INSTANT, (long long)lane);
        TRACE_SPAN(f.db, 2, i * 1000, (i + 1) * 1000, CHUNK, WORKER, i + 1, 1);
    }
    wait_for_result(&f, 5000, 8000);
    end_both(&f, 8000);
    fixture_open(&f);
    CHECK_EQ(8100, lasts(&f, 1));
    CHECK_EQ(2100, lasts(&f, 4));
    CHECK_EQ(1100, lasts(&f, 8));
    fixture_close(&f);
}

/* 16 arguments of 1000 in four chunks, which go through a pipe, and so do their results. */
static struct fixture pool_of(bool in_a_map)
{
    struct fixture f = one_worker(16000);
    int64_t map = in_a_map ? TRACE_BEGIN(f.db, 1, 0, MAP, 9, 0, 1) : 0;
    for (int64_t i = 0; i < 4; i++)
        TRACE_SPAN(f.db, 1, 0, 0, SEND, 5, i + 1, 64);
    for (int64_t i = 0; i < 4; i++) {
        TRACE_SPAN(f.db, 2, i * 4000, i * 4000, RECEIVE, 5, i + 1, 64);
        TRACE_SPAN(f.db, 2, i * 4000, (i + 1) * 4000, CHUNK, WORKER, i, 4);
        TRACE_SPAN(f.db, 2, (i + 1) * 4000, (i + 1) * 4000, SEND, 6, i + 1, 64);
        int64_t receive = TRACE_BEGIN(f.db, 1, i * 4000, RECEIVE, 6, 0, 0);
        TRACE_SPAN(f.db, 1, i * 4000, (i + 1) * 4000, WAIT, 0, SF_WAIT_MESSAGE, 6);
        TRACE_END(f.db, 1, (i + 1) * 4000, RECEIVE, 6, i + 1, 64, receive);
    }
    if (in_a_map)
        TRACE_END(f.db, 1, 16000, MAP, 9, 4, 1, map);
    end_both(&f, 16000);
    return f;
}

TEST(a_pools_map_is_cut_into_four_chunks_for_each_worker_where_it_was)
{
    struct fixture map = pool_of(true), imap = pool_of(false);
    fixture_open(&map);
    fixture_open(&imap);
    CHECK_EQ(16100, lasts(&map, 1));
    CHECK_EQ(8100, lasts(&map, 2));
    CHECK_EQ(4100, lasts(&map, 4));
    CHECK_EQ(1100, lasts(&map, 16));
    CHECK_EQ(8100, lasts(&imap, 2));
    CHECK_EQ(4100, lasts(&imap, 16)); /* the program itself has said how large its chunks are */
    fixture_close(&map);
    fixture_close(&imap);
}

/* The worker was killed, as a Pool kills its own: only its parent has told that it used next to no CPU time. */
TEST(a_worker_that_was_killed_slept_if_its_parent_has_told_so)
{
    struct map_changes one = {.machine = 1};
    for (int told = 0; told < 2; told++) {
        struct fixture f = imap_of(4, 100000);
        if (told)
            trace_sql(f.db, "UPDATE event SET b = 40 WHERE kind = %d", SF_EVENT_USAGE);
        fixture_open(&f);
        double ns = simulate(&f.maps, &f.program, 4, &one, NULL);
        CHECK(told ? ns < 101000 : ns > 400000);
        fixture_close(&f);
    }
}

static void refused(sqlite3 *db, const char *because)
{
    const int cpus[] = {1, 64};
    struct predict p = {.cpus = cpus, .count = 2};
    struct sentence why;
    CHECK_EQ(-ENOTSUP, predict(&p, db, &why));
    CHECK(strstr(why.text, because) != NULL);
    sqlite3_close(db);
}

/* Both have a chunk of that number, at the same time. */
TEST(two_crews_of_a_process_at_the_same_time_are_refused)
{
    sqlite3 *db = trace_new();
    trace_process(db, 1, 0, 1100, 0, 0);
    for (int i = 0; i < 2; i++) {
        trace_process(db, i + 2, 0, 1000, 1, i + 1);
        TRACE_SPAN(db, 1, 0, 0, FORK, i + 1, 102 + i, 0);
        TRACE_SPAN(db, i + 2, 0, 1000, CHUNK, i + 1, 1, 1);
        TRACE_INSTANT(db, i + 2, 1000, EXIT, i + 1, 0, 0);
    }
    refused(db, "process 2 had its chunks");
}

TEST(chunks_of_a_process_that_nobody_has_forked_are_refused)
{
    sqlite3 *db = trace_new();
    trace_process(db, 1, 0, 1100, 0, 0);
    trace_process(db, 2, 0, 1000, 0, WORKER);
    TRACE_SPAN(db, 2, 0, 1000, CHUNK, WORKER, 1, 1);
    refused(db, "ran on another machine");
}

TEST(a_map_on_an_executor_is_refused)
{
    sqlite3 *db = trace_new();
    trace_process(db, 1, 0, 1100, 0, 0);
    trace_sql(db, "INSERT INTO task(id, kind, name) VALUES(9, 'map', 'f')");
    refused(db, "a map on an Executor");
}

TEST_MAIN()
