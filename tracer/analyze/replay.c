/* One pass over the steps in the graph's order: what a step requires is provided by then, if it ever is. */
#include "analyze/replay.h"

#include <assert.h>
#include <stdlib.h>

/* When a dependency was provided last. */
struct dependency {
    int64_t was_ns; /* in the run */
    double is_ns;   /* in the replay */
    bool there;
};

struct replay_costs replay_costs_all(double factor)
{
    struct replay_costs costs = {
        .handover = factor, .end_handover = factor, .room = factor, .unknown_wait = factor, .copy_on_write = factor};
    for (int i = 0; i < CATEGORY_COUNT; i++)
        costs.category[i] = factor;
    return costs;
}

static double later(double a, double b)
{
    return a > b ? a : b;
}

/* What the step takes, if it is no wait for another process. */
static double duration_of(const struct step *step, const struct replay_costs *costs)
{
    double factor = costs->category[step->category], own = (double)graph_own_ns(step) * factor;
    if (step->category == CATEGORY_RUNNING && costs->running)
        own *= costs->running[step->process];
    return own + (double)(step->fault_ns - step->copy_ns) * costs->category[CATEGORY_PAGE_FAULTS] * factor +
           (double)step->copy_ns * costs->copy_on_write * factor +
           (double)step->tracing_ns * costs->category[CATEGORY_TRACING];
}

/* When a wait ends, if it begins at `now`. */
static double end_of_wait(const struct step *step, double now, const struct dependency *required,
                          const struct replay_costs *costs)
{
    double lasted = (double)(step->to_ns - step->from_ns);
    double handover = step->category == CATEGORY_LATE_CHILD ? costs->end_handover : costs->handover;
    if (step->goes_on)
        return now; /* a later part ends it */
    if (step->category == CATEGORY_LATE_RECEIVER && costs->room == 0)
        return now;
    if (!required)
        return now + lasted * costs->unknown_wait;
    if (required->was_ns > step->from_ns)
        return later(now, required->is_ns + (double)(step->to_ns - required->was_ns) * handover);
    return later(now + lasted * handover, required->is_ns); /* it was there: all of the wait was handover */
}

/* When a process starts. `ends`: when the others end, if they have ended by then. */
static double start_of(const struct graph *graph, const struct step *step, const double *ends,
                       const struct dependency *required, const struct replay_costs *costs)
{
    if (!step->outside) {
        assert(required);
        return required->is_ns + (double)(step->to_ns - required->was_ns) * costs->category[CATEGORY_FORKING];
    }
    if (step->provider == GRAPH_NONE)
        return (double)step->to_ns;
    const struct step *ended = &graph->steps[step->provider];
    return ends[ended->process] + (double)(step->to_ns - ended->to_ns); /* what was outside takes as long */
}

/* When any other step ends, if it begins at `now`. */
static double end_of_step(const struct step *step, double now, const struct dependency *required,
                          const struct replay_costs *costs)
{
    if (graph_is_wait(step))
        return end_of_wait(step, now, required, costs);
    double end = now + duration_of(step, costs);
    return required ? later(end, required->is_ns) : end;
}

double replay_work(const struct graph *graph, const struct replay_costs *costs)
{
    double work_ns = 0;
    for (uint32_t i = 0; i < graph->count; i++)
        if (category_is_on_cpu(graph->steps[i].category))
            work_ns += duration_of(&graph->steps[i], costs);
    return work_ns;
}

/* Graham's bound: what needs a CPU takes at least that long on all of them. It says something only of a replay without
 * the waits for a CPU; and only with the kernel's view, because without it they are in what seems to need one. */
static double least_on_cpus(const struct graph *graph, const struct replay_costs *costs)
{
    if (!graph->cpus || costs->category[CATEGORY_NO_CPU] >= 1 || !graph->knows_no_cpu)
        return 0;
    return replay_work(graph, costs) / graph->cpus;
}

double replay(const struct graph *graph, const struct replay_costs *costs)
{
    const struct processes *processes = graph->processes;
    struct dependency *dependencies = calloc((size_t)graph->dependencies + 1, sizeof *dependencies);
    double *now = malloc(((size_t)processes->count + 1) * sizeof *now), end = 0;
    if (!dependencies || !now) {
        free(dependencies);
        free(now);
        return -1;
    }
    for (int p = 0; p < processes->count; p++)
        now[p] = (double)processes->rows[p].start_ns;
    for (uint32_t i = 0; i < graph->count; i++) {
        const struct step *step = &graph->steps[graph->order[i]];
        const struct dependency *required =
            step->required && dependencies[step->required].there ? &dependencies[step->required] : NULL;
        double *at = &now[step->process];
        double end_ns =
            step->starts ? start_of(graph, step, now, required, costs) : end_of_step(step, *at, required, costs);
        assert(step->starts || end_ns >= *at);
        *at = end_ns;
        if (step->provided) {
            struct dependency *provided = &dependencies[step->provided];
            provided->is_ns = provided->there ? later(provided->is_ns, *at) : *at;
            provided->was_ns = step->to_ns;
            provided->there = true;
        }
    }
    for (int p = 0; p < processes->count; p++)
        end = p ? later(end, now[p]) : now[p];
    assert(!processes->count || end >= (double)graph->from_ns);
    free(dependencies);
    free(now);
    return processes->count ? later(end - (double)graph->from_ns, least_on_cpus(graph, costs)) : 0;
}
