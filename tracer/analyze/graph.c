/* Ordering the steps of all processes, and linking each to its provider.
 *
 * The order is by the steps' ends. Where ends are equal, a child's first moment comes after what its parent did at
 * that moment, so that a fork precedes the start; else the steps keep the order in which they were read. Hence a
 * provider, and the step before a step, always precede it: a walk back from step to step always ends. */
#include "analyze/graph.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define UNKNOWN 0
#define BEING_FOUND UINT32_MAX

struct ordering {
    const struct graph *graph;
    const uint32_t *depths;
};

/* depths[p]: how many processes there are from p up to its first ancestor. A damaged trace may say that a process is
 * its own ancestor: then counting begins somewhere in that cycle. */
static void find_depths(uint32_t *depths, const struct processes *processes)
{
    for (int p = 0; p < processes->count; p++) {
        uint32_t climbed = 0, depth;
        int at = p;
        for (; at != PROCESS_NONE && depths[at] == UNKNOWN; at = processes->rows[at].parent, climbed++)
            depths[at] = BEING_FOUND;
        depth = climbed + (at == PROCESS_NONE || depths[at] == BEING_FOUND ? 0 : depths[at]);
        for (at = p; climbed > 0; climbed--, at = processes->rows[at].parent)
            depths[at] = depth--;
    }
}

/* At equal ends the lower depth comes first. It is 0 for all but what a process did in its first moment. */
static uint32_t depth_of(const struct ordering *ordering, const struct step *step)
{
    return step->to_ns == ordering->graph->processes->rows[step->process].start_ns ? ordering->depths[step->process]
                                                                                   : 0;
}

static int compare_ends(const void *a, const void *b, void *arg)
{
    const struct ordering *ordering = arg;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    const struct step *x = &ordering->graph->steps[i], *y = &ordering->graph->steps[j];
    if (x->to_ns != y->to_ns)
        return x->to_ns < y->to_ns ? -1 : 1;
    uint32_t x_depth = depth_of(ordering, x), y_depth = depth_of(ordering, y);
    if (x_depth != y_depth)
        return x_depth < y_depth ? -1 : 1;
    return i < j ? -1 : i > j;
}

static int order_steps(struct graph *graph)
{
    uint32_t *depths = calloc((size_t)graph->processes->count + 1, sizeof *depths);
    graph->order = malloc(((size_t)graph->count + 1) * sizeof *graph->order);
    if (!depths || !graph->order) {
        free(depths);
        return -ENOMEM;
    }
    find_depths(depths, graph->processes);
    for (uint32_t i = 0; i < graph->count; i++)
        graph->order[i] = i;
    struct ordering ordering = {graph, depths};
    qsort_r(graph->order, graph->count, sizeof *graph->order, compare_ends, &ordering);
    free(depths);
    return 0;
}

/* `step` is the part of a wait in which another process ended it. Marks the earlier parts, which nothing ended. */
static void mark_earlier_parts(struct graph *graph, struct step *step)
{
    while (step != &graph->steps[step->first]) {
        assert(graph_is_wait(&graph->steps[step->first])); /* so a wait comes before this part */
        do
            step = &graph->steps[step->before];
        while (!graph_is_wait(step));
        if (step->provider != GRAPH_NONE || step->goes_on)
            return;
        step->goes_on = true;
    }
}

/* A start is linked to its fork; a wait to what ended it, unless that was there before the wait began. */
static bool has_provider(const struct graph *graph, const struct step *step, uint32_t last)
{
    return last != GRAPH_NONE && (step->starts || (graph_is_wait(step) && graph->steps[last].to_ns > step->from_ns));
}

/* An array of GRAPH_NONE, or NULL. */
static uint32_t *new_numbers(size_t count)
{
    uint32_t *numbers = malloc((count + 1) * sizeof *numbers);
    for (size_t i = 0; numbers && i <= count; i++)
        numbers[i] = GRAPH_NONE;
    return numbers;
}

/* last: the last step that has provided each dependency so far. final: the last step of each process. */
static void link_in_order(struct graph *graph, uint32_t *last, const uint32_t *final)
{
    uint32_t ended = GRAPH_NONE; /* the last step of the process that has ended last so far */
    for (uint32_t i = 0; i < graph->count; i++) {
        uint32_t at = graph->order[i];
        struct step *step = &graph->steps[at];
        if (step->required && has_provider(graph, step, last[step->required])) {
            step->provider = last[step->required];
            if (!step->starts)
                mark_earlier_parts(graph, step);
        } else if (step->starts) {
            step->outside = true;
            step->provider = ended;
        }
        if (step->provided)
            last[step->provided] = at;
        if (final[step->process] == at)
            ended = at;
    }
}

static int link_providers(struct graph *graph)
{
    uint32_t *last = new_numbers(graph->dependencies), *final = new_numbers((size_t)graph->processes->count);
    int error = last && final ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < graph->count && !error; i++)
        final[graph->steps[i].process] = i;
    if (!error)
        link_in_order(graph, last, final);
    free(last);
    free(final);
    return error;
}

/* The chains have no gap, and no step has more faults and tracing than time. */
__attribute__((unused)) static bool has_sound_steps(const struct graph *graph)
{
    for (uint32_t i = 0; i < graph->count; i++) {
        const struct step *step = &graph->steps[i];
        if (graph_own_ns(step) < 0 || step->copy_ns > step->fault_ns || step->first > i)
            return false;
        if (step->before == GRAPH_NONE)
            continue;
        const struct step *before = &graph->steps[step->before];
        if (step->before >= i || before->process != step->process || before->to_ns != step->from_ns)
            return false;
    }
    return true;
}

/* Each step comes after the one before it, and after its provider. */
__attribute__((unused)) static bool is_in_order(const struct graph *graph)
{
    bool sound = true, *passed = calloc((size_t)graph->count + 1, sizeof *passed);
    for (uint32_t i = 0; passed && i < graph->count && sound; i++) {
        const struct step *step = &graph->steps[graph->order[i]];
        sound = (step->before == GRAPH_NONE || passed[step->before]) &&
                (step->provider == GRAPH_NONE || passed[step->provider]);
        passed[graph->order[i]] = true;
    }
    free(passed);
    return sound;
}

int graph_link(struct graph *graph)
{
    assert(has_sound_steps(graph));
    int error = order_steps(graph);
    if (!error)
        error = link_providers(graph);
    assert(error || is_in_order(graph));
    return error;
}

void graph_fini(struct graph *graph)
{
    free(graph->steps);
    free(graph->order);
    free(graph->marks);
    *graph = (struct graph){0};
}
