/* Graphs read from stored traces: which event provides what, and which wait was for it. */
#include "hand_trace.h"
#include "random_numbers.h"

#include "analyze/critical_path.h"
#include "analyze/graph_build.h"
#include "analyze/replay.h"

struct fixture {
    sqlite3 *db;
    struct processes processes;
    struct graph graph;
};

static void fixture_open(struct fixture *f)
{
    CHECK_EQ(0, processes_init(&f->processes, f->db));
    CHECK_EQ(0, graph_build(&f->graph, f->db, &f->processes));
}

static void fixture_close(struct fixture *f)
{
    graph_fini(&f->graph);
    processes_fini(&f->processes);
    sqlite3_close(f->db);
}

/* Processes 1 and 2 (their indices are 0 and 1), both from 0 to 100. */
static struct fixture two_processes(void)
{
    struct fixture f = {.db = trace_new()};
    trace_process(f.db, 1, 0, 100, 0, 0);
    trace_process(f.db, 2, 0, 100, 0, 0);
    return f;
}

/* The process's wait that ends at that time. */
static const struct step *wait_until(const struct fixture *f, int process, int64_t to_ns)
{
    for (uint32_t i = 0; i < f->graph.count; i++) {
        const struct step *step = &f->graph.steps[i];
        if (step->process == process && step->to_ns == to_ns && graph_is_wait(step) && step->from_ns < to_ns)
            return step;
    }
    FAIL("process %d has no wait that ends at %lld", process, (long long)to_ns);
}

#define CHECK_ENDED_BY(f, ended, in_process, at_ns)                                                                    \
    do {                                                                                                               \
        uint32_t provider = (ended)->provider;                                                                         \
        CHECK(provider != GRAPH_NONE);                                                                                 \
        CHECK_EQ(in_process, (f)->graph.steps[provider].process);                                                      \
        CHECK_EQ(at_ns, (f)->graph.steps[provider].to_ns);                                                             \
    } while (0)

TEST(a_life_without_events_is_a_start_a_stretch_and_an_end)
{
    struct fixture f = {.db = trace_new()};
    trace_process(f.db, 1, 10, 100, 0, 0);
    fixture_open(&f);
    CHECK_EQ(3, f.graph.count);
    CHECK(f.graph.steps[0].starts);
    CHECK_EQ(CATEGORY_RUNNING, f.graph.steps[1].category);
    CHECK_EQ(10, f.graph.steps[1].from_ns);
    CHECK_EQ(100, f.graph.steps[1].to_ns);
    CHECK(f.graph.steps[2].provided);
    CHECK_EQ(10, f.graph.from_ns);
    CHECK_EQ(100, f.graph.to_ns);
    fixture_close(&f);
}

/* A message with that number on channel 1: sent from 20 to 30; received from 10 to 35, waited for until 32. */
static void add_message(sqlite3 *db, int sent, int received)
{
    TRACE_SPAN(db, 1, 20, 30, SEND, 1, sent, 64);
    int64_t receive = TRACE_BEGIN(db, 2, 10, RECEIVE, 1, 0, 0);
    TRACE_SPAN(db, 2, 12, 32, WAIT, 0, SF_WAIT_MESSAGE, 1);
    TRACE_END(db, 2, 35, RECEIVE, 1, received, 64, receive);
}

TEST(the_end_of_a_send_ends_the_wait_of_the_receive_with_the_same_number)
{
    struct fixture f = two_processes();
    add_message(f.db, 7, 7);
    fixture_open(&f);
    CHECK_ENDED_BY(&f, wait_until(&f, 1, 32), 0, 30);
    fixture_close(&f);
}

/* The last event that was added is another thread's. */
static int64_t by_another_thread(sqlite3 *db, int64_t event)
{
    trace_sql(db, "UPDATE event SET lane = 1 WHERE rowid = %lld", (long long)event);
    return event;
}

/* Process 2: its first thread waits from 5 to 40 for what another thread brings. That one waits from 10 to 32 for a
 * message, which process 1 sends from 20 to 30, and has it at 33. */
