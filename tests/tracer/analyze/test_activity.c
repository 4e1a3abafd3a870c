/* Events become stretches: which category the time between two events has. */
#include "hand_trace.h"

#include "analyze/activity.h"

enum { STRETCHES = 64 };

struct seen {
    struct stretch stretches[STRETCHES];
    int count, events;
    int64_t end_ns;
};

static void on_stretch(void *arg, const struct stretch *stretch)
{
    struct seen *seen = arg;
    CHECK(seen->count < STRETCHES);
    seen->stretches[seen->count++] = *stretch;
}

static void on_event(void *arg, const struct activity_event *event)
{
    struct seen *seen = arg;
    if (seen->count) /* the stretch that ends at an event comes before it */
        CHECK_EQ(seen->stretches[seen->count - 1].to_ns, event->ns);
    seen->events++;
}

static void on_end(void *arg, int process, int64_t ns)
{
    (void)process;
    ((struct seen *)arg)->end_ns = ns;
}

/* Closes the database. */
static struct seen walk(sqlite3 *db)
{
    struct seen seen = {.count = 0};
    struct processes processes;
    struct activity_visitor visitor = {&seen, on_stretch, on_event, NULL, on_end};
    CHECK_EQ(0, processes_init(&processes, db));
    CHECK_EQ(0, activity_walk(db, &processes, &visitor));
    processes_fini(&processes);
    sqlite3_close(db);
    return seen;
}

#define CHECK_STRETCHES(seen, ...)                                                                                     \
    do {                                                                                                               \
        static const struct {                                                                                          \
            int to_ns;                                                                                                 \
            enum category category;                                                                                    \
        } wanted[] = {__VA_ARGS__};                                                                                    \
        int from_ns = 0, count = sizeof wanted / sizeof *wanted;                                                       \
        for (int i = 0; i < count && i < (seen).count; i++) {                                                          \
            CHECK_EQ(from_ns, (seen).stretches[i].from_ns);                                                            \
            CHECK_EQ(wanted[i].to_ns, (seen).stretches[i].to_ns);                                                      \
            CHECK_EQ(wanted[i].category, (seen).stretches[i].category);                                                \
            from_ns = wanted[i].to_ns;                                                                                 \
        }                                                                                                              \
        CHECK_EQ(count, (seen).count);                                                                                 \
    } while (0)

/* A process from 0 to 100. */
static sqlite3 *one_process(int task)
{
    sqlite3 *db = trace_new();
    trace_process(db, 1, 0, 100, 0, task);
    return db;
}

TEST(time_belongs_to_the_innermost_span)
{
    sqlite3 *db = one_process(0);
    int64_t merge = TRACE_BEGIN(db, 1, 10, MERGE, 1, 0, 0), receive = TRACE_BEGIN(db, 1, 20, RECEIVE, 1, 0, 0);
    TRACE_SPAN(db, 1, 30, 40, WAIT, 0, SF_WAIT_MESSAGE, 1);
    TRACE_END(db, 1, 50, RECEIVE, 1, 1, 8, receive);
    TRACE_END(db, 1, 60, MERGE, 1, 0, 0, merge);
    struct seen seen = walk(db);
    CHECK_STRETCHES(seen, {10, CATEGORY_RUNNING}, {20, CATEGORY_MERGING}, {30, CATEGORY_COPYING},
                    {40, CATEGORY_LATE_SENDER}, {50, CATEGORY_COPYING}, {60, CATEGORY_MERGING},
                    {100, CATEGORY_RUNNING});
    CHECK_EQ(6, seen.events);
    CHECK_EQ(100, seen.end_ns);
}

TEST(outside_of_all_spans_a_process_with_a_task_does_not_run_its_function)
{
    sqlite3 *db = one_process(1);
    TRACE_SPAN(db, 1, 10, 90, RUN, 1, 0, 0);
    struct seen seen = walk(db);
    CHECK_STRETCHES(seen, {10, CATEGORY_STARTING}, {90, CATEGORY_RUNNING}, {100, CATEGORY_ENDING});
}

TEST(the_reason_of_a_wait_says_its_category)
{
    sqlite3 *db = one_process(0);
    TRACE_SPAN(db, 1, 0, 10, WAIT, 0, SF_WAIT_MESSAGE, 0);
    TRACE_SPAN(db, 1, 10, 20, WAIT, 0, SF_WAIT_ROOM, 0);
    TRACE_SPAN(db, 1, 20, 30, WAIT, 0, SF_WAIT_CHILD, 0);
    TRACE_SPAN(db, 1, 30, 40, WAIT, 0, SF_WAIT_REQUEST, 0);
    TRACE_SPAN(db, 1, 40, 70, WAIT, 0, SF_WAIT_ITEM, 0);
    TRACE_SPAN(db, 1, 70, 100, WAIT, 0, SF_WAIT_WORK, 0);
    struct seen seen = walk(db);
    CHECK_STRETCHES(seen, {10, CATEGORY_LATE_SENDER}, {20, CATEGORY_LATE_RECEIVER}, {30, CATEGORY_LATE_CHILD},
                    {40, CATEGORY_LATE_SENDER}, {70, CATEGORY_LATE_SENDER}, {100, CATEGORY_WAITING_FOR_WORK});
}

