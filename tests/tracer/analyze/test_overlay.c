/* The kernel's view laid over what events say: which category a moment has, and where the page faults' time is taken
 * from. */
#include "hand_trace.h"
#include "random_numbers.h"

#include "analyze/overlay.h"

struct fixture {
    sqlite3 *db;
    struct processes processes;
    struct overlay *overlay;
};

/* One process, 0 to 1000; its first thread is 101. */
static struct fixture fixture_new(void)
{
    struct fixture f = {.db = trace_new()};
    trace_process(f.db, 1, 0, 1000, 0, 0);
    return f;
}

static void fixture_open(struct fixture *f)
{
    CHECK_EQ(0, processes_init(&f->processes, f->db));
    CHECK_EQ(0, overlay_new(&f->overlay, f->db, &f->processes));
}

static void fixture_close(struct fixture *f)
{
    overlay_free(f->overlay);
    processes_fini(&f->processes);
    sqlite3_close(f->db);
}

static void add_no_cpu(sqlite3 *db, int tid, int from_ns, int to_ns)
{
    trace_sql(db, "INSERT INTO sched_slice VALUES(1, %d, 0, %d, %d, 'blocked', NULL, %d)", tid, to_ns, to_ns + 1,
              from_ns);
}

static void add_wait(sqlite3 *db, const char *what, int from_ns, int to_ns)
{
    trace_sql(db, "INSERT INTO kernel_wait VALUES(1, 101, %Q, %d, %d)", what, from_ns, to_ns);
}

static void add_faults(sqlite3 *db, const char *kind, int from_ns, int to_ns, int cost_ns)
{
    trace_sql(db, "INSERT INTO fault VALUES(1, 101, %Q, 'user', %d, %d, 1, %d, 1)", kind, from_ns, to_ns, cost_ns);
}

static struct overlay_part next(struct fixture *f, int from_ns, int to_ns, enum category category)
{
    return overlay_next(f->overlay, 0, from_ns, to_ns, category);
}

#define CHECK_PART(part, from, to, what)                                                                               \
    do {                                                                                                               \
        struct overlay_part got = part;                                                                                \
        CHECK_EQ(from, got.from_ns);                                                                                   \
        CHECK_EQ(to, got.to_ns);                                                                                       \
        CHECK_EQ(what, got.category);                                                                                  \
    } while (0)

TEST(without_the_kernels_view_a_stretch_is_one_part)
{
    struct fixture f = fixture_new();
    fixture_open(&f);
    CHECK(!overlay_needs_measure(f.overlay));
    CHECK_PART(next(&f, 0, 1000, CATEGORY_MERGING), 0, 1000, CATEGORY_MERGING);
    fixture_close(&f);
}

/* The kernel says that the process waited on a pipe from 10 to 50, and that it had no CPU from 30 to 40. */
TEST(time_without_a_cpu_goes_before_a_wait_in_the_kernel)
{
    struct fixture f = fixture_new();
    add_wait(f.db, "pipe", 10, 50);
    add_no_cpu(f.db, 101, 30, 40);
    fixture_open(&f);
    CHECK_PART(next(&f, 0, 100, CATEGORY_RUNNING), 0, 10, CATEGORY_RUNNING);
    CHECK_PART(next(&f, 10, 100, CATEGORY_RUNNING), 10, 30, CATEGORY_LATE_SENDER);
    CHECK_PART(next(&f, 30, 100, CATEGORY_RUNNING), 30, 40, CATEGORY_NO_CPU);
    CHECK_PART(next(&f, 40, 100, CATEGORY_RUNNING), 40, 50, CATEGORY_LATE_SENDER);
    CHECK_PART(next(&f, 50, 100, CATEGORY_RUNNING), 50, 100, CATEGORY_RUNNING);
    fixture_close(&f);
}

TEST(time_without_a_cpu_goes_before_what_the_events_say)
{
    struct fixture f = fixture_new();
    add_no_cpu(f.db, 101, 30, 40);
    fixture_open(&f);
    CHECK_PART(next(&f, 20, 100, CATEGORY_LATE_CHILD), 20, 30, CATEGORY_LATE_CHILD);
    CHECK_PART(next(&f, 30, 100, CATEGORY_LATE_CHILD), 30, 40, CATEGORY_NO_CPU);
    CHECK_PART(next(&f, 40, 100, CATEGORY_LATE_CHILD), 40, 100, CATEGORY_LATE_CHILD);
    fixture_close(&f);
}

TEST(what_the_events_say_goes_before_a_wait_in_the_kernel)
{
    struct fixture f = fixture_new();
    add_wait(f.db, "pipe", 10, 50);
    fixture_open(&f);
    CHECK_PART(next(&f, 0, 30, CATEGORY_MERGING), 0, 30, CATEGORY_MERGING);
    CHECK_PART(next(&f, 30, 100, CATEGORY_OTHER), 30, 50, CATEGORY_LATE_SENDER);
    fixture_close(&f);
}