static struct fixture two_threads(int reason)
{
    struct fixture f = two_processes();
    TRACE_SPAN(f.db, 1, 20, 30, SEND, 1, 7, 64);
    int64_t first = TRACE_BEGIN(f.db, 2, 5, WAIT, 0, reason, 0);
    int64_t receive = by_another_thread(f.db, TRACE_BEGIN(f.db, 2, 8, RECEIVE, 1, 0, 0));
    int64_t wait = by_another_thread(f.db, TRACE_BEGIN(f.db, 2, 10, WAIT, 0, SF_WAIT_MESSAGE, 1));
    by_another_thread(f.db, TRACE_END(f.db, 2, 32, WAIT, 0, SF_WAIT_MESSAGE, 1, wait));
    by_another_thread(f.db, TRACE_END(f.db, 2, 33, RECEIVE, 1, 7, 64, receive));
    TRACE_END(f.db, 2, 40, WAIT, 0, reason, 0, first);
    return f;
}

TEST(a_message_that_another_thread_takes_ends_the_wait_of_the_first)
{
    struct fixture f = two_threads(SF_WAIT_MESSAGE);
    fixture_open(&f);
    const struct step *wait = wait_until(&f, 1, 33);
    CHECK_EQ(CATEGORY_LATE_SENDER, wait->category);
    CHECK_ENDED_BY(&f, wait, 0, 30);
    fixture_close(&f);
}

TEST(a_wait_for_a_thread_is_a_wait_for_what_that_waits_for)
{
    struct fixture f = two_threads(SF_WAIT_THREAD);
    fixture_open(&f);
    const struct step *wait = wait_until(&f, 1, 33);
    CHECK_EQ(CATEGORY_LOCK, wait->category);
    CHECK_ENDED_BY(&f, wait, 0, 30);
    fixture_close(&f);
}

/* The first thread of process 2 waits for a message from 12 to 32. Meanwhile another thread waits for a child, takes a
 * message of another channel, and pickles something. */
TEST(what_other_threads_do_does_not_change_what_a_wait_is_for)
{
    struct fixture f = two_processes();
    TRACE_SPAN(f.db, 1, 14, 16, SEND, 2, 1, 64);
    TRACE_SPAN(f.db, 1, 20, 30, SEND, 1, 7, 64);
    int64_t receive = TRACE_BEGIN(f.db, 2, 10, RECEIVE, 1, 0, 0),
            wait = TRACE_BEGIN(f.db, 2, 12, WAIT, 0, SF_WAIT_MESSAGE, 1);
    int64_t other = by_another_thread(f.db, TRACE_BEGIN(f.db, 2, 13, RECEIVE, 2, 0, 0));
    int64_t child = by_another_thread(f.db, TRACE_BEGIN(f.db, 2, 14, WAIT, 0, SF_WAIT_CHILD, 0));
    by_another_thread(f.db, TRACE_END(f.db, 2, 18, WAIT, 0, SF_WAIT_CHILD, 0, child));
    by_another_thread(f.db, TRACE_END(f.db, 2, 19, RECEIVE, 2, 1, 64, other));
    by_another_thread(f.db, TRACE_INSTANT(f.db, 2, 22, PICKLED, 0, 64, 20));
    TRACE_END(f.db, 2, 32, WAIT, 0, SF_WAIT_MESSAGE, 1, wait);
    TRACE_END(f.db, 2, 35, RECEIVE, 1, 7, 64, receive);
    fixture_open(&f);
    CHECK_ENDED_BY(&f, wait_until(&f, 1, 32), 0, 30);
    fixture_close(&f);
}

TEST(a_send_of_another_message_ends_no_wait)
{
    struct fixture f = two_processes();
    add_message(f.db, 6, 7);
    fixture_open(&f);
    CHECK_EQ(GRAPH_NONE, wait_until(&f, 1, 32)->provider);
    fixture_close(&f);
}

/* The second process waits for room in channel 1 until 40; the first takes a message out of it, until 35. */
TEST(the_end_of_a_receive_ends_a_wait_for_room_in_the_channel)
{
    struct fixture f = two_processes();
    TRACE_SPAN(f.db, 1, 30, 35, RECEIVE, 1, 1, 64);
    TRACE_SPAN(f.db, 2, 20, 40, WAIT, 0, SF_WAIT_ROOM, 1);
    fixture_open(&f);
    CHECK_ENDED_BY(&f, wait_until(&f, 1, 40), 0, 35);
    fixture_close(&f);
}

/* The parent forks from 10 to 14 and joins from 20; the child runs from 12 to 60, says so, and is gone at 66. */
static struct fixture thread(void)
{
    struct fixture f = {.db = trace_new()};
    trace_process(f.db, 1, 0, 100, 0, 0);
    trace_process(f.db, 2, 12, 66, 1, 1);
    TRACE_SPAN(f.db, 1, 10, 14, FORK, 1, 0, 0);
    TRACE_INSTANT(f.db, 2, 60, EXIT, 1, 0, 0);
    int64_t join = TRACE_BEGIN(f.db, 1, 20, JOIN, 1, 0, 0);
    TRACE_SPAN(f.db, 1, 22, 64, WAIT, 0, SF_WAIT_CHILD, 1);
    TRACE_END(f.db, 1, 65, JOIN, 1, 0, 0, join);
    return f;
}

