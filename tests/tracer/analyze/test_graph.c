/* Linking: which step ended a wait, which one forked a process, and in what order steps stand. */
#include "hand_graph.h"

static uint32_t place_of(const struct graph *graph, uint32_t step)
{
    for (uint32_t i = 0; i < graph->count; i++)
        if (graph->order[i] == step)
            return i;
    FAIL("step %u is not in the order", step);
}

TEST(a_wait_was_ended_by_the_last_step_that_provided_before_the_waits_end)
{
    struct hand_graph h;
    hand_init(&h);
    int sender = hand_process(&h, 0, PROCESS_NONE, 0), receiver = hand_process(&h, 0, PROCESS_NONE, 0);
    hand_step(&h, sender, 10, CATEGORY_RUNNING);
    hand_provide(&h, sender, 1);
    hand_step(&h, sender, 20, CATEGORY_RUNNING);
    uint32_t second = hand_provide(&h, sender, 1);
    hand_step(&h, sender, 40, CATEGORY_RUNNING);
    hand_provide(&h, sender, 1); /* too late for the wait that ends at 30 */
    hand_wait(&h, receiver, 30, 1);
    uint32_t wait = h.last[receiver];
    hand_link(&h);
    CHECK_EQ(second, h.graph.steps[wait].provider);
    graph_fini(&h.graph);
}

TEST(what_was_provided_before_a_wait_began_did_not_end_it)
{
    struct hand_graph h;
    hand_init(&h);
    int sender = hand_process(&h, 0, PROCESS_NONE, 0), receiver = hand_process(&h, 0, PROCESS_NONE, 0);
    hand_step(&h, sender, 10, CATEGORY_RUNNING);
    hand_provide(&h, sender, 1);
    hand_step(&h, receiver, 10, CATEGORY_RUNNING);
    hand_wait(&h, receiver, 15, 1); /* begins at the moment of the send: the message is there */
    uint32_t wait = h.last[receiver];
    hand_link(&h);
    CHECK_EQ(GRAPH_NONE, h.graph.steps[wait].provider);
    graph_fini(&h.graph);
}

TEST(a_step_that_did_not_wait_was_not_ended_by_anybody)
{
    struct hand_graph h;
    hand_init(&h);
    int sender = hand_process(&h, 0, PROCESS_NONE, 0), receiver = hand_process(&h, 0, PROCESS_NONE, 0);
    hand_step(&h, sender, 10, CATEGORY_RUNNING);
    hand_provide(&h, sender, 1);
    hand_step(&h, receiver, 15, CATEGORY_COPYING)->required = 1;
    uint32_t copying = h.last[receiver];
    hand_link(&h);
    CHECK_EQ(GRAPH_NONE, h.graph.steps[copying].provider);
    graph_fini(&h.graph);
}

TEST(a_start_is_linked_to_the_fork_however_long_ago_that_was)
{
    struct hand_graph h;
    hand_init(&h);
    int parent = hand_process(&h, 0, PROCESS_NONE, 0);
    hand_step(&h, parent, 5, CATEGORY_RUNNING);
    uint32_t fork = hand_provide(&h, parent, 1);
    hand_step(&h, parent, 9, CATEGORY_RUNNING);
    int child = hand_process(&h, 7, parent, 1);
    uint32_t start = h.last[child];
    hand_step(&h, child, 8, CATEGORY_RUNNING);
    hand_link(&h);
    CHECK_EQ(fork, h.graph.steps[start].provider);
    graph_fini(&h.graph);
}

/* The second part of the wait was ended by the sender, so nothing ended the first: it went on. Between the parts the
 * receiver had no CPU, which is no part of the wait. */
TEST(the_earlier_parts_of_a_wait_that_another_process_ended_went_on)
{
    struct hand_graph h;
    hand_init(&h);
    int sender = hand_process(&h, 0, PROCESS_NONE, 0), receiver = hand_process(&h, 0, PROCESS_NONE, 0);
    hand_step(&h, sender, 10, CATEGORY_RUNNING);
    uint32_t send = hand_provide(&h, sender, 1);
    hand_wait(&h, receiver, 4, 1);
    uint32_t first = h.last[receiver];
    hand_step(&h, receiver, 6, CATEGORY_NO_CPU);
    uint32_t between = h.last[receiver];
    hand_wait(&h, receiver, 12, 1)->first = first;
    uint32_t second = h.last[receiver];
    hand_link(&h);
    CHECK_EQ(send, h.graph.steps[second].provider);
    CHECK(!h.graph.steps[second].goes_on);
    CHECK(h.graph.steps[first].goes_on);
    CHECK(!h.graph.steps[between].goes_on);
    graph_fini(&h.graph);
}

