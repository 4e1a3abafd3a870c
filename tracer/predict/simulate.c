/* Each process that is launched is an actor, which does its operations; so is each worker of a map's call (map_run.c).
 *
 * It always ends: every operation is done once. Where an order of claims that never was leaves all waiting for each
 * other, the first one that waits for an operation goes on without it. */
#include "predict/simulate.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "predict/map_run.h"

struct provided {
    double ns; /* when; negative: not yet */
    uint32_t trail, waiter;
};

struct token { /* a message in a queue */
    double ns;
    uint32_t trail, next;
};

struct queue {
    uint32_t first, last;               /* tokens */
    uint32_t first_waiter, last_waiter; /* actors */
};

struct simulation {
    const struct program *program;
    const struct maps *maps;
    struct actors actors;
    struct map_runs runs;
    struct provided *provided; /* for each step */
    struct queue *queues;
    struct token *tokens;
    size_t token_count, token_room;
    uint32_t *child_of_step,
        *child_of_end;    /* the first process that is launched then + 1; of a step, of a process's end */
    uint32_t *next_child; /* the next one likewise */
    double cpus;          /* that maps have workers for */
    uint32_t last;        /* the actor that ended last; ACTORS_NONE: none */
    double end_ns;
};

/* ---- launching ---- */

static void launch(struct simulation *s, int process, double lag_ns, uint32_t trail)
{
    uint32_t actor = actors_add(&s->actors, trail);
    if (actor == ACTORS_NONE)
        return;
    struct actor *row = &s->actors.rows[actor];
    bool is_forked = s->program->launches[process].provider != GRAPH_NONE; /* then it works until its first record */
    row->process = row->who = process;
    row->at = s->program->first[process];
    row->end = s->program->first[process + 1];
    if (lag_ns > 0) { /* it is busy at once */
        s->actors.ready_count--;
        actors_work(&s->actors, actor, lag_ns, is_forked, ACTIVITY_STARTING, process, 0);
    }
}

/* Launches all of that list, and empties it. */
static void launch_list(struct simulation *s, uint32_t *list, uint32_t trail)
{
    for (uint32_t child = *list, next; child; child = next) {
        next = s->next_child[child - 1];
        launch(s, (int)child - 1, s->program->launches[child - 1].lag_ns, trail);
    }
    *list = 0;
}

static void add_to_list(struct simulation *s, uint32_t *list, int process)
{
    s->next_child[process] = *list;
    *list = (uint32_t)process + 1;
}

static void launch_first(struct simulation *s)
{
    int processes = s->program->graph->processes->count;
    for (int p = processes; p-- > 0;) {
        const struct launch *how = &s->program->launches[p];
        if (how->is_worker)
            continue;
        if (how->provider != GRAPH_NONE)
            add_to_list(s, &s->child_of_step[how->provider], p);
        else if (how->after != PROCESS_NONE)
            add_to_list(s, &s->child_of_end[how->after], p);
    }
    for (int p = 0; p < processes; p++)
        if (!s->program->launches[p].is_worker && s->program->launches[p].provider == GRAPH_NONE &&
            s->program->launches[p].after == PROCESS_NONE)
            launch(s, p, s->program->launches[p].lag_ns, ACTORS_NONE);
}

/* ---- waiting ---- */

/* A list of blocked actors goes on. */
static void wake_all(struct simulation *s, uint32_t first, uint32_t trail)
{
    for (uint32_t next; first != ACTORS_NONE; first = next) {
        next = s->actors.rows[first].next;
        s->actors.rows[first].next = ACTORS_NONE;
        actors_wake(&s->actors, first, trail);
    }
}

static void provide(struct simulation *s, uint32_t step, uint32_t trail)
{
    struct provided *provided = &s->provided[step];
    uint32_t waiter = provided->waiter;
    *provided = (struct provided){s->actors.now_ns, trail, ACTORS_NONE};
    wake_all(s, waiter, trail);
    launch_list(s, &s->child_of_step[step], trail);
}

static void block(struct simulation *s, uint32_t actor)
{
    s->actors.rows[actor].state = ACTOR_BLOCKED;
    s->actors.rows[actor].at--; /* it asks again */
}

