/* Each map is read from the marks of its process and of its workers. Nothing in a trace is trusted: a chunk may have no
 * end, no arguments or more than there can be, and its worker no end. */
#include "predict/maps.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "abi/log_format.h"
#include "base/array.h"

/* So many arguments are told apart in one map: of more, several count as one. */
#define ARGUMENTS_MOST 1048576.0

/* What is needed only while one map is read. */
struct reading {
    const struct program *program;
    const struct graph *graph;
    struct map *map;
    struct maps *maps;
    const uint32_t *marks, *mark_first; /* those of the program */
    double *bytes;                      /* of each unit */
    int64_t over_ns;                    /* when the last worker has ended, and the last result was taken */
};

static double mean(double sum, double count)
{
    return count > 0 ? sum / count : 0;
}

static double not_negative(double ns)
{
    return ns > 0 ? ns : 0;
}

/* ---- units ---- */

static void sum_ops(struct unit *unit, const struct program *program)
{
    for (uint32_t i = unit->from; i < unit->to; i++) {
        const struct op *op = &program->ops[i];
        if (op->kind != OP_WORK && op->kind != OP_PAUSE)
            continue;
        if (op->activity == ACTIVITY_PICKLING || op->activity == ACTIVITY_MERGING)
            unit->send_ns += op->ns;
        else
            unit->task_ns += op->ns;
    }
    unit->plain = program_is_plain(program, unit->from, unit->to);
}

struct numbered {
    struct unit unit;
    double bytes;
    int64_t number;
    int64_t from_ns;
};

static int by_number(const void *a, const void *b)
{
    const struct numbered *x = a, *y = b;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return (x->from_ns > y->from_ns) - (x->from_ns < y->from_ns);
}

struct chunks {
    struct numbered *rows;
    size_t count, room;
};

/* The chunks of a worker. What it does between two of them belongs to the first one. *begun_ns, *ended_ns: when its
 * first one began, and its last one ended. 0 or -ENOMEM. */
static int read_chunks(struct reading *r, int worker, struct chunks *chunks, int64_t *begun_ns, int64_t *ended_ns)
{
    size_t before = chunks->count;
    bool open = false;
    for (uint32_t i = r->mark_first[worker]; i < r->mark_first[worker + 1]; i++) {
        const struct mark *mark = &r->graph->marks[r->marks[i]];
        uint32_t op = r->program->mark_ops[r->marks[i]];
        int64_t ns = program_mark_ns(r->program, r->marks[i]);
        struct numbered *last = chunks->count > before ? &chunks->rows[chunks->count - 1] : NULL;
        if (mark->kind == SF_EVENT_PICKLED && open && last) {
            last->bytes += mark->a > 0 ? (double)mark->a : 0;
        } else if (mark->kind == SF_EVENT_CHUNK && mark->phase == SF_PHASE_BEGIN) {
            struct numbered *grown = array_grow(chunks->rows, chunks->count, &chunks->room, sizeof *grown);
            if (!grown)
                return -ENOMEM;
            chunks->rows = grown;
            if (last)
                grown[chunks->count - 1].unit.to = op;
            else
                *begun_ns = ns;
            grown[chunks->count++] = (struct numbered){
                .unit = {.arguments = mark->b > 0 ? (double)mark->b : 1, .from = op, .to = op, .worker = worker},
                .number = mark->a,
                .from_ns = ns};
            *ended_ns = ns;
            open = true;
        } else if (mark->kind == SF_EVENT_CHUNK && open) {
            chunks->rows[chunks->count - 1].unit.to = op;
            *ended_ns = ns;
            open = false;
        }
    }
    return 0;
}

static int keep_units(struct reading *r, struct chunks *chunks)
{
    struct map *map = r->map;
    double sum = 0;
    qsort(chunks->rows, chunks->count, sizeof *chunks->rows, by_number);
    map->units = calloc(chunks->count + 1, sizeof *map->units);
    r->bytes = calloc(chunks->count + 1, sizeof *r->bytes);
    if (!map->units || !r->bytes)
        return -ENOMEM;
    for (size_t i = 0; i < chunks->count; i++)
        sum += chunks->rows[i].unit.arguments;
    double group = sum > ARGUMENTS_MOST ? sum / ARGUMENTS_MOST : 1;
    for (size_t i = 0; i < chunks->count; i++) {
        struct unit *unit = &map->units[map->unit_count++];
        *unit = chunks->rows[i].unit;
        unit->arguments = fmax(1, floor(unit->arguments / group));
        map->arguments += unit->arguments;
        sum_ops(unit, r->program);
        r->bytes[i] = chunks->rows[i].bytes;
    }
    return 0;
}

/* ---- workers ---- */

