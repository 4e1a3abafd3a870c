/* The critical path is walked back from the step that ended last. From a wait it goes over to the process that ended
 * the wait, at the moment at which it did; from a process's start to the one that forked it. Where that is not known it
 * goes over to the process that had ended last, as where a script runs one program after another. */
#include "analyze/critical_path.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/array.h"

/* The walk finds the last piece first. */
static int add_earlier(struct critical_path *path, size_t *room, struct piece piece)
{
    struct piece *last = path->count ? &path->pieces[path->count - 1] : NULL;
    if (piece.from_ns >= piece.to_ns)
        return 0;
    if (last && last->process == piece.process && last->activity == piece.activity && last->from_ns == piece.to_ns) {
        last->from_ns = piece.from_ns;
        return 0;
    }
    struct piece *grown = array_grow(path->pieces, path->count, room, sizeof *grown);
    if (!grown)
        return -ENOMEM;
    path->pieces = grown;
    grown[path->count++] = piece;
    return 0;
}

static void reverse(struct critical_path *path)
{
    for (size_t i = 0, j = path->count; i + 1 < j; i++) {
        struct piece piece = path->pieces[i];
        path->pieces[i] = path->pieces[--j];
        path->pieces[j] = piece;
    }
}

/* The step's piece of the path. */
static struct piece piece_of(const struct graph *graph, const struct step *step)
{
    bool leaves = step->provider != GRAPH_NONE; /* for another process */
    struct piece piece = {step->from_ns, step->to_ns, step->process, step->category};
    if (leaves)
        piece.from_ns = graph->steps[step->provider].to_ns;
    else if (step->outside)
        piece.from_ns = graph->from_ns;
    if (step->outside)
        piece.activity = CRITICAL_PATH_OUTSIDE;
    else if (leaves && !step->starts)
        piece.activity = CRITICAL_PATH_HANDOVER;
    return piece;
}

/* A piece that leads to another process, or outside, is of one activity. Any other piece is a whole step, of which page
 * faults and tracing are counted apart. */
static void add_times(struct critical_path *path, const struct step *step, const struct piece *piece)
{
    if (step->provider != GRAPH_NONE || step->outside) {
        path->ns[piece->activity] += piece->to_ns - piece->from_ns;
        return;
    }
    path->ns[CATEGORY_PAGE_FAULTS] += step->fault_ns;
    path->ns[CATEGORY_TRACING] += step->tracing_ns;
    path->ns[step->category] += graph_own_ns(step);
}

/* The pieces cover the run without a gap, and the activities share all of their time. */
__attribute__((unused)) static bool is_whole(const struct critical_path *path, const struct graph *graph)
{
    int64_t ns = 0;
    for (size_t i = 1; i < path->count; i++)
        if (path->pieces[i - 1].to_ns != path->pieces[i].from_ns)
            return false;
    for (int i = 0; i < CRITICAL_PATH_ACTIVITIES; i++)
        ns += path->ns[i];
    if (path->count &&
        (path->pieces[0].from_ns != graph->from_ns || path->pieces[path->count - 1].to_ns != graph->to_ns))
        return false;
    return ns == graph->to_ns - graph->from_ns;
}

int critical_path_init(struct critical_path *path, const struct graph *graph)
{
    size_t room = 0;
    int error = 0;
    *path = (struct critical_path){0};
    uint32_t at = graph->count ? graph->order[graph->count - 1] : GRAPH_NONE; /* the step to go on from */
    for (uint32_t i = graph->count; i-- > 0 && !error;) {
        if (graph->order[i] != at)
            continue;
        const struct step *step = &graph->steps[at];
        struct piece piece = piece_of(graph, step);
        error = add_earlier(path, &room, piece);
        add_times(path, step, &piece);
        at = step->provider != GRAPH_NONE ? step->provider : step->before;
    }
    reverse(path);
    assert(error || (at == GRAPH_NONE && is_whole(path, graph)));
    return error;
}

void critical_path_fini(struct critical_path *path)
{
    free(path->pieces);
    *path = (struct critical_path){0};
}
