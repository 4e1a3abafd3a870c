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
    size_t cost_room;
    int64_t over_ns; /* when the last worker has ended, and the last result was taken */
};

static double mean(double sum, double count)
{
    return count > 0 ? sum / count : 0;
}

static double not_negative(double ns)
{
    return ns > 0 ? ns : 0;
}

/* ---- costs ---- */

/* 0 or -ENOMEM. */
static int add_cost(struct reading *r, enum cost_kind kind, double ns)
{
    struct maps *maps = r->maps;
    struct cost *grown = array_grow(maps->costs, maps->cost_count, &r->cost_room, sizeof *grown);
    if (!grown)
        return -ENOMEM;
    maps->costs = grown;
    grown[maps->cost_count++] = (struct cost){not_negative(ns), r->map->region->process, kind};
    return 0;
}

static int by_process_and_kind(const void *a, const void *b)
{
    const struct cost *x = a, *y = b;
    if (x->process != y->process)
        return x->process < y->process ? -1 : 1;
    return x->kind != y->kind ? (x->kind < y->kind ? -1 : 1) : 0;
}

static int by_cost(const void *a, const void *b)
{
    const struct cost *x = a, *y = b;
    int order = by_process_and_kind(a, b);
    return order ? order : (x->ns > y->ns) - (x->ns < y->ns);
}

/* The costs of that kind, of which there are *count. */
static const struct cost *find_costs(const struct maps *maps, int process, enum cost_kind kind, size_t *count)
{
    struct cost sought = {0, process, kind};
    size_t low = 0, high = maps->cost_count, end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (by_process_and_kind(&maps->costs[middle], &sought) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (end = low; end < maps->cost_count && !by_process_and_kind(&maps->costs[end], &sought);)
        end++;
    *count = end - low;
    return &maps->costs[low];
}

/* The lower median; `otherwise` if there is none. */
static double median_cost(const struct maps *maps, int process, enum cost_kind kind, double otherwise)
{
    size_t count;
    const struct cost *costs = find_costs(maps, process, kind, &count);
    return count ? costs[(count - 1) / 2].ns : otherwise;
}

/* A process whose maps all had one worker does not say what is between two forks. It is taken to be no longer than a
 * fork, and than what was before the first one. */
static void find_medians(struct maps *maps)
{
    if (maps->cost_count)
        qsort(maps->costs, maps->cost_count, sizeof *maps->costs, by_cost);
    for (uint32_t i = 0; i < maps->count; i++) {
        struct map *map = &maps->rows[i];
        int process = map->region->process;
        size_t forks;
        map->forks = find_costs(maps, process, COST_FORK, &forks);
        map->fork_count = forks < UINT32_MAX ? (uint32_t)forks : UINT32_MAX;
        map->fork_ns = median_cost(maps, process, COST_FORK, 0);
        map->between_ns = median_cost(maps, process, COST_BETWEEN, fmin(map->lead_ns, map->fork_ns));
        map->latency_ns = median_cost(maps, process, COST_LATENCY, 0);
        map->begin_ns = median_cost(maps, process, COST_BEGIN, 0);
        map->end_ns = median_cost(maps, process, COST_END, 0);
        map->again_ns = median_cost(maps, process, COST_AGAIN, map->between_ns);
    }
}

/* ---- units ---- */

static void sum_ops(struct unit *unit, const struct program *program, bool is_crew)
{
    for (uint32_t i = unit->from; i < (is_crew ? unit->over : unit->to); i++) {
        const struct op *op = &program->ops[i];
        if (op->kind != OP_WORK && op->kind != OP_PAUSE)
            continue;
        if (op->activity == ACTIVITY_PICKLING || op->activity == ACTIVITY_MERGING)
            unit->send_ns += op->ns;
        else
            unit->task_ns += op->ns;
    }
    unit->plain = !is_crew && program_is_plain(program, unit->from, unit->to);
}

/* Nothing in the chunk has to do with others but that its results are there. */
static bool can_be_cut(const struct unit *unit, const struct program *program)
{
    for (uint32_t i = unit->from; i < unit->over; i++)
        if (program->ops[i].kind != OP_WORK && program->ops[i].kind != OP_PAUSE && program->ops[i].kind != OP_PROVIDE)
            return false;
    return unit->arguments > 1;
}

/* The chunks of a crew that are smaller with more workers: those of a Pool's map that it has cut itself, and those of
 * an Executor's map that differ, but for its last one: with chunksize they would not. */
static void find_cut(struct map *map, const struct program *program)
{
    bool differ = false;
    for (uint32_t i = 1; i + 1 < map->unit_count; i++)
        differ |= map->units[i].arguments != map->units[0].arguments;
    for (uint32_t i = 0; i < map->unit_count; i++) {
        struct unit *unit = &map->units[i];
        unit->cut = (unit->release.is_share || (differ && map->by_map)) && can_be_cut(unit, program);
    }
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

/* The chunks of a worker. What it does between two of them belongs to the first one, and what it does after its last
 * one too if it is of a crew, whose chunks are in the order of their begins. *begun_ns, *ended_ns: when its first one
 * began, and its last one ended. 0 or -ENOMEM. */
static int read_chunks(struct reading *r, int worker, struct chunks *chunks, int64_t *begun_ns, int64_t *ended_ns)
{
    size_t before = chunks->count;
    bool open = false, is_crew = r->map->rule == MAP_CREW;
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
            grown[chunks->count++] = (struct numbered){.unit = {.arguments = mark->b > 0 ? (double)mark->b : 1,
                                                                .from = op,
                                                                .to = op,
                                                                .over = op,
                                                                .release = r->program->releases[r->marks[i]],
                                                                .worker = worker},
                                                       .number = is_crew ? 0 : mark->a,
                                                       .from_ns = ns};
            *ended_ns = ns;
            open = true;
        } else if (mark->kind == SF_EVENT_CHUNK && open) {
            chunks->rows[chunks->count - 1].unit.to = chunks->rows[chunks->count - 1].unit.over = op;
            *ended_ns = ns;
            open = false;
        }
    }
    if (is_crew && chunks->count > before) /* its end */
        chunks->rows[chunks->count - 1].unit.to = r->program->first[worker + 1];
    return 0;
}