/* When the worker has ended: its EXIT, else its last step. */
static int64_t end_of_worker(const struct reading *r, int worker)
{
    for (uint32_t i = r->mark_first[worker + 1]; i-- > r->mark_first[worker];)
        if (r->graph->marks[r->marks[i]].kind == SF_EVENT_EXIT)
            return program_mark_ns(r->program, r->marks[i]);
    return r->graph->processes->rows[worker].end_ns;
}

static int read_workers(struct reading *r)
{
    struct map *map = r->map;
    struct chunks chunks = {0};
    double begins_ns = 0, ends_ns = 0, cpus = 0, busy = 0;
    int error = 0;
    for (uint32_t i = 0; i < map->region->worker_count && !error; i++) {
        int worker = map->region->workers[i];
        size_t before = chunks.count;
        int64_t start_ns = r->graph->processes->rows[worker].start_ns, begun_ns = start_ns, ended_ns = start_ns,
                end_ns = end_of_worker(r, worker);
        error = read_chunks(r, worker, &chunks, &begun_ns, &ended_ns);
        r->over_ns = end_ns > r->over_ns ? end_ns : r->over_ns;
        if (chunks.count == before)
            continue;
        begins_ns += not_negative((double)(begun_ns - start_ns));
        ends_ns += not_negative((double)(end_ns - ended_ns));
        cpus += r->program->cpu[worker];
        busy++;
    }
    map->begin_ns = mean(begins_ns, busy);
    map->end_ns = mean(ends_ns, busy);
    map->cpu = mean(cpus, busy);
    if (!error)
        error = keep_units(r, &chunks);
    free(chunks.rows);
    return error;
}

/* ---- the map's process ---- */

/* When the last one of the first `count` workers ended that had ended by then; else the begin of the run. */
static int64_t last_end_before(const struct reading *r, int count, int64_t ns)
{
    int64_t last_ns = r->graph->from_ns;
    for (int i = 0; i < count; i++) {
        int64_t end_ns = end_of_worker(r, r->map->region->workers[i]);
        last_ns = end_ns <= ns && end_ns > last_ns ? end_ns : last_ns;
    }
    return last_ns;
}

/* The forks, and what they say of the rule. 0 or -ENOMEM. */
static int read_forks(struct reading *r, size_t *fork_room)
{
    struct map *map = r->map;
    const struct region *region = map->region;
    int64_t begin_ns = program_mark_ns(r->program, region->begin), fork_ns = 0, forked_ns = 0;
    double between_ns = 0, forks_ns = 0, latency_ns = 0, again_ns = 0, forks = 0, pairs = 0, again = 0;
    bool merged = false, in_fork = false;
    int64_t merged_ns = INT64_MIN;
    int next = 0; /* forks come in the order of region->workers */
    for (uint32_t i = r->mark_first[region->process]; i < r->mark_first[region->process + 1]; i++) {
        uint32_t at = r->marks[i];
        const struct mark *mark = &r->graph->marks[at];
        int64_t ns = program_mark_ns(r->program, at);
        if (at <= region->begin || at >= region->end)
            continue;
        if (mark->kind == SF_EVENT_MERGE) {
            merged = true;
            merged_ns = ns;
            map->rule = MAP_PROCESSES;
        }
        if (mark->kind != SF_EVENT_FORK)
            continue;
        if (mark->phase == SF_PHASE_END && in_fork) {
            double *grown = array_grow(r->maps->forks_ns, r->maps->fork_count, fork_room, sizeof *grown);
            if (!grown)
                return -ENOMEM;
            r->maps->forks_ns = grown;
            grown[r->maps->fork_count++] = (double)(ns - fork_ns);
            forks_ns += (double)(ns - fork_ns);
            forked_ns = ns;
            forks++;
            in_fork = false;
        }
        int child = processes_of_task(r->graph->processes, mark->object);
        if (mark->phase != SF_PHASE_BEGIN || next >= (int)region->worker_count || child != region->workers[next])
            continue;
        next++;
        in_fork = true;
        fork_ns = ns;
        latency_ns += not_negative((double)(r->graph->processes->rows[child].start_ns - ns));
        map->rounds |= merged;
        if (next == 1) {
            map->lead_ns = (double)(ns - begin_ns);
        } else if (map->rule != MAP_PROCESSES || next <= map->workers) {
            between_ns += (double)(ns - forked_ns);
            pairs++;
        } else {
            int64_t free_ns = last_end_before(r, next - 1, ns);
            again_ns += (double)(ns - (free_ns > merged_ns ? free_ns : merged_ns));
            again++;
        }
    }
    map->again_ns = mean(again_ns, again);
    map->fork_ns = mean(forks_ns, forks);
    map->latency_ns = mean(latency_ns, next);
    map->between_ns = pairs > 0 ? between_ns / pairs : -1;
    return 0;
}