TEST(each_wait_in_the_kernel_has_its_category)
{
    static const struct {
        const char *what;
        enum category category;
    } waits[] = {{"pipe", CATEGORY_LATE_SENDER},
                 {"socket", CATEGORY_LATE_SENDER},
                 {"poll", CATEGORY_LATE_SENDER},
                 {"full pipe", CATEGORY_LATE_RECEIVER},
                 {"full socket", CATEGORY_LATE_RECEIVER},
                 {"child", CATEGORY_LATE_CHILD},
                 {"futex", CATEGORY_LOCK},
                 {"file lock", CATEGORY_LOCK},
                 {"sleep", CATEGORY_SLEEPING},
                 {"fault", CATEGORY_RUNNING},
                 {"other", CATEGORY_RUNNING}};
    enum { COUNT = sizeof waits / sizeof *waits };
    struct fixture f = fixture_new();
    for (int i = 0; i < COUNT; i++)
        add_wait(f.db, waits[i].what, 10 * i, 10 * i + 10);
    fixture_open(&f);
    for (int i = 0; i < COUNT; i++)
        CHECK_PART(next(&f, 10 * i, 10 * i + 10, CATEGORY_RUNNING), 10 * i, 10 * i + 10, waits[i].category);
    fixture_close(&f);
}

TEST(other_threads_of_the_process_do_not_count)
{
    struct fixture f = fixture_new();
    add_no_cpu(f.db, 102, 30, 40);
    trace_sql(f.db, "INSERT INTO kernel_wait VALUES(1, 102, 'pipe', 10, 20)");
    trace_sql(f.db, "INSERT INTO fault VALUES(1, 102, 'first-read', 'user', 0, 50, 1, 10, 1)");
    fixture_open(&f);
    CHECK(!overlay_needs_measure(f.overlay));
    CHECK_PART(next(&f, 0, 100, CATEGORY_RUNNING), 0, 100, CATEGORY_RUNNING);
    fixture_close(&f);
}

/* The slot of 100 ns has 30 ns of faults, a third of them copies. In it the process pickled for 20 ns, waited for 40,
 * and ran for 40: it was on a CPU for 60 ns, so half of that was faults. */
TEST(faults_are_taken_from_the_time_on_a_cpu_in_proportion)
{
    struct fixture f = fixture_new();
    add_faults(f.db, "copy-on-write", 100, 200, 10);
    add_faults(f.db, "first-write", 100, 200, 20);
    fixture_open(&f);
    CHECK(overlay_needs_measure(f.overlay));
    overlay_measure(f.overlay, 0, 0, 120, CATEGORY_PICKLING);
    overlay_measure(f.overlay, 0, 120, 160, CATEGORY_LATE_SENDER);
    overlay_measure(f.overlay, 0, 160, 1000, CATEGORY_RUNNING);
    overlay_rewind(f.overlay);
    struct overlay_part before = next(&f, 0, 120, CATEGORY_PICKLING), pickling = next(&f, 100, 120, CATEGORY_PICKLING),
                        waiting = next(&f, 120, 160, CATEGORY_LATE_SENDER),
                        running = next(&f, 160, 1000, CATEGORY_RUNNING), after = next(&f, 200, 1000, CATEGORY_RUNNING);
    CHECK_EQ(100, before.to_ns);
    CHECK_EQ(0, before.fault_ns);
    CHECK_EQ(10, pickling.fault_ns);
    CHECK_EQ(3, pickling.copy_ns); /* a third of 10 */
    CHECK_EQ(0, waiting.fault_ns);
    CHECK_EQ(200, running.to_ns);
    CHECK_EQ(20, running.fault_ns);
    CHECK_EQ(6, running.copy_ns);
    CHECK_EQ(0, after.fault_ns);
    fixture_close(&f);
}

TEST(faults_that_cost_more_than_there_is_time_take_all_of_it)
{
    struct fixture f = fixture_new();
    add_faults(f.db, "copy-on-write", 100, 110, 900);
    fixture_open(&f);
    overlay_measure(f.overlay, 0, 0, 130, CATEGORY_RUNNING);
    overlay_measure(f.overlay, 0, 130, 1000, CATEGORY_LATE_SENDER);
    overlay_rewind(f.overlay);
    CHECK_EQ(0, next(&f, 0, 130, CATEGORY_RUNNING).fault_ns);
    struct overlay_part part = next(&f, 100, 130, CATEGORY_RUNNING);
    CHECK_EQ(30, part.fault_ns);
    CHECK_EQ(30, part.copy_ns);
    CHECK_EQ(0, next(&f, 130, 1000, CATEGORY_LATE_SENDER).fault_ns);
    fixture_close(&f);
}