TEST(a_child_is_forked_at_the_begin_of_the_fork)
{
    struct fixture f = thread();
    fixture_open(&f);
    for (uint32_t i = 0; i < f.graph.count; i++)
        if (f.graph.steps[i].starts && f.graph.steps[i].process == 1)
            CHECK_ENDED_BY(&f, &f.graph.steps[i], 0, 10);
    fixture_close(&f);
}

TEST(a_child_whose_fork_was_not_seen_was_forked_when_it_began)
{
    struct fixture f = {.db = trace_new()};
    trace_process(f.db, 1, 0, 100, 0, 0);
    trace_process(f.db, 2, 12, 66, 1, 0);
    fixture_open(&f);
    int starts = 0;
    for (uint32_t i = 0; i < f.graph.count; i++)
        if (f.graph.steps[i].starts && f.graph.steps[i].process == 1) {
            CHECK_ENDED_BY(&f, &f.graph.steps[i], 0, 12);
            starts++;
        }
    CHECK_EQ(1, starts);
    fixture_close(&f);
}

TEST(a_child_whose_first_record_is_later_than_its_parents_end_was_forked_at_that_end)
{
    struct fixture f = {.db = trace_new()};
    trace_process(f.db, 1, 0, 100, 0, 0);
    trace_process(f.db, 2, 5, 10, 1, 0);
    trace_process(f.db, 3, 12, 110, 2, 0);
    fixture_open(&f);
    int starts = 0;
    for (uint32_t i = 0; i < f.graph.count; i++)
        if (f.graph.steps[i].starts && f.graph.steps[i].process == 2) {
            CHECK_ENDED_BY(&f, &f.graph.steps[i], 1, 10);
            CHECK(!f.graph.steps[i].outside);
            starts++;
        }
    CHECK_EQ(1, starts);
    fixture_close(&f);
}

TEST(the_exit_of_a_child_ends_the_wait_of_its_join_though_it_is_gone_later)
{
    struct fixture f = thread();
    fixture_open(&f);
    CHECK_ENDED_BY(&f, wait_until(&f, 0, 64), 1, 60);
    fixture_close(&f);
}

/* The parent waits in the kernel for a child of which it does not say which. */
TEST(the_end_of_any_child_ends_a_wait_for_a_child_that_only_the_kernel_saw)
{
    struct fixture f = {.db = trace_new()};
    trace_process(f.db, 1, 0, 100, 0, 0);
    trace_process(f.db, 2, 10, 50, 1, 0);
    trace_process(f.db, 3, 10, 90, 1, 0);
    trace_sql(f.db, "INSERT INTO kernel_wait VALUES(1, 101, 'child', 20, 55)");
    fixture_open(&f);
    CHECK_ENDED_BY(&f, wait_until(&f, 0, 55), 1, 50);
    fixture_close(&f);
}

/* The parent asks at 10 and waits until 33; the child waits for that until 12, pickles the item until 30, and ends its
 * span at 40, when the parent goes on already. */
TEST(a_request_ends_the_wait_of_a_generator_and_its_pickled_item_that_of_its_parent)
{
    struct fixture f = {.db = trace_new()};
    trace_process(f.db, 1, 0, 100, 0, 0);
    trace_process(f.db, 2, 1, 90, 1, 1);
    int64_t next = TRACE_BEGIN(f.db, 1, 10, NEXT, 1, 0, 0);
    TRACE_SPAN(f.db, 2, 5, 12, WAIT, 0, SF_WAIT_REQUEST, 1);
    TRACE_SPAN(f.db, 1, 11, 33, WAIT, 0, SF_WAIT_ITEM, 1);
    TRACE_END(f.db, 1, 35, NEXT, 1, 8, 0, next);
    int64_t item = TRACE_BEGIN(f.db, 2, 14, ITEM, 1, 0, 0);
    TRACE_INSTANT(f.db, 2, 30, PICKLED, 0, 8, 25);
    TRACE_END(f.db, 2, 40, ITEM, 1, 8, 0, item);
    fixture_open(&f);
    CHECK_ENDED_BY(&f, wait_until(&f, 1, 12), 0, 10);
    CHECK_ENDED_BY(&f, wait_until(&f, 0, 33), 1, 30);
    fixture_close(&f);
}

