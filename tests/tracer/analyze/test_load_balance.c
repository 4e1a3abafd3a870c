/* How many slots the useful time needs, how full they are, and how the load of siblings is levelled. */
#include "hand_graph.h"

#include "analyze/load_balance.h"

static struct load_balance measured(struct hand_graph *h)
{
    struct load_balance balance;
    hand_link(h);
    CHECK_EQ(0, load_balance_measure(&balance, &h->graph));
    graph_fini(&h->graph);
    return balance;
}

static void add_runner(struct hand_graph *h, int64_t from_ns, int64_t to_ns)
{
    hand_step(h, hand_process(h, from_ns, PROCESS_NONE, 0), to_ns, CATEGORY_RUNNING);
}

TEST(processes_that_run_one_after_the_other_share_a_slot)
{
    struct hand_graph h;
    hand_init(&h);
    add_runner(&h, 0, 10);
    add_runner(&h, 10, 40);
    struct load_balance balance = measured(&h);
    CHECK_EQ(1, balance.slots);
    CHECK_EQ(40, balance.useful_ns);
    CHECK_EQ(40, balance.largest_ns);
}

/* The third runs longest, 30, and has a slot for itself; the others have one, 20 + 10. */
TEST(as_many_slots_are_needed_as_run_at_once)
{
    struct hand_graph h;
    hand_init(&h);
    add_runner(&h, 0, 10);
    add_runner(&h, 0, 20);
    add_runner(&h, 10, 40);
    struct load_balance balance = measured(&h);
    CHECK_EQ(2, balance.slots);
    CHECK_EQ(60, balance.useful_ns);
    CHECK_EQ(30, balance.largest_ns);
}

/* A parent that ran for 5 before it forked four children, which run for 10 to 80 and were started in any order. */
TEST(the_order_in_which_children_start_changes_nothing)
{
    static const int orders[][4] = {{10, 20, 30, 80}, {80, 30, 20, 10}, {20, 80, 10, 30}, {30, 10, 80, 20}};
    for (int i = 0; i < 4; i++) {
        struct hand_graph h;
        hand_init(&h);
        add_runner(&h, 0, 5);
        for (int child = 0; child < 4; child++)
            add_runner(&h, 5 + child, 5 + child + orders[i][child]);
        struct load_balance balance = measured(&h);
        CHECK_EQ(4, balance.slots);
        CHECK_EQ(145, balance.useful_ns);
        CHECK_EQ(80, balance.largest_ns);
    }
}

/* Six ran at once for 10 on two CPUs: each of them can have had a CPU for a third of its time. Those that lost their
 * CPU are counted as at once, but have no share. */
TEST(there_are_no_more_slots_than_cpus)
{
    struct hand_graph h;
    hand_init(&h);
    for (int i = 0; i < 6; i++)
        add_runner(&h, 0, 30);
    h.graph.cpus = 2;
    struct load_balance balance = measured(&h);
    CHECK_EQ(6, balance.at_once);
    CHECK_EQ(2, balance.slots);
    CHECK(balance.useful_ns > 59.9 && balance.useful_ns < 60.1);
    CHECK(balance.largest_ns > 29.9 && balance.largest_ns < 30.1);
    hand_init(&h);
    for (int p = 0; p < 4; p++) {
        hand_process(&h, 0, PROCESS_NONE, 0);
        hand_step(&h, p, 1 + 10 * (p / 2), CATEGORY_RUNNING);
        hand_step(&h, p, 11 + 10 * (p / 2), CATEGORY_NO_CPU);
        hand_step(&h, p, 21 + 10 * (p / 2), CATEGORY_RUNNING);
    }
    h.graph.cpus = 2;
    balance = measured(&h);
    CHECK_EQ(4, balance.at_once);
    CHECK_EQ(2, balance.slots);
}