/* True: it is blocked or busy. */
static bool await(struct simulation *s, uint32_t actor, const struct op *op)
{
    struct provided *provided = &s->provided[op->what];
    if (provided->ns >= 0)
        return actors_pause_after(&s->actors, actor, provided->ns, op->ns, provided->trail, op->activity);
    block(s, actor);
    s->actors.rows[actor].next = provided->waiter;
    provided->waiter = actor;
    return true;
}

/* A worker of a crew is to claim. True: nothing was submitted for it. */
static bool await_release(struct simulation *s, uint32_t actor)
{
    struct actor *row = &s->actors.rows[actor];
    row->release = map_runs_release(&s->runs, actor);
    if (row->release == GRAPH_NONE || s->provided[row->release].ns >= 0) {
        row->release = ACTORS_NONE;
        return false;
    }
    row->state = ACTOR_BLOCKED;
    row->next = s->provided[row->release].waiter;
    s->provided[row->release].waiter = actor;
    return true;
}

static void send(struct simulation *s, uint32_t to, uint32_t trail)
{
    struct queue *queue = &s->queues[to];
    struct token *grown =
        s->token_count < ACTORS_NONE ? array_grow(s->tokens, s->token_count, &s->token_room, sizeof *grown) : NULL;
    if (!grown) {
        s->actors.failed = true;
        return;
    }
    uint32_t token = (uint32_t)s->token_count++, waiter = queue->first_waiter;
    s->tokens = grown;
    grown[token] = (struct token){s->actors.now_ns, trail, ACTORS_NONE};
    if (queue->last == ACTORS_NONE)
        queue->first = token;
    else
        grown[queue->last].next = token;
    queue->last = token;
    if (waiter == ACTORS_NONE)
        return;
    queue->first_waiter = s->actors.rows[waiter].next;
    if (queue->first_waiter == ACTORS_NONE)
        queue->last_waiter = ACTORS_NONE;
    s->actors.rows[waiter].next = ACTORS_NONE;
    actors_wake(&s->actors, waiter, trail);
}

static bool receive(struct simulation *s, uint32_t actor, const struct op *op)
{
    struct queue *queue = &s->queues[op->what];
    if (queue->first != ACTORS_NONE) {
        const struct token *token = &s->tokens[queue->first];
        queue->first = token->next;
        if (queue->first == ACTORS_NONE)
            queue->last = ACTORS_NONE;
        return actors_pause_after(&s->actors, actor, token->ns, op->ns, token->trail, op->activity);
    }
    block(s, actor);
    if (queue->last_waiter == ACTORS_NONE)
        queue->first_waiter = actor;
    else
        s->actors.rows[queue->last_waiter].next = actor;
    queue->last_waiter = actor;
    return true;
}

/* Takes the actor out of the list in which it waits. */
static void unlink_waiter(struct simulation *s, uint32_t actor, const struct op *op)
{
    struct queue *queue = op->kind == OP_RECEIVE ? &s->queues[op->what] : NULL;
    uint32_t *at = queue ? &queue->first_waiter : &s->provided[op->what].waiter, before = ACTORS_NONE;
    while (*at != actor) {
        before = *at;
        at = &s->actors.rows[*at].next;
    }
    *at = s->actors.rows[actor].next;
    s->actors.rows[actor].next = ACTORS_NONE;
    if (queue && queue->last_waiter == actor)
        queue->last_waiter = before;
}

/* Nobody can go on: one does all the same. False: nobody is blocked. */
static bool break_deadlock(struct simulation *s)
{
    for (uint32_t i = 0; i < s->actors.count; i++) {
        struct actor *actor = &s->actors.rows[i];
        if (actor->state != ACTOR_BLOCKED || actor->call >= 0)
            continue;
        if (actor->release != ACTORS_NONE) {
            provide(s, actor->release, actor->trail);
            return true;
        }
        unlink_waiter(s, i, &s->program->ops[actor->at]);
        actor->at++;
        actors_wake(&s->actors, i, actor->trail);
        return true;
    }
    return false;
}

