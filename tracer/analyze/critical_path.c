/* The critical path is walked back from the process that ended last. At a wait it goes over to who ended it, at the
 * moment at which that one did; at a process's start to who forked it. Each move goes to a step that stands before
 * it in the graph's order, so the walk ends. */
#include "analyze/critical_path.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"

/* A piece before those that are there; pieces are reversed at the end. */
static int add(struct critical_path *path, size_t *room, struct piece piece)
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

static uint32_t last_of_all(const struct graph *graph)
{
    return graph->count ? graph->order[graph->count - 1] : GRAPH_NONE;
}

int critical_path_init(struct critical_path *path, const struct graph *graph)
{
    size_t room = 0;
    int error = 0;
    *path = (struct critical_path){0};
    for (uint32_t at = last_of_all(graph); at != GRAPH_NONE && !error;) {
        const struct step *step = &graph->steps[at];
        bool over = step->by != GRAPH_NONE;
        struct piece piece = {over ? graph->steps[step->by].to_ns : step->from_ns, step->to_ns, step->process,
                              over && !step->starts ? CRITICAL_PATH_HANDOVER : step->category};
        error = add(path, &room, piece);
        if (over) {
            path->ns[piece.activity] += piece.to_ns - piece.from_ns;
        } else {
            path->ns[CATEGORY_PAGE_FAULTS] += step->fault_ns;
            path->ns[CATEGORY_TRACING] += step->tracing_ns;
            path->ns[step->category] += graph_own_ns(step);
        }
        at = over ? step->by : step->before;
    }
    reverse(path);
    return error;
}

void critical_path_fini(struct critical_path *path)
{
    free(path->pieces);
    *path = (struct critical_path){0};
}
