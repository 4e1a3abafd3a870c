/* What ext/py/workers/ does, in the time that it took. The rules of claims are those of guided.c and worker.c there. */
#include "predict/map_run.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/array.h"

/* As in ext/py/workers/worker.c and guided.c. */
#define BLOCK_MOST 65536.0
#define BLOCK_NS 2e6
#define BLOCK_GROWTH 4
#define LEAST_PART 8

enum owner_stage { OWNER_CALLED, OWNER_STARTS, OWNER_FORKS, OWNER_TAKES, OWNER_MERGES, OWNER_ENDS, OWNER_DONE };
enum worker_stage { WORKER_FORKED, WORKER_BEGINS, WORKER_CLAIMS, WORKER_TASKS, WORKER_SENDS, WORKER_SENT, WORKER_ENDS };

int map_runs_init(struct map_runs *runs, struct actors *actors, const struct program *program, const struct maps *maps,
                  const struct map_changes *changes)
{
    *runs = (struct map_runs){.actors = actors, .program = program, .changes = changes, .count = maps->count};
    runs->rows = calloc((size_t)maps->count + 1, sizeof *runs->rows);
    for (uint32_t i = 0; runs->rows && i < maps->count; i++) {
        const struct map *map = &maps->rows[i];
        runs->rows[i] = (struct map_run){.map = map,
                                         .fork_ns = changes->map_fork_ns ? changes->map_fork_ns[i] : map->fork_ns,
                                         .first_message = ACTORS_NONE,
                                         .last_message = ACTORS_NONE};
    }
    return runs->rows ? 0 : -ENOMEM;
}

void map_runs_fini(struct map_runs *runs)
{
    free(runs->rows);
    free(runs->messages);
}

double map_runs_share(const struct map_runs *runs, uint32_t actor, double cpus)
{
    int crew = runs->actors->rows[actor].crew;
    return crew < 0 ? cpus : fmax(1, floor(runs->rows[crew].share / runs->rows[crew].workers));
}

bool map_runs_begin(struct map_runs *runs, uint32_t actor, uint32_t at, double share)
{
    struct map_run *run = &runs->rows[at];
    const struct map *map = run->map;
    if (run->begun)
        return false;
    run->begun = true;
    run->owner = actor;
    run->share = share;
    run->left = map->arguments;
    double most = map->rule == MAP_GUIDED || map->is_split ? map->arguments : map->unit_count;
    run->chunks = map->unit_count;
    for (uint32_t i = 0; map->rule == MAP_CREW && i < map->unit_count; i++)
        most += map->units[i].cut ? map->units[i].arguments - 1 : 0;
    run->workers = (uint32_t)fmax(1, fmin(share, most));
    if (map->is_split) {
        run->chunk = ceil(map->arguments / run->workers);
        run->chunks = (uint32_t)ceil(map->arguments / run->chunk);
    }
    run->round_end = map->rounds && run->workers < run->chunks ? run->workers : run->chunks;
    runs->actors->rows[actor].call = (int)at;
    return true;
}

void map_runs_fork(struct map_runs *runs, uint32_t actor, uint32_t crew, uint32_t share_of, double share)
{
    struct map_run *run = &runs->rows[crew];
    if (run->map->rule != MAP_CREW || (!run->begun && !map_runs_begin(runs, actor, crew, share)))
        return;
    double part = (share_of + 1.0) / run->map->region->worker_count;
    run->forks = (uint32_t)fmin(run->workers, ceil(part * run->workers));
    run->stage = OWNER_STARTS;
    runs->actors->rows[actor].call = (int)crew;
}

/* With as many more workers, so many more chunks of an Executor's map are under way. */
static uint32_t unit_that_releases(const struct map_run *run)
{
    uint32_t more = run->workers > (uint32_t)run->map->workers ? run->workers - (uint32_t)run->map->workers : 0;
    if (!run->map->units[run->next_unit].release.by_map)
        return run->next_unit;
    return run->next_unit > more ? run->next_unit - more : 0;
}

uint32_t map_runs_release(const struct map_runs *runs, uint32_t actor)
{
    const struct actor *worker = &runs->actors->rows[actor];
    const struct map_run *run = &runs->rows[worker->crew];
    if (worker->stage != WORKER_CLAIMS || run->map->rule != MAP_CREW || run->next_unit >= run->map->unit_count)
        return GRAPH_NONE;
    return run->map->units[unit_that_releases(run)].release.step;
}