/* Three processes that run for 60 of 100, two at once: no slot holds more than the run lasted. */
TEST(a_slot_holds_no_more_than_the_run_lasted)
{
    struct hand_graph h;
    hand_init(&h);
    add_runner(&h, 0, 60);
    add_runner(&h, 40, 100);
    int p = hand_process(&h, 0, PROCESS_NONE, 0);
    hand_step(&h, p, 40, CATEGORY_RUNNING);
    hand_step(&h, p, 60, CATEGORY_OTHER);
    hand_step(&h, p, 80, CATEGORY_RUNNING);
    struct load_balance balance = measured(&h);
    CHECK_EQ(2, balance.slots);
    CHECK_EQ(180, balance.useful_ns);
    CHECK_EQ(100, balance.largest_ns);
}

/* 5 of 1005 ns run at once with others: less than 1 %. 20 of 1020 are more. */
TEST(a_short_overlap_makes_no_further_slot)
{
    struct hand_graph h;
    hand_init(&h);
    add_runner(&h, 0, 505);
    add_runner(&h, 500, 1000);
    CHECK_EQ(1, measured(&h).slots);
    hand_init(&h);
    add_runner(&h, 0, 520);
    add_runner(&h, 500, 1000);
    CHECK_EQ(2, measured(&h).slots);
}

/* Three run at once from 490 to 500, which are 10 of 1510 ns: two slots, of which the second has 500 + 10. */
TEST(useful_time_that_finds_no_free_slot_counts_to_the_emptiest_one)
{
    struct hand_graph h;
    hand_init(&h);
    add_runner(&h, 0, 1000);
    add_runner(&h, 0, 500);
    add_runner(&h, 490, 500);
    struct load_balance balance = measured(&h);
    CHECK_EQ(2, balance.slots);
    CHECK_EQ(1510, balance.useful_ns);
    CHECK_EQ(1000, balance.largest_ns);
}

/* Faults and tracing are not useful, nor is merging. */
TEST(only_what_is_left_of_running_is_useful)
{
    struct hand_graph h;
    hand_init(&h);
    int process = hand_process(&h, 0, PROCESS_NONE, 0);
    struct step *step = hand_step(&h, process, 100, CATEGORY_RUNNING);
    step->fault_ns = 20;
    step->tracing_ns = 5;
    hand_step(&h, process, 150, CATEGORY_MERGING);
    CHECK_EQ(75, measured(&h).useful_ns);
}

/* Two processes take turns on one CPU, 10 ns each: both would have run all of the time, so these are two slots. */
TEST(a_process_that_lost_its_cpu_keeps_its_slot)
{
    struct hand_graph h;
    hand_init(&h);
    for (int p = 0; p < 2; p++) {
        hand_process(&h, 10 * p, PROCESS_NONE, 0);
        for (int turn = 0; turn < 10; turn++) {
            hand_step(&h, p, 10 * p + 20 * turn + 10, CATEGORY_RUNNING);
            hand_step(&h, p, 10 * p + 20 * turn + 20, CATEGORY_NO_CPU);
        }
    }
    struct load_balance balance = measured(&h);
    CHECK_EQ(2, balance.slots);
    CHECK_EQ(200, balance.useful_ns);
    CHECK_EQ(100, balance.largest_ns);
}

/* The same two, but each of them merges before it has to wait for a CPU: then it had nothing useful to do. */
TEST(a_process_that_waits_for_a_cpu_to_do_nothing_useful_keeps_no_slot)
{
    struct hand_graph h;
    hand_init(&h);
    for (int p = 0; p < 2; p++) {
        hand_process(&h, 10 * p, PROCESS_NONE, 0);
        for (int turn = 0; turn < 10; turn++) {
            hand_step(&h, p, 10 * p + 20 * turn + 9, CATEGORY_RUNNING);
            hand_step(&h, p, 10 * p + 20 * turn + 10, CATEGORY_MERGING);
            hand_step(&h, p, 10 * p + 20 * turn + 20, CATEGORY_NO_CPU);
        }
    }
    CHECK_EQ(1, measured(&h).slots);
}

