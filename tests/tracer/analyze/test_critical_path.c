/* The critical path through graphs whose path is worked out by hand. */
#include "hand_graph.h"

#include "analyze/critical_path.h"

static void check_pieces(const struct critical_path *path, const struct piece *wanted, size_t count)
{
    for (size_t i = 0; i < path->count && i < count; i++) {
        CHECK_EQ(wanted[i].from_ns, path->pieces[i].from_ns);
        CHECK_EQ(wanted[i].to_ns, path->pieces[i].to_ns);
        CHECK_EQ(wanted[i].process, path->pieces[i].process);
        CHECK_EQ(wanted[i].activity, path->pieces[i].activity);
    }
    CHECK_EQ(count, path->count);
}

#define CHECK_PATH(path, ...)                                                                                          \
    do {                                                                                                               \
        const struct piece wanted[] = {__VA_ARGS__};                                                                   \
        check_pieces(path, wanted, sizeof wanted / sizeof *wanted);                                                    \
    } while (0)

/* The sender runs to 10, sends, and runs on to 30. The receiver runs to 4, waits to 12, and runs to 40. */
TEST(the_path_goes_over_to_the_sender_at_the_moment_of_its_send)
{
    struct hand_graph h;
    struct critical_path path;
    hand_init(&h);
    int sender = hand_process(&h, 0, PROCESS_NONE, 0), receiver = hand_process(&h, 0, PROCESS_NONE, 0);
    hand_step(&h, sender, 10, CATEGORY_RUNNING);
    hand_provide(&h, sender, 1);
    hand_step(&h, sender, 30, CATEGORY_RUNNING);
    hand_step(&h, receiver, 4, CATEGORY_RUNNING);
    hand_wait(&h, receiver, 12, 1);
    hand_step(&h, receiver, 40, CATEGORY_RUNNING);
    hand_link(&h);
    CHECK_EQ(0, critical_path_init(&path, &h.graph));
    CHECK_PATH(&path, {0, 10, sender, CATEGORY_RUNNING}, {10, 12, receiver, CRITICAL_PATH_HANDOVER},
               {12, 40, receiver, CATEGORY_RUNNING});
    CHECK_EQ(38, path.ns[CATEGORY_RUNNING]);
    CHECK_EQ(2, path.ns[CRITICAL_PATH_HANDOVER]);
    CHECK_EQ(0, path.ns[CATEGORY_LATE_SENDER]);
    critical_path_fini(&path);
    graph_fini(&h.graph);
}

/* The parent begins to fork at 5, the child starts at 8 and outlives it. */
TEST(the_path_goes_over_to_the_parent_at_the_moment_of_its_fork)
{
    struct hand_graph h;
    struct critical_path path;
    hand_init(&h);
    int parent = hand_process(&h, 0, PROCESS_NONE, 0);
    hand_step(&h, parent, 5, CATEGORY_RUNNING);
    hand_provide(&h, parent, 1);
    hand_step(&h, parent, 9, CATEGORY_FORKING);
    hand_step(&h, parent, 15, CATEGORY_RUNNING);
    int child = hand_process(&h, 8, parent, 1);
    hand_step(&h, child, 20, CATEGORY_RUNNING);
    hand_link(&h);
    CHECK_EQ(0, critical_path_init(&path, &h.graph));
    CHECK_PATH(&path, {0, 5, parent, CATEGORY_RUNNING}, {5, 8, child, CATEGORY_FORKING},
               {8, 20, child, CATEGORY_RUNNING});
    critical_path_fini(&path);
    graph_fini(&h.graph);
}

TEST(a_wait_that_nobody_ended_stays_on_the_path)
{
    struct hand_graph h;
    struct critical_path path;
    hand_init(&h);
    int process = hand_process(&h, 0, PROCESS_NONE, 0);
    hand_step(&h, process, 5, CATEGORY_RUNNING);
    hand_wait(&h, process, 9, 1);
    hand_step(&h, process, 10, CATEGORY_RUNNING);
    hand_link(&h);
    CHECK_EQ(0, critical_path_init(&path, &h.graph));
    CHECK_PATH(&path, {0, 5, process, CATEGORY_RUNNING}, {5, 9, process, CATEGORY_LATE_SENDER},
               {9, 10, process, CATEGORY_RUNNING});
    CHECK_EQ(4, path.ns[CATEGORY_LATE_SENDER]);
    critical_path_fini(&path);
    graph_fini(&h.graph);
}

/* Of 20 ns of running 5 went into faults and 3 into tracing; the next step of the same category is one piece with it.
 */
TEST(page_faults_and_tracing_have_their_own_share_of_a_step)
{
    struct hand_graph h;
    struct critical_path path;
    hand_init(&h);
    int process = hand_process(&h, 0, PROCESS_NONE, 0);
    struct step *step = hand_step(&h, process, 20, CATEGORY_RUNNING);
    step->fault_ns = 5;
    step->tracing_ns = 3;
    hand_step(&h, process, 30, CATEGORY_RUNNING);
    hand_link(&h);
    CHECK_EQ(0, critical_path_init(&path, &h.graph));
    CHECK_PATH(&path, {0, 30, process, CATEGORY_RUNNING});
    CHECK_EQ(22, path.ns[CATEGORY_RUNNING]);
    CHECK_EQ(5, path.ns[CATEGORY_PAGE_FAULTS]);
    CHECK_EQ(3, path.ns[CATEGORY_TRACING]);
    critical_path_fini(&path);
    graph_fini(&h.graph);
}