/* All at time 5: the parent forks, the child starts and forks, the grandchild starts and sends. In whatever order the
 * processes are listed, and their steps were read. */
TEST(at_one_moment_a_fork_stands_before_the_start_and_that_before_what_the_child_does)
{
    for (int reversed = 0; reversed < 2; reversed++) {
        struct hand_graph h;
        int parent = reversed ? 2 : 0, child = 1, grandchild = 2 - parent;
        uint32_t starts[3];
        hand_init(&h);
        for (int p = 0; p < 3; p++) {
            CHECK_EQ(p, p == parent ? hand_process(&h, 0, PROCESS_NONE, 0)
                                    : hand_process(&h, 5, p == child ? parent : child, p == child ? 1 : 2));
            starts[p] = h.last[p];
        }
        uint32_t send = hand_provide(&h, grandchild, 3), child_forks = hand_provide(&h, child, 2);
        hand_step(&h, parent, 5, CATEGORY_RUNNING);
        uint32_t parent_forks = hand_provide(&h, parent, 1);
        hand_link(&h);
        const uint32_t wanted[] = {parent_forks, starts[child], child_forks, starts[grandchild], send};
        for (int i = 0; i < 4; i++)
            CHECK(place_of(&h.graph, wanted[i]) < place_of(&h.graph, wanted[i + 1]));
        CHECK_EQ(parent_forks, h.graph.steps[starts[child]].provider);
        CHECK_EQ(child_forks, h.graph.steps[starts[grandchild]].provider);
        graph_fini(&h.graph);
    }
}

/* A damaged trace may say that two processes are each other's child, or that a process that ended a wait was forked
 * after it. Each step must still stand behind those that it comes from: graph_link asserts it. */
TEST(processes_that_are_each_others_parents_are_ordered_too)
{
    struct hand_graph h;
    hand_init(&h);
    for (int p = 0; p < 6; p++)
        hand_process(&h, 3, (p + 1) % 3 + p / 3 * 3, (uint32_t)p + 1);
    for (int p = 0; p < 6; p++) {
        hand_provide(&h, p, (uint32_t)(p + 2) % 6 + 1);
        hand_step(&h, p, 10, CATEGORY_RUNNING);
    }
    hand_link(&h);
    for (uint32_t i = 0; i < h.graph.count; i++)
        if (h.graph.steps[i].before != GRAPH_NONE)
            CHECK(place_of(&h.graph, h.graph.steps[i].before) < place_of(&h.graph, i));
    graph_fini(&h.graph);
}

TEST(in_any_graph_each_step_stands_by_its_end_and_behind_those_it_comes_from)
{
    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct hand_graph h;
        hand_random(&h, seed);
        uint32_t places[1024];
        CHECK(h.graph.count <= 1024);
        for (uint32_t i = 0; i < h.graph.count; i++)
            places[h.graph.order[i]] = i;
        for (uint32_t i = 0; i < h.graph.count; i++) {
            const struct step *step = &h.graph.steps[i];
            if (places[i] > 0)
                CHECK(h.graph.steps[h.graph.order[places[i] - 1]].to_ns <= step->to_ns);
            if (step->before != GRAPH_NONE)
                CHECK(places[step->before] < places[i]);
            if (step->provider == GRAPH_NONE)
                continue;
            const struct step *provider = &h.graph.steps[step->provider];
            CHECK(places[step->provider] < places[i]);
            if (step->outside) {
                CHECK_EQ(provider->to_ns, h.rows[provider->process].end_ns);
                CHECK(step->starts);
                continue;
            }
            CHECK_EQ(step->required, provider->provided);
            CHECK(step->starts || (graph_is_wait(step) && provider->to_ns > step->from_ns));
        }
        graph_fini(&h.graph);
    }
}

TEST_MAIN()