/* ---- messages ---- */

static void put_message(struct map_runs *runs, struct map_run *run, double take_ns, uint32_t trail)
{
    struct message *grown = runs->message_count < ACTORS_NONE
                                ? array_grow(runs->messages, runs->message_count, &runs->message_room, sizeof *grown)
                                : NULL;
    if (!grown) {
        runs->actors->failed = true;
        return;
    }
    uint32_t at = (uint32_t)runs->message_count++;
    runs->messages = grown;
    grown[at] = (struct message){take_ns, trail, ACTORS_NONE};
    if (run->last_message == ACTORS_NONE)
        run->first_message = at;
    else
        grown[run->last_message].next = at;
    run->last_message = at;
}

static bool take_message(struct map_runs *runs, struct map_run *run, double *take_ns)
{
    if (run->first_message == ACTORS_NONE)
        return false;
    const struct message *message = &runs->messages[run->first_message];
    *take_ns = message->take_ns;
    run->first_message = message->next;
    if (run->first_message == ACTORS_NONE)
        run->last_message = ACTORS_NONE;
    return true;
}

/* Something has happened that the map's process may wait for. */
static void wake_owner(struct map_runs *runs, const struct map_run *run, uint32_t trail)
{
    if (runs->actors->rows[run->owner].state == ACTOR_BLOCKED && runs->actors->rows[run->owner].call >= 0)
        actors_wake(runs->actors, run->owner, trail);
}

/* ---- the map's process ---- */

static bool owner_works(struct map_runs *runs, uint32_t actor, double ns, enum activity activity)
{
    const struct map_run *run = &runs->rows[runs->actors->rows[actor].call];
    int process = run->map->region->process;
    return actors_work(runs->actors, actor, ns, program_cpu(&runs->program->cpu[process], activity), activity, process,
                       (uint32_t)(run - runs->rows));
}

static void start_worker(struct map_runs *runs, uint32_t owner)
{
    int at = runs->actors->rows[owner].call;
    struct map_run *run = &runs->rows[at];
    uint32_t actor = actors_add(runs->actors, runs->actors->rows[owner].trail);
    if (actor == ACTORS_NONE)
        return;
    struct actor *worker = &runs->actors->rows[actor];
    worker->crew = at;
    worker->block = 1;
    worker->stage = WORKER_FORKED;
    worker->process = run->map->region->workers[0];
    run->started++;
}

/* Whether the map's process is to fork one more now. */
static bool forks_next(const struct map_run *run)
{
    if (run->map->rule == MAP_CREW)
        return run->started < run->forks;
    if (run->map->rule != MAP_PROCESSES)
        return run->started < run->workers;
    return run->started < run->round_end && run->started - run->ended < run->workers;
}

/* All of its workers have ended, those of this round, and nothing is left to take. */
static bool is_round_over(const struct map_run *run)
{
    uint32_t all = run->map->rule == MAP_PROCESSES ? run->round_end : run->workers;
    return run->started == all && run->ended == all && run->first_message == ACTORS_NONE;
}

/* After the merges of a round: its process forks again, or ends. */
static int next_round(struct map_run *run)
{
    if (run->map->rule != MAP_PROCESSES || run->round_end >= run->chunks)
        return OWNER_ENDS;
    run->round_end = run->round_end + run->workers < run->chunks ? run->round_end + run->workers : run->chunks;
    return OWNER_STARTS;
}