/* At time 10 the child sends, ends its parent's wait and is forked by it, as a damaged trace may say. */
TEST(a_child_that_sent_before_its_fork_does_not_lead_the_path_round_in_a_circle)
{
    struct hand_graph h;
    struct critical_path path;
    hand_init(&h);
    int child = hand_process(&h, 10, 1, 1), parent = hand_process(&h, 0, PROCESS_NONE, 0);
    hand_provide(&h, child, 2);
    hand_step(&h, parent, 5, CATEGORY_RUNNING);
    hand_wait(&h, parent, 10, 2);
    hand_provide(&h, parent, 1);
    hand_step(&h, child, 12, CATEGORY_RUNNING);
    hand_link(&h);
    CHECK_EQ(0, critical_path_init(&path, &h.graph));
    CHECK_PATH(&path, {0, 5, parent, CATEGORY_RUNNING}, {5, 10, parent, CATEGORY_LATE_SENDER},
               {10, 12, child, CATEGORY_RUNNING});
    critical_path_fini(&path);
    graph_fini(&h.graph);
}

/* One program from 0 to 10, another one from 14 to 30, while a third ran from 2 to 6. */
TEST(before_a_process_that_nobody_started_the_path_goes_on_in_the_one_that_ended_last)
{
    struct hand_graph h;
    struct critical_path path;
    hand_init(&h);
    int first = hand_process(&h, 0, PROCESS_NONE, 0), third = hand_process(&h, 2, PROCESS_NONE, 0),
        second = hand_process(&h, 14, PROCESS_NONE, 0);
    hand_step(&h, first, 10, CATEGORY_RUNNING);
    hand_step(&h, third, 6, CATEGORY_RUNNING);
    hand_step(&h, second, 30, CATEGORY_RUNNING);
    hand_link(&h);
    CHECK_EQ(0, critical_path_init(&path, &h.graph));
    CHECK_PATH(&path, {0, 10, first, CATEGORY_RUNNING}, {10, 14, second, CRITICAL_PATH_OUTSIDE},
               {14, 30, second, CATEGORY_RUNNING});
    CHECK_EQ(4, path.ns[CRITICAL_PATH_OUTSIDE]);
    CHECK_EQ(26, path.ns[CATEGORY_RUNNING]);
    critical_path_fini(&path);
    graph_fini(&h.graph);
}

/* The second program starts at 4, when no process has ended, and ends last. */
TEST(before_the_start_of_a_process_that_nobody_started_nothing_is_known)
{
    struct hand_graph h;
    struct critical_path path;
    hand_init(&h);
    int first = hand_process(&h, 0, PROCESS_NONE, 0), second = hand_process(&h, 4, PROCESS_NONE, 0);
    hand_step(&h, first, 10, CATEGORY_RUNNING);
    hand_step(&h, second, 12, CATEGORY_RUNNING);
    hand_link(&h);
    CHECK_EQ(0, critical_path_init(&path, &h.graph));
    CHECK_PATH(&path, {0, 4, second, CRITICAL_PATH_OUTSIDE}, {4, 12, second, CATEGORY_RUNNING});
    critical_path_fini(&path);
    graph_fini(&h.graph);
}

TEST(a_run_without_processes_has_no_path)
{
    struct hand_graph h;
    struct critical_path path;
    hand_init(&h);
    hand_link(&h);
    CHECK_EQ(0, critical_path_init(&path, &h.graph));
    CHECK_EQ(0, path.count);
    critical_path_fini(&path);
    graph_fini(&h.graph);
}

TEST(the_path_of_any_graph_covers_it_without_a_gap)
{
    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct hand_graph h;
        struct critical_path path;
        int64_t sum_ns = 0, pieces_ns = 0;
        hand_random(&h, seed);
        CHECK_EQ(0, critical_path_init(&path, &h.graph));
        for (size_t i = 0; i < path.count; i++) {
            CHECK(path.pieces[i].from_ns < path.pieces[i].to_ns);
            CHECK_EQ(i ? path.pieces[i - 1].to_ns : path.pieces[0].from_ns, path.pieces[i].from_ns);
            pieces_ns += path.pieces[i].to_ns - path.pieces[i].from_ns;
        }
        for (int i = 0; i < CRITICAL_PATH_ACTIVITIES; i++) {
            CHECK(path.ns[i] >= 0);
            sum_ns += path.ns[i];
        }
        CHECK_EQ(pieces_ns, sum_ns);
        CHECK_EQ(h.graph.to_ns - h.graph.from_ns, sum_ns);
        critical_path_fini(&path);
        graph_fini(&h.graph);
    }
}

TEST_MAIN()
