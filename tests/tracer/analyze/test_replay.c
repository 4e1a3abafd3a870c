/* Replays whose durations are worked out by hand. */
#include "hand_graph.h"

#include "analyze/replay.h"

/* The parent runs to 10 and forks until 14; the child starts at 12, runs to 32, and sends. The parent runs from 14 to
 * 20, waits for the message until 35, and runs to 40. */
static void fork_and_message(struct hand_graph *h)
{
    hand_init(h);
    int parent = hand_process(h, 0, PROCESS_NONE, 0);
    hand_step(h, parent, 10, CATEGORY_RUNNING);
    hand_provide(h, parent, 1);
    hand_step(h, parent, 14, CATEGORY_FORKING);
    hand_step(h, parent, 20, CATEGORY_RUNNING);
    int child = hand_process(h, 12, parent, 1);
    hand_step(h, child, 32, CATEGORY_RUNNING);
    hand_provide(h, child, 2);
    hand_wait(h, parent, 35, 2);
    hand_step(h, parent, 40, CATEGORY_RUNNING);
    hand_link(h);
}

/* The duration, which is a whole number in all of these. */
static int64_t lasts(const struct hand_graph *h, const struct replay_costs *costs)
{
    double ns = replay(&h->graph, costs);
    CHECK(ns == (double)(int64_t)ns);
    return (int64_t)ns;
}

TEST(with_nothing_changed_a_replay_lasts_as_long_as_the_run)
{
    struct hand_graph h;
    struct replay_costs costs = replay_costs_all(1);
    fork_and_message(&h);
    CHECK_EQ(40, lasts(&h, &costs));
    graph_fini(&h.graph);
}

/* The first program waits from 4 to 10 for nothing that is known, merges to 12 and ends; the second starts at 15, by
 * nobody in the trace, and ends at 20. Without the merge it starts at 13. */
TEST(a_process_that_nobody_started_starts_as_long_after_the_one_that_ended_last)
{
    struct hand_graph h;
    struct replay_costs costs = replay_costs_all(1);
    hand_init(&h);
    int first = hand_process(&h, 0, PROCESS_NONE, 0), second = hand_process(&h, 15, PROCESS_NONE, 0);
    hand_step(&h, first, 4, CATEGORY_RUNNING);
    hand_wait(&h, first, 10, 1);
    hand_step(&h, first, 12, CATEGORY_MERGING);
    hand_step(&h, second, 20, CATEGORY_RUNNING);
    hand_link(&h);
    CHECK_EQ(20, lasts(&h, &costs));
    costs.category[CATEGORY_MERGING] = 0;
    CHECK_EQ(18, lasts(&h, &costs));
    graph_fini(&h.graph);
}

/* The child starts at 10, sends at 30; the parent goes on at 33 and ends at 38. */
TEST(without_forks_a_replay_begins_the_child_at_once)
{
    struct hand_graph h;
    struct replay_costs costs = replay_costs_all(1);
    fork_and_message(&h);
    costs.category[CATEGORY_FORKING] = 0;
    CHECK_EQ(38, lasts(&h, &costs));
    graph_fini(&h.graph);
}

/* The parent goes on at 32, when the child sends. */
TEST(without_handovers_a_wait_ends_at_the_moment_of_the_send)
{
    struct hand_graph h;
    struct replay_costs costs = replay_costs_all(1);
    fork_and_message(&h);
    costs.handover = 0;
    CHECK_EQ(37, lasts(&h, &costs));
    graph_fini(&h.graph);
}

/* The child runs for 2 of its 20 ns and sends at 14; the parent comes to its wait at 20 and finds the message. */
TEST(a_wait_vanishes_when_what_it_was_for_comes_before_it)
{
    struct hand_graph h;
    struct replay_costs costs = replay_costs_all(1);
    const double running[] = {1, 0.1};
    fork_and_message(&h);
    costs.running = running;
    CHECK_EQ(25, lasts(&h, &costs));
    graph_fini(&h.graph);
}