TEST(a_run_in_which_nobody_ran_needs_no_slot)
{
    struct hand_graph h;
    hand_init(&h);
    hand_step(&h, hand_process(&h, 0, PROCESS_NONE, 0), 10, CATEGORY_OTHER);
    struct load_balance balance = measured(&h);
    CHECK_EQ(0, balance.slots);
    CHECK_EQ(0, balance.useful_ns);
}

/* The children run for 10 and 30, so each would run for 20; the third begins when both have ended; the fourth never
 * ran. The parent is nobody's sibling. */
TEST(siblings_that_lived_at_the_same_time_all_run_for_their_mean)
{
    struct hand_graph h;
    hand_init(&h);
    int parent = hand_process(&h, 0, PROCESS_NONE, 0);
    hand_step(&h, parent, 100, CATEGORY_RUNNING);
    hand_step(&h, hand_process(&h, 10, parent, 0), 20, CATEGORY_RUNNING);
    hand_step(&h, hand_process(&h, 10, parent, 0), 40, CATEGORY_RUNNING);
    hand_step(&h, hand_process(&h, 40, parent, 0), 47, CATEGORY_RUNNING);
    hand_step(&h, hand_process(&h, 15, parent, 0), 35, CATEGORY_OTHER);
    hand_link(&h);
    double *factors = load_balance_level(&h.graph);
    const double wanted[] = {1, 2, 20.0 / 30, 1, 1};
    CHECK(factors);
    for (int p = 0; p < 5; p++)
        CHECK(factors[p] == wanted[p]);
    free(factors);
    graph_fini(&h.graph);
}

TEST(processes_without_a_parent_are_not_siblings)
{
    struct hand_graph h;
    hand_init(&h);
    add_runner(&h, 0, 10);
    add_runner(&h, 0, 30);
    hand_link(&h);
    double *factors = load_balance_level(&h.graph);
    CHECK(factors);
    CHECK(factors[0] == 1 && factors[1] == 1);
    free(factors);
    graph_fini(&h.graph);
}

/* The first lives to 100, and with each of the others at some time: all three are one group. */
TEST(a_long_sibling_ties_those_together_that_did_not_meet)
{
    struct hand_graph h;
    hand_init(&h);
    int parent = hand_process(&h, 0, PROCESS_NONE, 0);
    hand_step(&h, hand_process(&h, 0, parent, 0), 100, CATEGORY_RUNNING);
    hand_step(&h, hand_process(&h, 10, parent, 0), 20, CATEGORY_RUNNING);
    hand_step(&h, hand_process(&h, 50, parent, 0), 60, CATEGORY_RUNNING);
    hand_link(&h);
    double *factors = load_balance_level(&h.graph);
    CHECK(factors);
    CHECK(factors[1] == 0.4 && factors[2] == 4 && factors[3] == 4);
    free(factors);
    graph_fini(&h.graph);
}

TEST(in_any_graph_no_slot_holds_more_than_all_or_less_than_the_mean_and_levelling_keeps_the_sum)
{
    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct hand_graph h;
        struct load_balance balance;
        hand_random(&h, seed);
        CHECK_EQ(0, load_balance_measure(&balance, &h.graph));
        int64_t useful_ns = 0;
        double levelled_ns = 0, *factors = load_balance_level(&h.graph);
        for (uint32_t i = 0; i < h.graph.count; i++)
            if (h.graph.steps[i].category == CATEGORY_RUNNING) {
                useful_ns += graph_own_ns(&h.graph.steps[i]);
                levelled_ns += (double)graph_own_ns(&h.graph.steps[i]) * factors[h.graph.steps[i].process];
            }
        CHECK_EQ(useful_ns, balance.useful_ns);
        CHECK(balance.slots <= h.processes.count);
        CHECK(balance.largest_ns <= balance.useful_ns);
        CHECK(balance.largest_ns * balance.slots >= balance.useful_ns);
        CHECK(levelled_ns - (double)useful_ns < 1e-6 && (double)useful_ns - levelled_ns < 1e-6);
        free(factors);
        graph_fini(&h.graph);
    }
}

TEST_MAIN()