bool map_runs_step_owner(struct map_runs *runs, uint32_t actor)
{
    struct map_run *run = &runs->rows[runs->actors->rows[actor].call];
    const struct map *map = run->map;
    double take_ns = 0;
    for (;;) {
        bool busy = false;
        switch (run->stage) {
        case OWNER_CALLED:
            run->stage = OWNER_STARTS;
            busy = owner_works(runs, actor, map->lead_ns, ACTIVITY_FORKING);
            break;
        case OWNER_STARTS: /* what is between two forks comes before the second one */
            run->stage = forks_next(run) ? OWNER_FORKS : map->rule == MAP_CREW ? OWNER_DONE : OWNER_TAKES;
            busy = run->stage == OWNER_FORKS && run->started &&
                   owner_works(runs, actor, run->started < run->workers ? map->between_ns : map->again_ns,
                               ACTIVITY_FORKING);
            break;
        case OWNER_FORKS:
            start_worker(runs, actor);
            run->stage = OWNER_STARTS;
            busy = owner_works(runs, actor, run->fork_ns, ACTIVITY_FORKING);
            break;
        case OWNER_TAKES:
            if (take_message(runs, run, &take_ns)) {
                busy = owner_works(runs, actor, take_ns, ACTIVITY_TAKING);
            } else if (forks_next(run)) {
                run->stage = OWNER_STARTS;
            } else if (is_round_over(run)) {
                run->stage = OWNER_MERGES;
            } else {
                runs->actors->rows[actor].state = ACTOR_BLOCKED;
                return true;
            }
            break;
        case OWNER_MERGES: {
            uint32_t round = run->map->rounds ? (run->round_end - 1) % run->workers + 1 : run->chunks;
            run->stage = next_round(run);
            busy = owner_works(runs, actor, map->merge_ns * round, ACTIVITY_MERGING);
            break;
        }
        case OWNER_ENDS:
            run->stage = OWNER_DONE;
            busy = owner_works(runs, actor, map->ending_ns, ACTIVITY_ENDING);
            break;
        default:
            runs->actors->rows[actor].call = -1;
            return false;
        }
        if (busy || runs->actors->failed)
            return true;
    }
}

/* ---- a worker ---- */

static double slowdown_of(const struct map_changes *changes, uint32_t workers)
{
    uint32_t most = (uint32_t)changes->slowdowns_most;
    return changes->slowdowns ? changes->slowdowns[workers < most ? workers : most] : 1;
}

/* Of the unit's time in f. What it took in the run has the slowdown of as many workers as the map had there. */
static double factor_of(const struct map_runs *runs, const struct map_run *run, uint32_t unit)
{
    const struct map_changes *changes = runs->changes;
    const struct map *map = run->map;
    double slowdown = slowdown_of(changes, run->workers) / slowdown_of(changes, (uint32_t)map->workers);
    return changes->unit_factors ? slowdown * changes->unit_factors[map->first_unit + unit] : slowdown;
}

/* What a claim without chunksize is, in arguments. */
static double guided_size(const struct map_run *run, const struct actor *worker)
{
    double share = ceil(run->left / run->workers), size = ceil(share / 2), least = ceil(worker->block / LEAST_PART);
    least = fmin(least, share);
    return size > worker->block ? worker->block : fmax(size, least);
}

/* Adds `arguments` of a plain unit to the claim. */
static void claim_part(struct map_runs *runs, struct map_run *run, struct actor *worker, double arguments)
{
    const struct unit *unit = &run->map->units[run->next_unit];
    double part = arguments / unit->arguments;
    worker->task_ns += part * unit->task_ns * factor_of(runs, run, run->next_unit);
    worker->send_ns += part * unit->send_ns;
    worker->take_ns += part * unit->take_ns;
    worker->claimed += arguments;
    run->left -= arguments;
    run->used += arguments;
    if (run->used >= unit->arguments) {
        run->next_unit++;
        run->used = 0;
    }
}

/* The next unit as a whole; one that is not plain by its operations. */
static void claim_unit(struct map_runs *runs, struct map_run *run, struct actor *worker)
{
    const struct map *map = run->map;
    const struct unit *unit = &map->units[run->next_unit];
    if (unit->plain) {
        claim_part(runs, run, worker, unit->arguments - run->used);
        return;
    }
    double least = unit->cut ? ceil(unit->arguments * map->workers / run->workers) : unit->arguments,
           arguments = fmin(least, unit->arguments - run->used);
    worker->at = unit->from;
    worker->part = arguments / unit->arguments;
    worker->ends_unit = run->used + arguments >= unit->arguments;
    worker->end = worker->ends_unit ? unit->to : unit->over;
    worker->over = map->rule == MAP_CREW ? unit->over : ACTORS_NONE;
    worker->process = unit->worker;
    worker->factor = factor_of(runs, run, run->next_unit);
    worker->take_ns = unit->take_ns;
    worker->claimed = arguments;
    run->left -= arguments;
    run->used = worker->ends_unit ? 0 : run->used + arguments;
    run->next_unit += worker->ends_unit;
}