/* A send from 10 to 50 copies; in it, pickling took from 20 to 30. */
TEST(a_pickled_event_goes_before_the_span_around_it)
{
    sqlite3 *db = one_process(0);
    int64_t send = TRACE_BEGIN(db, 1, 10, SEND, 1, 0, 0);
    TRACE_INSTANT(db, 1, 30, PICKLED, 0, 8, 20);
    TRACE_END(db, 1, 50, SEND, 1, 1, 8, send);
    struct seen seen = walk(db);
    CHECK_STRETCHES(seen, {10, CATEGORY_RUNNING}, {20, CATEGORY_COPYING}, {30, CATEGORY_PICKLING},
                    {50, CATEGORY_COPYING}, {100, CATEGORY_RUNNING});
}

/* Its time would begin at 5, but until 10 the process ran: what has been counted stays. */
TEST(a_pickled_event_takes_nothing_from_what_lies_before_the_last_event)
{
    sqlite3 *db = one_process(0);
    TRACE_INSTANT(db, 1, 10, MARK, 1, 0, 0);
    TRACE_INSTANT(db, 1, 30, PICKLED, 0, 8, 5);
    struct seen seen = walk(db);
    CHECK_STRETCHES(seen, {10, CATEGORY_RUNNING}, {30, CATEGORY_PICKLING}, {100, CATEGORY_RUNNING});
}

TEST(after_lost_records_it_is_not_known_what_is_open_until_the_next_event)
{
    sqlite3 *db = one_process(0);
    TRACE_BEGIN(db, 1, 10, MERGE, 1, 0, 0);
    TRACE_INSTANT(db, 1, 30, LOST, 0, 5, 0);
    TRACE_INSTANT(db, 1, 50, MARK, 1, 0, 0);
    struct seen seen = walk(db);
    CHECK_STRETCHES(seen, {10, CATEGORY_RUNNING}, {30, CATEGORY_MERGING}, {50, CATEGORY_OTHER},
                    {100, CATEGORY_RUNNING});
}

TEST(an_end_closes_the_spans_inside_its_own_that_were_not_closed)
{
    sqlite3 *db = one_process(0);
    int64_t merge = TRACE_BEGIN(db, 1, 10, MERGE, 1, 0, 0);
    TRACE_BEGIN(db, 1, 20, SEND, 1, 0, 0);
    TRACE_END(db, 1, 30, MERGE, 1, 0, 0, merge);
    struct seen seen = walk(db);
    CHECK_STRETCHES(seen, {10, CATEGORY_RUNNING}, {20, CATEGORY_MERGING}, {30, CATEGORY_COPYING},
                    {100, CATEGORY_RUNNING});
}

TEST(spans_of_other_threads_are_events_but_no_stretches_of_their_category)
{
    sqlite3 *db = one_process(0);
    TRACE_BEGIN(db, 1, 10, MERGE, 1, 0, 0);
    trace_sql(db, "UPDATE event SET lane = 1");
    struct seen seen = walk(db);
    CHECK_STRETCHES(seen, {10, CATEGORY_RUNNING}, {100, CATEGORY_RUNNING});
    CHECK_EQ(1, seen.events);
}

/* The events are at -50, 200 and 60, in this order, of a life from 0 to 100: the second one lies at its end. */
TEST(times_are_held_within_the_life_and_in_order)
{
    sqlite3 *db = one_process(0);
    TRACE_INSTANT(db, 1, -50, MARK, 1, 0, 0);
    TRACE_BEGIN(db, 1, 200, MERGE, 1, 0, 0);
    TRACE_BEGIN(db, 1, 60, SEND, 1, 0, 0);
    struct seen seen = walk(db);
    CHECK_STRETCHES(seen, {100, CATEGORY_RUNNING});
    CHECK_EQ(3, seen.events);
}

/* Writing an event takes 3 ns. The two events at 10 and 12 cost 6: the 2 ns between them are all tracing, which leaves
 * 4 for the time after them. */
TEST(tracing_is_taken_from_the_time_behind_events_and_never_more_than_there_is)
{
    sqlite3 *db = one_process(0);
    trace_sql(db, "INSERT INTO meta VALUES('event_cost_ps', 3000)");
    TRACE_INSTANT(db, 1, 10, MARK, 1, 0, 0);
    TRACE_INSTANT(db, 1, 12, MARK, 1, 0, 0);
    struct seen seen = walk(db);
    CHECK_EQ(3, seen.count);
    CHECK_EQ(0, seen.stretches[0].tracing_ns);
    CHECK_EQ(2, seen.stretches[1].tracing_ns);
    CHECK_EQ(4, seen.stretches[2].tracing_ns);
}

TEST_MAIN()
