/* Graphs made by hand, with a known answer: processes, and their steps up to chosen times. Numbers of dependencies are
 * the test's own, from 1 to HAND_DEPENDENCIES. */
#ifndef SF_TESTS_TRACER_ANALYZE_HAND_GRAPH_H
#define SF_TESTS_TRACER_ANALYZE_HAND_GRAPH_H

#include "harness.h"
#include "random_numbers.h"

#include "analyze/graph.h"
#include "base/array.h"

enum { HAND_PROCESSES = 16, HAND_DEPENDENCIES = 64 };

struct hand_graph {
    struct graph graph;
    struct processes processes;
    struct process rows[HAND_PROCESSES];
    uint32_t last[HAND_PROCESSES];
    size_t room;
};

static inline void hand_init(struct hand_graph *h)
{
    *h = (struct hand_graph){0};
    h->processes.rows = h->rows;
    h->graph.processes = &h->processes;
    h->graph.dependencies = HAND_DEPENDENCIES;
}

/* The process goes on to that time; the step is there to be changed until the next one is added. */
static inline struct step *hand_step(struct hand_graph *h, int process, int64_t to_ns, enum category category)
{
    struct graph *graph = &h->graph;
    int64_t from_ns = h->last[process] == GRAPH_NONE ? h->rows[process].start_ns : graph->steps[h->last[process]].to_ns;
    graph->steps = array_grow(graph->steps, graph->count, &h->room, sizeof *graph->steps);
    struct step *step = &graph->steps[graph->count];
    *step = (struct step){.from_ns = from_ns,
                          .to_ns = to_ns,
                          .before = h->last[process],
                          .first = graph->count,
                          .provider = GRAPH_NONE,
                          .process = process,
                          .category = (unsigned char)category};
    h->last[process] = graph->count++;
    return step;
}

/* Its index. The parent is PROCESS_NONE for a process of its own; `fork` is the dependency that its start requires. */
static inline int hand_process(struct hand_graph *h, int64_t start_ns, int parent, uint32_t fork)
{
    int process = h->processes.count++;
    h->rows[process] = (struct process){.id = process + 1, .start_ns = start_ns, .parent = parent};
    h->last[process] = GRAPH_NONE;
    struct step *step = hand_step(h, process, start_ns, CATEGORY_FORKING);
    step->starts = true;
    step->required = fork;
    return process;
}

/* A step that waits until that time for the dependency. */
static inline struct step *hand_wait(struct hand_graph *h, int process, int64_t to_ns, uint32_t dependency)
{
    struct step *step = hand_step(h, process, to_ns, CATEGORY_LATE_SENDER);
    step->required = dependency;
    return step;
}

/* The process provides the dependency at the time to which it has come. Returns the index of that step. */
static inline uint32_t hand_provide(struct hand_graph *h, int process, uint32_t dependency)
{
    hand_step(h, process, h->graph.steps[h->last[process]].to_ns, CATEGORY_OTHER)->provided = dependency;
    return h->last[process];
}

/* The processes end with their last steps. */
static inline void hand_link(struct hand_graph *h)
{
    for (int p = 0; p < h->processes.count; p++) {
        struct process *process = &h->rows[p];
        process->end_ns = h->graph.steps[h->last[p]].to_ns;
        if (p == 0 || process->start_ns < h->graph.from_ns)
            h->graph.from_ns = process->start_ns;
        if (p == 0 || process->end_ns > h->graph.to_ns)
            h->graph.to_ns = process->end_ns;
    }
    CHECK_EQ(0, graph_link(&h->graph));
}

/* Any graph that can be: processes that fork at any time, run, fault, wait for something or for nothing, also in parts,
 * and provide things that nobody or everybody requires. Many ends are equal. */
static inline void hand_random(struct hand_graph *h, uint64_t seed)
{
    struct random_numbers r = {seed};
    hand_init(h);
    hand_process(h, random_below(&r, 5), PROCESS_NONE, 0);
    for (int i = 0, steps = random_below(&r, 150); i < steps; i++) {
        int p = random_below(&r, h->processes.count);
        int64_t now_ns = h->graph.steps[h->last[p]].to_ns, to_ns = now_ns + random_below(&r, 10);
        uint32_t dependency = (uint32_t)random_below(&r, 8) + 1, last = h->last[p], forks = 8;
        struct step *step;
        switch (random_below(&r, 7)) {
        case 0:
            if (h->processes.count == HAND_PROCESSES)
                break;
            forks += (uint32_t)h->processes.count;
            if (random_below(&r, 4)) /* else its fork was not seen */
                hand_provide(h, p, forks);
            hand_process(h, now_ns + random_below(&r, 3), p, forks);
            break;
        case 1:
        case 2:
            hand_provide(h, p, dependency);
            break;
        case 3: /* a wait, or the next part of the last one */
            step = hand_wait(h, p, to_ns, dependency);
            if (category_is_wait(h->graph.steps[last].category) && random_below(&r, 2)) {
                step->first = h->graph.steps[last].first;
                step->required = h->graph.steps[last].required;
            }
            break;
        case 4:
            hand_step(h, p, to_ns, CATEGORY_MERGING)->required = random_below(&r, 2) ? dependency : 0;
            break;
        default:
            step = hand_step(h, p, to_ns, CATEGORY_RUNNING);
            step->fault_ns = random_below(&r, (int)(to_ns - now_ns) + 1);
            step->copy_ns = step->fault_ns / 2;
            step->tracing_ns = (to_ns - now_ns - step->fault_ns) / 3;
        }
    }
    hand_link(h);
}

#endif