/* A map of one worker does not say what is between two forks. Another map of the run does, or else it is taken to be no
 * longer than a fork, and than what was before the first one. */
static void guess_between(struct maps *maps)
{
    double known_ns = 0, known = 0;
    for (uint32_t i = 0; i < maps->count; i++)
        if (maps->rows[i].between_ns >= 0) {
            known_ns += maps->rows[i].between_ns;
            known++;
        }
    for (uint32_t i = 0; i < maps->count; i++) {
        struct map *map = &maps->rows[i];
        if (map->between_ns < 0)
            map->between_ns = known > 0 ? known_ns / known : fmin(map->lead_ns, map->fork_ns);
    }
}

/* What the map's process did with results, and at the end. */
static void read_taking(struct reading *r)
{
    struct map *map = r->map;
    const struct region *region = map->region;
    const struct mark *marks = r->graph->marks;
    double take_ns = 0, merge_ns = 0, bytes = 0, merged_at_end_ns = 0;
    uint32_t last = marks[region->end].step;
    int64_t end_ns = program_mark_ns(r->program, region->end), begin_ns = program_mark_ns(r->program, region->begin);
    int64_t over_ns = r->over_ns < begin_ns ? begin_ns : r->over_ns > end_ns ? end_ns : r->over_ns;
    for (uint32_t i = last; i != GRAPH_NONE && i > marks[region->begin].step; i = r->graph->steps[i].before) {
        const struct step *step = &r->graph->steps[i];
        double ns = (double)(step->to_ns - step->from_ns);
        if (step->category == CATEGORY_PICKLING || step->category == CATEGORY_COPYING) {
            take_ns += ns;
            over_ns = step->to_ns > over_ns ? step->to_ns : over_ns;
        } else if (step->category == CATEGORY_MERGING) {
            merge_ns += ns;
            merged_at_end_ns += step->from_ns >= over_ns ? ns : 0;
        }
    }
    for (uint32_t i = 0; i < map->unit_count; i++)
        bytes += r->bytes[i];
    for (uint32_t i = 0; i < map->unit_count; i++)
        map->units[i].take_ns = take_ns * (bytes > 0 ? r->bytes[i] / bytes : map->units[i].arguments / map->arguments);
    map->merge_ns = mean(merge_ns, map->unit_count);
    map->ending_ns = not_negative((double)(end_ns - over_ns) - merged_at_end_ns);
}

static bool has_extracted(const struct reading *r)
{
    int worker = r->map->region->workers[0];
    for (uint32_t i = r->mark_first[worker]; i < r->mark_first[worker + 1]; i++)
        if (r->graph->marks[r->marks[i]].kind == SF_EVENT_EXTRACT)
            return true;
    return false;
}

static int read_map(struct reading *r, uint32_t at, size_t *fork_room)
{
    struct map *map = &r->maps->rows[at];
    const struct region *region = &r->program->regions[at];
    const struct mark *begin = &r->graph->marks[region->begin];
    r->map = map;
    r->over_ns = INT64_MIN;
    r->bytes = NULL;
    *map = (struct map){.region = region, .first_unit = r->maps->unit_count};
    map->workers = begin->b > 0 && begin->b < INT32_MAX ? (int)begin->b : 1;
    map->rule = begin->a > 0 ? MAP_CHUNKS : MAP_GUIDED;
    map->is_nested = r->program->launches[region->process].is_worker;
    if (has_extracted(r) || (int64_t)region->worker_count > map->workers)
        map->rule = MAP_PROCESSES;
    int error = read_workers(r);
    if (!error)
        error = read_forks(r, fork_room);
    if (!error)
        read_taking(r);
    map->is_split = map->rule == MAP_PROCESSES && map->unit_count == (uint32_t)map->workers && !map->rounds;
    for (uint32_t i = 0; i < map->unit_count; i++)
        map->is_split &= map->units[i].plain;
    r->maps->unit_count += map->unit_count;
    free(r->bytes);
    return error;
}

/* ---- all of them ---- */

int maps_init(struct maps *maps, const struct program *program)
{
    struct reading r = {.program = program,
                        .graph = program->graph,
                        .maps = maps,
                        .marks = program->marks,
                        .mark_first = program->mark_first};
    size_t fork_room = 0;
    *maps = (struct maps){.rows = calloc((size_t)program->region_count + 1, sizeof *maps->rows)};
    int error = maps->rows ? 0 : -ENOMEM;
    while (!error && maps->count < program->region_count)
        error = read_map(&r, maps->count++, &fork_room);
    if (!error)
        guess_between(maps);
    return error;
}

void maps_fini(struct maps *maps)
{
    for (uint32_t i = 0; i < maps->count; i++)
        free(maps->rows[i].units);
    free(maps->rows);
    free(maps->forks_ns);
    *maps = (struct maps){0};
}