/* The last fault of a slot began before the slot's end and cost 30 ns: its time goes on to 130. */
TEST(a_fault_goes_on_behind_the_end_of_its_slot)
{
    struct fixture f = fixture_new();
    add_faults(f.db, "first-read", 100, 100, 30);
    fixture_open(&f);
    overlay_measure(f.overlay, 0, 0, 1000, CATEGORY_RUNNING);
    overlay_rewind(f.overlay);
    CHECK_PART(next(&f, 0, 1000, CATEGORY_RUNNING), 0, 100, CATEGORY_RUNNING);
    struct overlay_part part = next(&f, 100, 1000, CATEGORY_RUNNING);
    CHECK_EQ(130, part.to_ns);
    CHECK_EQ(30, part.fault_ns);
    fixture_close(&f);
}

/* Two children begin at 40: each is reported once, by an empty part, and the stretch is cut there. */
TEST(a_childs_begin_cuts_a_stretch_in_two)
{
    struct fixture f = fixture_new();
    trace_process(f.db, 2, 40, 90, 1, 0);
    trace_process(f.db, 3, 40, 90, 1, 0);
    fixture_open(&f);
    struct overlay_part parts[] = {next(&f, 0, 100, CATEGORY_RUNNING), next(&f, 40, 100, CATEGORY_RUNNING),
                                   next(&f, 40, 100, CATEGORY_RUNNING), next(&f, 40, 100, CATEGORY_RUNNING)};
    static const int wanted[][3] = {{0, 40, PROCESS_NONE}, {40, 40, 1}, {40, 40, 2}, {40, 100, PROCESS_NONE}};
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(wanted[i][0], parts[i].from_ns);
        CHECK_EQ(wanted[i][1], parts[i].to_ns);
        CHECK_EQ(wanted[i][2], parts[i].child);
    }
    fixture_close(&f);
}

TEST(a_child_whose_end_is_unknown_is_not_reported)
{
    struct fixture f = fixture_new();
    trace_sql(f.db, "INSERT INTO process(id, pid, parent, start_ns) VALUES(2, 102, 1, 40)");
    fixture_open(&f);
    CHECK_PART(next(&f, 0, 100, CATEGORY_RUNNING), 0, 100, CATEGORY_RUNNING);
    fixture_close(&f);
}

/* Whatever the kernel's tables say, also rows that overlap or are no times at all: the parts of a life are as many ns
 * as the life, each fault is in its part, and all faults of a slot together cost no more than the slot says. */
TEST(the_parts_of_a_life_have_no_gap_whatever_the_kernel_says)
{
    static const enum category categories[] = {CATEGORY_RUNNING, CATEGORY_OTHER, CATEGORY_LATE_SENDER,
                                               CATEGORY_MERGING};
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct random_numbers r = {seed};
        struct fixture f = fixture_new();
        int64_t cost_ns = 0, fault_ns = 0;
        for (int i = 0; i < 20; i++) {
            int from_ns = random_below(&r, 1200) - 100, to_ns = from_ns + random_below(&r, 60) - 5;
            switch (random_below(&r, 5)) {
            case 0:
                add_no_cpu(f.db, 101, from_ns, to_ns);
                break;
            case 1:
                add_wait(f.db, random_below(&r, 2) ? "futex" : "child", from_ns, to_ns);
                break;
            case 2:
                trace_process(f.db, i + 2, from_ns, to_ns, 1, 0);
                break;
            case 3:
                trace_sql(f.db,
                          "INSERT INTO fault VALUES(1, 101, 'first-read', 'user', 'early', 'late', 1, 'dear', 1)");
                break;
            default:
                cost_ns += to_ns - from_ns + 5;
                add_faults(f.db, random_below(&r, 2) ? "copy-on-write" : "first-read", from_ns, to_ns,
                           to_ns - from_ns + 5);
            }
        }
        fixture_open(&f);
        for (int measuring = 1; measuring >= 0; measuring--) {
            for (int64_t from_ns = 0, to_ns; from_ns < 1000; from_ns = to_ns) {
                enum category category = categories[from_ns / 100 % 4];
                to_ns = from_ns + 100;
                if (measuring) {
                    overlay_measure(f.overlay, 0, from_ns, to_ns, category);
                    continue;
                }
                for (int64_t ns = from_ns; ns < to_ns;) {
                    struct overlay_part part = overlay_next(f.overlay, 0, ns, to_ns, category);
                    CHECK_EQ(ns, part.from_ns);
                    CHECK(part.to_ns <= to_ns);
                    CHECK(part.to_ns > part.from_ns || part.child != PROCESS_NONE);
                    CHECK(0 <= part.copy_ns && part.copy_ns <= part.fault_ns);
                    CHECK(part.fault_ns <= part.to_ns - part.from_ns);
                    fault_ns += part.fault_ns;
                    ns = part.to_ns;
                }
            }
            overlay_rewind(f.overlay);
        }
        CHECK(fault_ns <= cost_ns);
        fixture_close(&f);
    }
}

TEST_MAIN()