/* ---- doing ---- */

/* True: the actor is busy or blocked. */
static bool do_op(struct simulation *s, uint32_t at)
{
    struct actor *actor = &s->actors.rows[at];
    const struct op *op = &s->program->ops[actor->at++];
    bool is_over = actor->crew >= 0 && actor->at > actor->over;
    double part = is_over ? 1 : actor->part;
    if (!actor->ends_unit && op->kind != OP_WORK && op->kind != OP_PAUSE)
        return false;
    if (is_over && (op->kind == OP_AWAIT || op->kind == OP_RECEIVE || op->kind == OP_PAUSE))
        return false;
    int map =
        actor->crew >= 0 ? actor->crew : s->program->launches[actor->process].map; /* the task's, also in children */
    bool is_task = map >= 0 && !is_over &&
                   (op->activity == ACTIVITY_RUNNING || (actor->crew >= 0 && op->activity == ACTIVITY_OTHER));
    switch (op->kind) {
    case OP_WORK:
    case OP_PAUSE:
        return actors_work(&s->actors, at, op->ns * part * (is_task ? actor->factor : 1),
                           op->kind == OP_WORK ? program_cpu(&s->program->cpu[actor->process], op->activity) : 0,
                           is_task ? ACTIVITY_TASKS : op->activity, is_task ? map : actor->process,
                           actor->crew >= 0 ? actor->task : (uint32_t)actor->process);
    case OP_PROVIDE:
        provide(s, op->what, actor->trail);
        return false;
    case OP_AWAIT:
        return await(s, at, op);
    case OP_SEND:
        send(s, op->what, actor->trail);
        return false;
    case OP_RECEIVE:
        return receive(s, at, op);
    case OP_FORKS:
        map_runs_fork(&s->runs, at, op->what, (uint32_t)op->ns, map_runs_share(&s->runs, at, s->cpus));
        return false;
    default:
        map_runs_begin(&s->runs, at, op->what, map_runs_share(&s->runs, at, s->cpus));
        return false;
    }
}

static void end_actor(struct simulation *s, uint32_t at)
{
    struct actor *actor = &s->actors.rows[at];
    actor->state = ACTOR_ENDED;
    launch_list(s, &s->child_of_end[actor->process], actor->trail);
}

/* Until it is busy or blocked, or has ended. */
static void step_actor(struct simulation *s, uint32_t at)
{
    for (bool stopped = false; !stopped && !s->actors.failed;) {
        struct actor *actor = &s->actors.rows[at];
        if (actor->call >= 0) {
            stopped = map_runs_step_owner(&s->runs, at);
        } else if (actor->at < actor->end) {
            stopped = do_op(s, at);
        } else if (actor->crew >= 0) {
            stopped = await_release(s, at) || map_runs_step_worker(&s->runs, at);
        } else {
            end_actor(s, at);
        }
        actor = &s->actors.rows[at];
        if (actor->state == ACTOR_ENDED) {
            s->last = at;
            s->end_ns = s->actors.now_ns;
            stopped = true;
        }
    }
}

static void run(struct simulation *s)
{
    launch_first(s);
    do {
        for (uint32_t at; !s->actors.failed && (at = actors_next(&s->actors)) != ACTORS_NONE;)
            step_actor(s, at);
    } while (!s->actors.failed && (actors_advance(&s->actors) || break_deadlock(s)));
}

/* ---- the path ---- */

/* What the path says of a map, and of a process. */
struct part {
    double ns;
    bool seen;
};

static void count_segment(struct simulate_path *path, const struct segment *segment, const struct segment *after)
{
    bool is_same =
        after && after->activity == segment->activity && after->who == segment->who && after->detail == segment->detail;
    path->forks += segment->activity == ACTIVITY_FORKING;
    path->taken += segment->activity == ACTIVITY_TAKING;
    path->merges += segment->activity == ACTIVITY_MERGING;
    path->tasks += segment->activity == ACTIVITY_TASKS && !is_same;
}