/* The child runs for 40 ns and sends at 52; the parent goes on at 55. */
TEST(a_wait_grows_when_what_it_was_for_comes_later)
{
    struct hand_graph h;
    struct replay_costs costs = replay_costs_all(1);
    const double running[] = {1, 2};
    fork_and_message(&h);
    costs.running = running;
    CHECK_EQ(60, lasts(&h, &costs));
    graph_fini(&h.graph);
}

/* Sent at 3; the receiver comes at 5 and takes until 9 all the same: that was the handover. */
TEST(a_wait_for_what_is_there_already_is_all_handover)
{
    struct hand_graph h;
    struct replay_costs costs = replay_costs_all(1);
    hand_init(&h);
    int sender = hand_process(&h, 0, PROCESS_NONE, 0), receiver = hand_process(&h, 0, PROCESS_NONE, 0);
    hand_step(&h, sender, 3, CATEGORY_RUNNING);
    hand_provide(&h, sender, 1);
    hand_step(&h, receiver, 5, CATEGORY_RUNNING);
    hand_wait(&h, receiver, 9, 1);
    hand_link(&h);
    CHECK_EQ(9, lasts(&h, &costs));
    costs.handover = 0;
    CHECK_EQ(5, lasts(&h, &costs));
    graph_fini(&h.graph);
}

/* Sent at 10; the receiver has copied the message by 15, without a wait. With a sender three times as slow it is sent
 * at 30, and the receiver cannot have it before. */
TEST(a_step_that_did_not_wait_still_ends_no_sooner_than_what_it_requires_is_there)
{
    struct hand_graph h;
    struct replay_costs costs = replay_costs_all(1);
    const double running[] = {3, 1};
    hand_init(&h);
    int sender = hand_process(&h, 0, PROCESS_NONE, 0), receiver = hand_process(&h, 0, PROCESS_NONE, 0);
    hand_step(&h, sender, 10, CATEGORY_RUNNING);
    hand_provide(&h, sender, 1);
    hand_step(&h, receiver, 15, CATEGORY_COPYING)->required = 1;
    hand_step(&h, receiver, 17, CATEGORY_MERGING);
    hand_link(&h);
    CHECK_EQ(17, lasts(&h, &costs));
    costs.running = running;
    CHECK_EQ(32, lasts(&h, &costs));
    graph_fini(&h.graph);
}

/* The receiver is woken for nothing at 4, has no CPU until 6, and waits on until 12 for what is sent at 10. With the
 * sender ten times as fast, all parts of the wait vanish, but for the 2 ns without a CPU. */
TEST(a_wait_in_parts_shrinks_as_one)
{
    struct hand_graph h;
    struct replay_costs costs = replay_costs_all(1);
    const double running[] = {0.1, 1};
    hand_init(&h);
    int sender = hand_process(&h, 0, PROCESS_NONE, 0), receiver = hand_process(&h, 0, PROCESS_NONE, 0);
    hand_step(&h, sender, 10, CATEGORY_RUNNING);
    hand_provide(&h, sender, 1);
    hand_wait(&h, receiver, 4, 1);
    uint32_t first = h.last[receiver];
    hand_step(&h, receiver, 6, CATEGORY_NO_CPU);
    hand_wait(&h, receiver, 12, 1)->first = first;
    hand_link(&h);
    CHECK_EQ(12, lasts(&h, &costs));
    costs.running = running; /* sent at 1, handed over by 3 */
    CHECK_EQ(3, lasts(&h, &costs));
    costs.handover = 0;
    CHECK_EQ(2, lasts(&h, &costs));
    graph_fini(&h.graph);
}

TEST(a_wait_of_unknown_cause_has_a_factor_of_its_own)
{
    struct hand_graph h;
    struct replay_costs costs = replay_costs_all(0);
    hand_init(&h);
    int process = hand_process(&h, 0, PROCESS_NONE, 0);
    hand_step(&h, process, 5, CATEGORY_RUNNING);
    hand_wait(&h, process, 12, 1);
    hand_link(&h);
    CHECK_EQ(0, lasts(&h, &costs));
    costs.unknown_wait = 1;
    CHECK_EQ(7, lasts(&h, &costs));
    graph_fini(&h.graph);
}