/* The wait was for one message, but a wake-up for nothing and a time without a CPU cut it in three. */
TEST(all_parts_of_an_interrupted_wait_require_the_same)
{
    struct fixture f = two_processes();
    add_message(f.db, 7, 7);
    trace_sql(f.db, "INSERT INTO sched_slice VALUES(2, 102, 0, 18, 19, 'blocked', NULL, 15)");
    fixture_open(&f);
    const struct step *first = wait_until(&f, 1, 15), *last = wait_until(&f, 1, 32);
    CHECK(first->required);
    CHECK_EQ(first->required, last->required);
    CHECK(first->goes_on);
    CHECK(&f.graph.steps[last->first] == first);
    CHECK_ENDED_BY(&f, last, 0, 30);
    fixture_close(&f);
}

/* Writing an event takes 2 ns. The begin's are taken from the merging behind it, the end's from the running behind
 * that. */
TEST(tracing_is_taken_from_the_steps_behind_the_events)
{
    struct fixture f = {.db = trace_new()};
    trace_process(f.db, 1, 0, 100, 0, 0);
    trace_sql(f.db, "INSERT INTO meta VALUES('event_cost_ps', 2000)");
    TRACE_SPAN(f.db, 1, 20, 30, MERGE, 1, 0, 0);
    fixture_open(&f);
    int64_t tracing_ns[CATEGORY_COUNT] = {0};
    for (uint32_t i = 0; i < f.graph.count; i++)
        tracing_ns[f.graph.steps[i].category] += f.graph.steps[i].tracing_ns;
    CHECK_EQ(2, tracing_ns[CATEGORY_MERGING]);
    CHECK_EQ(2, tracing_ns[CATEGORY_RUNNING]);
    fixture_close(&f);
}

/* Events of any kind at any time, in any order, of processes that fork each other. */
static struct fixture random_trace(uint64_t seed)
{
    struct random_numbers r = {seed};
    struct fixture f = {.db = trace_new()};
    int count = random_below(&r, 5) + 1;
    for (int id = 1; id <= count; id++) {
        int start_ns = random_below(&r, 20);
        trace_process(f.db, id, start_ns, start_ns + random_below(&r, 80), random_below(&r, count + 1),
                      random_below(&r, 2) ? id : 0);
    }
    for (int i = 0, events = random_below(&r, 80); i < events; i++) {
        int process = random_below(&r, count + 2), kind = random_below(&r, 40), ns = random_below(&r, 110) - 5;
        int64_t begin = 0;
        for (int phase = random_below(&r, 2); phase < 3; phase++) {
            begin = trace_event(f.db, process, ns, kind, phase, random_below(&r, 5), random_below(&r, 6),
                                random_below(&r, 100), begin);
            ns += random_below(&r, 10);
        }
    }
    for (int i = random_below(&r, 10); i > 0; i--) {
        int process = random_below(&r, count + 1), from_ns = random_below(&r, 100);
        trace_sql(f.db, "INSERT INTO kernel_wait VALUES(%d, %d, 'child', %d, %d)", process, 100 + process, from_ns,
                  from_ns + random_below(&r, 20));
        trace_sql(f.db, "INSERT INTO fault VALUES(%d, %d, 'copy-on-write', 'user', %d, %d, 1, %d, 1)", process,
                  100 + process, from_ns, from_ns + random_below(&r, 20), random_below(&r, 30));
    }
    return f;
}

TEST(any_trace_makes_a_graph_that_replays_as_it_was_and_has_a_path_without_gap)
{
    struct replay_costs costs = replay_costs_all(1);
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct critical_path path;
        struct fixture f = random_trace(seed);
        fixture_open(&f);
        CHECK(replay(&f.graph, &costs) == (double)(f.graph.to_ns - f.graph.from_ns));
        CHECK_EQ(0, critical_path_init(&path, &f.graph));
        for (size_t i = 1; i < path.count; i++)
            CHECK_EQ(path.pieces[i - 1].to_ns, path.pieces[i].from_ns);
        if (path.count) {
            CHECK_EQ(f.graph.from_ns, path.pieces[0].from_ns);
            CHECK_EQ(f.graph.to_ns, path.pieces[path.count - 1].to_ns);
        }
        critical_path_fini(&path);
        fixture_close(&f);
    }
}

TEST_MAIN()