/* From the end back to the begin. 0 or -ENOMEM. */
static int walk_back(const struct simulation *s, struct simulate_path *path)
{
    size_t processes = (size_t)s->program->graph->processes->count;
    double *running_ns = calloc(processes + 1, sizeof *running_ns);
    bool *maps = calloc((size_t)s->maps->count + 1, sizeof *maps);
    double task_ns = 0;
    *path = (struct simulate_path){.longest_map = -1, .busiest = PROCESS_NONE};
    if (!running_ns || !maps) {
        free(running_ns);
        free(maps);
        return -ENOMEM;
    }
    const struct segment *segment = NULL, *after = NULL;
    uint32_t at = s->last == ACTORS_NONE ? ACTORS_NONE : s->actors.rows[s->last].trail;
    for (; at != ACTORS_NONE; at = segment->before, after = segment) {
        segment = &s->actors.segments[at];
        path->ns[segment->activity] += segment->ns;
        count_segment(path, segment, after);
        bool is_task = segment->activity == ACTIVITY_TASKS;
        if (is_task) {
            bool is_same = after && after->activity == ACTIVITY_TASKS && after->who == segment->who &&
                           after->detail == segment->detail;
            task_ns = is_same ? task_ns + segment->ns : segment->ns;
            if (task_ns > path->longest_ns) {
                path->longest_ns = task_ns;
                path->longest_map = segment->who;
            }
            maps[segment->who] = true;
        } else if (segment->activity == ACTIVITY_RUNNING) {
            running_ns[segment->who] += segment->ns;
        }
    }
    for (uint32_t i = 0; i < s->maps->count; i++)
        path->maps += maps[i];
    for (size_t p = 0; p < processes; p++)
        if (running_ns[p] > path->busiest_ns) {
            path->busiest_ns = running_ns[p];
            path->busiest = (int)p;
        }
    free(running_ns);
    free(maps);
    return 0;
}

/* ---- all of it ---- */

static int simulation_init(struct simulation *s, const struct maps *maps, const struct program *program, int cpus,
                           const struct map_changes *changes)
{
    size_t steps = (size_t)program->graph->count + 1, processes = (size_t)program->graph->processes->count + 1,
           queues = (size_t)program->queue_count + 1;
    s->actors.cpus = changes->machine > 0 && changes->machine < cpus ? changes->machine : cpus;
    s->cpus = cpus;
    s->actors.lack = ACTIVITY_NO_CPU;
    s->provided = malloc(steps * sizeof *s->provided);
    s->queues = malloc(queues * sizeof *s->queues);
    s->child_of_step = calloc(steps, sizeof *s->child_of_step);
    s->child_of_end = calloc(processes, sizeof *s->child_of_end);
    s->next_child = calloc(processes, sizeof *s->next_child);
    if (map_runs_init(&s->runs, &s->actors, program, maps, changes) || !s->provided || !s->queues ||
        !s->child_of_step || !s->child_of_end || !s->next_child)
        return -ENOMEM;
    for (size_t i = 0; i < steps; i++)
        s->provided[i] = (struct provided){-1, ACTORS_NONE, ACTORS_NONE};
    for (size_t i = 0; i < queues; i++)
        s->queues[i] = (struct queue){ACTORS_NONE, ACTORS_NONE, ACTORS_NONE, ACTORS_NONE};
    return 0;
}

double simulate(const struct maps *maps, const struct program *program, int cpus, const struct map_changes *changes,
                struct simulate_path *path)
{
    struct simulation s = {.program = program, .maps = maps, .last = ACTORS_NONE};
    assert(cpus >= 1);
    s.actors.keeps_segments = path != NULL;
    int error = simulation_init(&s, maps, program, cpus, changes);
    if (!error)
        run(&s);
    if (!error && s.actors.failed)
        error = -ENOMEM;
    if (!error && path)
        error = walk_back(&s, path);
    free(s.provided);
    free(s.queues);
    free(s.tokens);
    free(s.child_of_step);
    free(s.child_of_end);
    free(s.next_child);
    map_runs_fini(&s.runs);
    actors_fini(&s.actors);
    return error ? -1 : s.end_ns;
}