static int keep_units(struct reading *r, struct chunks *chunks)
{
    struct map *map = r->map;
    double sum = 0;
    if (chunks->count)
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
        sum_ops(unit, r->program, map->rule == MAP_CREW);
        r->bytes[i] = chunks->rows[i].bytes;
        map->by_map |= unit->release.by_map;
    }
    if (map->rule == MAP_CREW)
        find_cut(map, r->program);
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

/* What a worker of a crew does before its first chunk, without the wait for it. */
static double work_before(const struct reading *r, int worker, uint32_t first_chunk)
{
    double ns = 0;
    for (uint32_t i = r->program->first[worker]; i < first_chunk; i++)
        ns += r->program->ops[i].kind == OP_WORK ? r->program->ops[i].ns : 0;
    return ns;
}

static int read_workers(struct reading *r)
{
    struct map *map = r->map;
    struct chunks chunks = {0};
    double busy = 0;
    int error = 0;
    for (uint32_t i = 0; i < map->region->worker_count && !error; i++) {
        int worker = map->region->workers[i];
        size_t before = chunks.count;
        int64_t start_ns = r->graph->processes->rows[worker].start_ns, begun_ns = start_ns, ended_ns = start_ns,
                end_ns = end_of_worker(r, worker);
        error = read_chunks(r, worker, &chunks, &begun_ns, &ended_ns);
        r->over_ns = end_ns > r->over_ns ? end_ns : r->over_ns;
        if (error || chunks.count == before)
            continue;
        if (map->rule == MAP_CREW) {
            error = add_cost(r, COST_BEGIN, work_before(r, worker, chunks.rows[before].unit.from));
        } else {
            error = add_cost(r, COST_BEGIN, (double)(begun_ns - start_ns));
            if (!error)
                error = add_cost(r, COST_END, (double)(end_ns - ended_ns));
        }
        map->cpu.running += r->program->cpu[worker].running;
        map->cpu.other += r->program->cpu[worker].other;
        busy++;
    }
    map->cpu = (struct cpu_share){mean(map->cpu.running, busy), mean(map->cpu.other, busy), 1};
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

/* A fork of a worker begins, which is the number `next` of them; the one before it ended at forked_ns, and the last
 * merge at merged_ns. 0 or -ENOMEM. */
static int read_fork(struct reading *r, int next, int64_t ns, int64_t forked_ns, int64_t merged_ns)
{
    struct map *map = r->map;
    int64_t start_ns = r->graph->processes->rows[map->region->workers[next]].start_ns, free_ns;
    int error = add_cost(r, COST_LATENCY, (double)(start_ns - ns));
    if (error || map->rule == MAP_CREW)
        return error;
    if (next == 0) {
        map->lead_ns = (double)(ns - program_mark_ns(r->program, map->region->begin));
        return 0;
    }
    if (map->rule != MAP_PROCESSES || next < map->workers)
        return add_cost(r, COST_BETWEEN, (double)(ns - forked_ns));
    free_ns = last_end_before(r, next, ns);
    return add_cost(r, COST_AGAIN, (double)(ns - (free_ns > merged_ns ? free_ns : merged_ns)));
}

/* The forks and merges of the map's process. 0 or -ENOMEM. */
static int read_forks(struct reading *r)
{
    struct map *map = r->map;
    const struct region *region = map->region;
    int64_t fork_ns = 0, forked_ns = 0, merged_ns = INT64_MIN;
    bool merged = false, in_fork = false;
    int next = 0, error = 0; /* forks come in the order of region->workers */
    for (uint32_t i = r->mark_first[region->process]; i < r->mark_first[region->process + 1] && !error; i++) {
        uint32_t at = r->marks[i];
        const struct mark *mark = &r->graph->marks[at];
        int64_t ns = program_mark_ns(r->program, at);
        if (at < region->begin || at > region->end)
            continue;
        if (mark->kind == SF_EVENT_MERGE && map->rule != MAP_CREW) {
            merged = true;
            merged_ns = ns;
            map->rule = MAP_PROCESSES;
        } else if (mark->kind == SF_EVENT_FORK && mark->phase == SF_PHASE_END && in_fork) {
            error = add_cost(r, COST_FORK, (double)(ns - fork_ns));
            forked_ns = ns;
            in_fork = false;
        } else if (mark->kind == SF_EVENT_FORK && mark->phase == SF_PHASE_BEGIN && next < (int)region->worker_count &&
                   processes_of_task(r->graph->processes, mark->object) == region->workers[next]) {
            in_fork = true;
            fork_ns = ns;
            map->rounds |= merged;
            error = read_fork(r, next++, ns, forked_ns, merged_ns);
        }
    }
    return error;
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

static int read_map(struct reading *r, uint32_t at)
{
    struct map *map = &r->maps->rows[at];
    const struct region *region = &r->program->regions[at];
    const struct mark *begin = &r->graph->marks[region->begin];
    r->map = map;
    r->over_ns = INT64_MIN;
    r->bytes = NULL;
    *map = (struct map){.region = region, .first_unit = r->maps->unit_count};
    map->is_nested = r->program->launches[region->process].is_worker;
    if (region->is_crew) {
        map->workers = (int)region->worker_count;
        map->rule = MAP_CREW;
    } else {
        map->workers = begin->b > 0 && begin->b < INT32_MAX ? (int)begin->b : 1;
        map->rule = begin->a > 0 ? MAP_CHUNKS : MAP_GUIDED;
        if (has_extracted(r) || (int64_t)region->worker_count > map->workers)
            map->rule = MAP_PROCESSES;
    }
    int error = read_workers(r);
    if (!error)
        error = read_forks(r);
    if (!error && !region->is_crew)
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
    *maps = (struct maps){.rows = calloc((size_t)program->region_count + 1, sizeof *maps->rows)};
    int error = maps->rows ? 0 : -ENOMEM;
    while (!error && maps->count < program->region_count)
        error = read_map(&r, maps->count++);
    if (!error)
        find_medians(maps);
    return error;
}

void maps_fini(struct maps *maps)
{
    for (uint32_t i = 0; i < maps->count; i++)
        free(maps->rows[i].units);
    free(maps->rows);
    free(maps->costs);
    *maps = (struct maps){0};
}
