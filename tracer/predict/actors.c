/* Processor sharing. Where the actors want more CPUs than there are, each has the same part of what it wants: work of
 * left_ns that takes the part c of a CPU takes left_ns x (c x slowdown + 1 - c). Times are doubles: whole ns stay exact
 * while nobody is slowed down. */
#include "predict/actors.h"

#include <assert.h>
#include <stdlib.h>

#include "base/array.h"

#define ROUNDING 1e-12 /* so much is as much as 1 */

void actors_fini(struct actors *actors)
{
    free(actors->rows);
    free(actors->segments);
    free(actors->busy);
    free(actors->ready);
}

static void push(struct actors *actors, uint32_t **list, size_t *count, size_t *room, uint32_t actor)
{
    uint32_t *grown = array_grow(*list, *count, room, sizeof *grown);
    if (!grown) {
        actors->failed = true;
        return;
    }
    *list = grown;
    grown[(*count)++] = actor;
}

static void make_ready(struct actors *actors, uint32_t actor)
{
    if (actors->ready_at == actors->ready_count)
        actors->ready_at = actors->ready_count = 0;
    actors->rows[actor].state = ACTOR_READY;
    push(actors, &actors->ready, &actors->ready_count, &actors->ready_room, actor);
}

uint32_t actors_add(struct actors *actors, uint32_t trail)
{
    struct actor *grown =
        actors->count < ACTORS_NONE ? array_grow(actors->rows, actors->count, &actors->room, sizeof *grown) : NULL;
    if (!grown) {
        actors->failed = true;
        return ACTORS_NONE;
    }
    actors->rows = grown;
    uint32_t actor = (uint32_t)actors->count++;
    grown[actor] = (struct actor){.trail = trail,
                                  .next = ACTORS_NONE,
                                  .call = -1,
                                  .crew = -1,
                                  .factor = 1,
                                  .part = 1,
                                  .ends_unit = true,
                                  .over = ACTORS_NONE,
                                  .release = ACTORS_NONE};
    make_ready(actors, actor);
    return actor;
}

static void add_segment(struct actors *actors, struct actor *actor, double ns, int activity)
{
    if (!actors->keeps_segments || ns <= 0)
        return;
    struct segment *grown = actors->segment_count < ACTORS_NONE ? array_grow(actors->segments, actors->segment_count,
                                                                             &actors->segment_room, sizeof *grown)
                                                                : NULL;
    if (!grown) {
        actors->failed = true;
        return;
    }
    actors->segments = grown;
    grown[actors->segment_count] =
        (struct segment){ns, actor->trail, actor->detail, actor->who, (unsigned char)activity};
    actor->trail = (uint32_t)actors->segment_count++;
}

static void make_busy(struct actors *actors, uint32_t actor)
{
    actors->rows[actor].state = ACTOR_BUSY;
    actors->rows[actor].began_ns = actors->now_ns;
    push(actors, &actors->busy, &actors->busy_count, &actors->busy_room, actor);
}

bool actors_work(struct actors *actors, uint32_t at, double ns, double cpu, int activity, int who, uint32_t detail)
{
    struct actor *actor = &actors->rows[at];
    assert(ns >= 0 && cpu >= 0 && cpu <= 1);
    if (ns <= 0)
        return false;
    actor->left_ns = actor->work_ns = actor->segment_ns = ns;
    actor->cpu = cpu;
    actor->activity = (unsigned char)activity;
    actor->who = who;
    actor->detail = detail;
    make_busy(actors, at);
    return true;
}

bool actors_pause_after(struct actors *actors, uint32_t at, double from_ns, double ns, uint32_t trail, int activity)
{
    struct actor *actor = &actors->rows[at];
    double until_ns = from_ns + ns;
    assert(from_ns <= actors->now_ns);
    if (until_ns <= actors->now_ns)
        return false;
    actor->trail = trail;
    actors_work(actors, at, until_ns - actors->now_ns, 0, activity, actor->who, 0);
    actor->segment_ns = ns;
    return true;
}

void actors_wake(struct actors *actors, uint32_t at, uint32_t trail)
{
    assert(actors->rows[at].state == ACTOR_BLOCKED);
    actors->rows[at].trail = trail;
    make_ready(actors, at);
}

uint32_t actors_next(struct actors *actors)
{
    return actors->ready_at < actors->ready_count ? actors->ready[actors->ready_at++] : ACTORS_NONE;
}

/* How many times as long the actor's work takes. */
static double stretch_of(const struct actor *actor, double slowdown)
{
    return actor->cpu * slowdown + (1 - actor->cpu);
}

/* What it took longer than its work is the lack of CPUs. */
static void end_work(struct actors *actors, uint32_t at)
{
    struct actor *actor = &actors->rows[at];
    double lack_ns = actors->now_ns - actor->began_ns - actor->work_ns;
    add_segment(actors, actor, actor->segment_ns, actor->activity);
    add_segment(actors, actor, lack_ns > actors->now_ns * ROUNDING ? lack_ns : 0, actors->lack);
    make_ready(actors, at);
}

bool actors_advance(struct actors *actors)
{
    double wanted = 0, ns = -1;
    size_t kept = 0;
    if (!actors->busy_count)
        return false;
    for (size_t i = 0; i < actors->busy_count; i++)
        wanted += actors->rows[actors->busy[i]].cpu;
    double slowdown = wanted > actors->cpus ? wanted / actors->cpus : 1;
    for (size_t i = 0; i < actors->busy_count; i++) {
        const struct actor *actor = &actors->rows[actors->busy[i]];
        double lasts_ns = actor->left_ns * stretch_of(actor, slowdown);
        ns = ns < 0 || lasts_ns < ns ? lasts_ns : ns;
    }
    actors->now_ns += ns;
    for (size_t i = 0; i < actors->busy_count; i++) {
        struct actor *actor = &actors->rows[actors->busy[i]];
        bool is_over = actor->left_ns * stretch_of(actor, slowdown) <= ns * (1 + ROUNDING);
        actor->left_ns -= ns / stretch_of(actor, slowdown);
        if (is_over)
            end_work(actors, actors->busy[i]);
        else
            actors->busy[kept++] = actors->busy[i];
    }
    assert(kept < actors->busy_count); /* so there is progress */
    actors->busy_count = kept;
    return true;
}