/* 30 ns of running: 10 went into faults, 4 of them into copying on write, and 6 into tracing. */
TEST(faults_copies_and_tracing_have_factors_of_their_own)
{
    struct hand_graph h;
    hand_init(&h);
    int process = hand_process(&h, 0, PROCESS_NONE, 0);
    struct step *step = hand_step(&h, process, 30, CATEGORY_RUNNING);
    step->fault_ns = 10;
    step->copy_ns = 4;
    step->tracing_ns = 6;
    hand_link(&h);
    struct replay_costs costs = replay_costs_all(1), copy = costs, faults = costs, tracing = costs, running = costs;
    copy.copy_on_write = 0;
    faults.category[CATEGORY_PAGE_FAULTS] = 0;
    tracing.category[CATEGORY_TRACING] = 0;
    running.category[CATEGORY_RUNNING] = 0;
    CHECK_EQ(30, lasts(&h, &costs));
    CHECK_EQ(26, lasts(&h, &copy));
    CHECK_EQ(24, lasts(&h, &faults));
    CHECK_EQ(24, lasts(&h, &tracing));
    CHECK_EQ(6, lasts(&h, &running)); /* faults vanish with what the process did when it had them */
    graph_fini(&h.graph);
}

/* Two processes: one ends at 50. The run lasts from the first start, which is not 0, to the last end. */
TEST(a_replay_lasts_from_the_first_start_to_the_last_end)
{
    struct hand_graph h;
    struct replay_costs costs = replay_costs_all(1);
    hand_init(&h);
    int early = hand_process(&h, 10, PROCESS_NONE, 0), late = hand_process(&h, 30, PROCESS_NONE, 0);
    hand_step(&h, early, 20, CATEGORY_RUNNING);
    hand_step(&h, late, 50, CATEGORY_RUNNING);
    hand_link(&h);
    CHECK_EQ(40, lasts(&h, &costs));
    graph_fini(&h.graph);
}

TEST(with_nothing_changed_any_graph_lasts_as_long_as_it_did)
{
    struct replay_costs costs = replay_costs_all(1);
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        struct hand_graph h;
        hand_random(&h, seed);
        CHECK_EQ(h.graph.to_ns - h.graph.from_ns, lasts(&h, &costs));
        graph_fini(&h.graph);
    }
}

TEST(whatever_becomes_cheaper_no_graph_lasts_longer)
{
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        struct hand_graph h;
        struct replay_costs costs = replay_costs_all(1);
        hand_random(&h, seed);
        double before_ns = replay(&h.graph, &costs);
        for (int category = 0; category <= CATEGORY_COUNT; category++) {
            if (category < CATEGORY_COUNT)
                costs.category[category] = 0.5;
            else
                costs.handover = costs.unknown_wait = costs.copy_on_write = 0;
            double ns = replay(&h.graph, &costs);
            CHECK(0 <= ns && ns <= before_ns);
            before_ns = ns;
        }
        graph_fini(&h.graph);
    }
}

/* Two processes run for 10 each after waits for a CPU of 30: without these waits the run takes 10 on two CPUs, and 20
 * on one. Without the kernel's view a wait for a CPU is not known, and the work seems longer than it was. */
TEST(without_waits_for_a_cpu_the_work_still_takes_its_time_on_the_cpus)
{
    for (int cpus = 0; cpus <= 2; cpus++) {
        struct hand_graph h;
        struct replay_costs costs = replay_costs_all(1);
        hand_init(&h);
        for (int p = 0; p < 2; p++) {
            hand_process(&h, 0, PROCESS_NONE, 0);
            hand_step(&h, p, 30, CATEGORY_NO_CPU);
            hand_step(&h, p, 40, CATEGORY_RUNNING);
        }
        hand_link(&h);
        h.graph.cpus = cpus;
        h.graph.knows_no_cpu = true;
        CHECK(replay(&h.graph, &costs) == 40);
        costs.category[CATEGORY_NO_CPU] = 0;
        CHECK(replay(&h.graph, &costs) == (cpus == 1 ? 20 : 10));
        h.graph.knows_no_cpu = false;
        CHECK(replay(&h.graph, &costs) == 10);
        graph_fini(&h.graph);
    }
}

TEST_MAIN()