/* False: nothing is left, or the worker's only chunk is done. */
static bool claim(struct map_runs *runs, struct map_run *run, struct actor *worker)
{
    const struct map *map = run->map;
    worker->task_ns = worker->send_ns = worker->take_ns = 0;
    if (run->next_unit >= map->unit_count || (map->rule == MAP_PROCESSES && worker->claimed > 0))
        return false;
    worker->claimed = 0;
    worker->claimed_ns = runs->actors->now_ns;
    worker->task = run->claims++;
    if ((map->rule != MAP_GUIDED && !map->is_split) || !map->units[run->next_unit].plain) {
        claim_unit(runs, run, worker);
        return true;
    }
    double size = map->is_split ? run->chunk : guided_size(run, worker);
    while (worker->claimed < size && run->next_unit < map->unit_count && map->units[run->next_unit].plain)
        claim_part(runs, run, worker, fmin(size - worker->claimed, map->units[run->next_unit].arguments - run->used));
    return true;
}

/* As adapt_block in ext/py/workers/worker.c. */
static void adapt_block(struct actor *worker, double took_ns)
{
    if (took_ns > BLOCK_NS * 2)
        worker->block = fmin(worker->block, fmax(1, floor(worker->claimed * BLOCK_NS / took_ns)));
    else if (took_ns < BLOCK_NS / 2 && worker->claimed >= worker->block)
        worker->block = fmin(BLOCK_MOST, worker->block * (took_ns < BLOCK_NS / 2 / BLOCK_GROWTH ? BLOCK_GROWTH : 2));
}

static bool worker_works(struct map_runs *runs, uint32_t actor, double ns, enum activity activity)
{
    struct actor *worker = &runs->actors->rows[actor];
    return actors_work(runs->actors, actor, ns, program_cpu(&runs->rows[worker->crew].map->cpu, activity), activity,
                       worker->crew, activity == ACTIVITY_TASKS ? worker->task : 0);
}

bool map_runs_step_worker(struct map_runs *runs, uint32_t actor)
{
    struct actor *worker = &runs->actors->rows[actor];
    struct map_run *run = &runs->rows[worker->crew];
    const struct map *map = run->map;
    for (;;) {
        bool busy = false;
        switch (worker->stage) {
        case WORKER_FORKED:
            worker->stage = WORKER_BEGINS;
            busy = actors_work(runs->actors, actor, map->latency_ns, 1, ACTIVITY_STARTING, worker->crew, 0);
            break;
        case WORKER_BEGINS:
            worker->stage = WORKER_CLAIMS;
            busy = worker_works(runs, actor, map->begin_ns, ACTIVITY_STARTING);
            if (!busy && map->rule == MAP_CREW)
                return false;
            break;
        case WORKER_CLAIMS:
            if (!claim(runs, run, worker)) {
                worker->stage = WORKER_ENDS;
                busy = worker_works(runs, actor, map->end_ns, ACTIVITY_STARTING);
                break;
            }
            worker->stage = WORKER_TASKS;
            if (worker->at < worker->end)
                return false;
            break;
        case WORKER_TASKS:
            worker->stage = WORKER_SENDS;
            busy = worker_works(runs, actor, worker->task_ns, ACTIVITY_TASKS);
            break;
        case WORKER_SENDS:
            worker->stage = WORKER_SENT;
            busy = worker_works(runs, actor, worker->send_ns, ACTIVITY_PICKLING);
            break;
        case WORKER_SENT:
            worker->stage = WORKER_CLAIMS;
            if (map->rule == MAP_CREW)
                return false;
            adapt_block(worker, runs->actors->now_ns - worker->claimed_ns);
            put_message(runs, run, worker->take_ns, worker->trail);
            wake_owner(runs, run, worker->trail);
            worker = &runs->actors->rows[actor];
            break;
        default:
            run->ended++;
            worker->state = ACTOR_ENDED;
            wake_owner(runs, run, worker->trail);
            return false;
        }
        if (busy || runs->actors->failed)
            return true;
    }
}
