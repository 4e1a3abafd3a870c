/* One pass over the steps in the order in which they ended: whoever gives a signal is there before who needs it. */
#include "analyze/replay.h"

#include <stdlib.h>

struct given {
    int64_t was_ns; /* when it was given; the last time */
    double is_ns;   /* when it is given now */
    bool there;
};

struct replay_costs replay_costs_all(double factor)
{
    struct replay_costs costs = {.handover = factor, .unknown_wait = factor, .copy_on_write = factor};
    for (int i = 0; i < CATEGORY_COUNT; i++)
        costs.category[i] = factor;
    return costs;
}

static double later(double a, double b)
{
    return a > b ? a : b;
}

static double duration(const struct step *step, const struct replay_costs *costs)
{
    double own = (double)graph_own_ns(step) * costs->category[step->category];
    if (step->category == CATEGORY_RUNNING && costs->running)
        own *= costs->running[step->process];
    return own + (double)(step->fault_ns - step->copy_ns) * costs->category[CATEGORY_PAGE_FAULTS] +
           (double)step->copy_ns * costs->copy_on_write + (double)step->tracing_ns * costs->category[CATEGORY_TRACING];
}

/* When the step ends, that its process comes to at `now`. */
static double end_of(const struct step *step, double now, const struct given *needed, const struct replay_costs *costs)
{
    double lasted = (double)(step->to_ns - step->from_ns);
    if (step->starts)
        return needed ? needed->is_ns + (double)(step->to_ns - needed->was_ns) * costs->category[CATEGORY_FORKING]
                      : (double)step->to_ns;
    if (!graph_is_wait(step))
        return needed ? later(now + duration(step, costs), needed->is_ns) : now + duration(step, costs);
    if (step->goes_on)
        return now;
    if (!needed)
        return now + lasted * costs->unknown_wait;
    if (needed->was_ns > step->from_ns)
        return later(now, needed->is_ns + (double)(step->to_ns - needed->was_ns) * costs->handover);
    return later(now + lasted * costs->handover, needed->is_ns); /* it was there already: only the waking took time */
}

double replay(const struct graph *graph, const struct replay_costs *costs)
{
    const struct processes *processes = graph->processes;
    struct given *given = calloc((size_t)graph->dependencies + 1, sizeof *given);
    double *now = malloc(((size_t)processes->count + 1) * sizeof *now), end = 0;
    if (!given || !now) {
        free(given);
        free(now);
        return -1;
    }
    for (int p = 0; p < processes->count; p++)
        now[p] = (double)processes->rows[p].start_ns;
    for (uint32_t i = 0; i < graph->count; i++) {
        const struct step *step = &graph->steps[graph->order[i]];
        struct given *needed = step->need && given[step->need].there ? &given[step->need] : NULL;
        double *at = &now[step->process];
        *at = end_of(step, *at, needed, costs);
        if (step->give) {
            struct given *gives = &given[step->give];
            gives->is_ns = gives->there ? later(gives->is_ns, *at) : *at;
            gives->was_ns = step->to_ns;
            gives->there = true;
        }
    }
    for (int p = 0; p < processes->count; p++)
        end = p ? later(end, now[p]) : now[p];
    free(given);
    free(now);
    return processes->count ? end - (double)graph->from_ns : 0;
}
