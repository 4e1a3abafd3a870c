/* Simulations: one with the times of the run for each number of CPUs, with its path, and some in which times are drawn
 * anew. The draws are the same for each number of CPUs, and the same in each call, so that results can be compared. */
#include "predict/predict.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/graph_build.h"
#include "base/text.h"
#include "predict/simulate.h"
#include "store/rows.h"

enum { DRAWS = 100, DRAWS_LEAST = 20 };

#define DRAWN_OPS 2e7 /* all draws of a number of CPUs together do about so many operations */
#define ENOUGH 1.02
#define ONE_TASK 0.9 /* of the tasks on the path: then it is the longest one that counts */

const int predict_usual_cpus[PREDICT_USUAL_COUNT] = {1, 2, 4, 8, 16, 32, 64};

struct predicting {
    struct predict *predict;
    sqlite3 *db;
    struct processes processes;
    struct graph graph;
    struct program program;
    struct maps maps;
    double *unit_factors, *map_fork_ns;
    double drawn_s[DRAWS];
    int64_t machine; /* the CPUs of the machine of the run; 0: not known */
    int cpus[PREDICT_COUNT_MOST];
};

/* The changes of all simulations. */
static struct map_changes changes_of(const struct predicting *p)
{
    return (struct map_changes){
        .slowdowns = p->predict->slowdowns, .slowdowns_most = PREDICT_CPUS_MOST, .machine = p->predict->machine};
}

/* ---- the interval ---- */

static uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint32_t random_below(uint64_t *state, uint32_t count)
{
    return (uint32_t)(next_random(state) % count);
}

static double per_argument(const struct unit *unit)
{
    return unit->task_ns / unit->arguments;
}

/* Each unit's time in f becomes that of some unit of its map, argument by argument. */
static void draw(struct predicting *p, uint64_t *state)
{
    for (uint32_t i = 0; i < p->maps.count; i++) {
        const struct map *map = &p->maps.rows[i];
        for (uint32_t u = 0; u < map->unit_count; u++) {
            const struct unit *from = &map->units[random_below(state, map->unit_count)], *to = &map->units[u];
            p->unit_factors[map->first_unit + u] = to->task_ns > 0 ? per_argument(from) / per_argument(to) : 1;
        }
        p->map_fork_ns[i] = map->fork_count ? map->forks[random_below(state, map->fork_count)].ns : map->fork_ns;
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* 0 or -ENOMEM. */
static int find_interval(struct predicting *p, struct prediction *prediction)
{
    uint64_t state = 1;
    struct map_changes changes = changes_of(p);
    changes.unit_factors = p->unit_factors;
    changes.map_fork_ns = p->map_fork_ns;
    double most = DRAWN_OPS / (p->program.op_count + 1.0);
    int draws = most > DRAWS ? DRAWS : most < DRAWS_LEAST ? DRAWS_LEAST : (int)most;
    prediction->low = prediction->high = prediction->seconds;
    if (!p->maps.unit_count)
        return 0;
    for (int i = 0; i < draws; i++) {
        draw(p, &state);
        p->drawn_s[i] = simulate(&p->maps, &p->program, prediction->cpus, &changes, NULL) / 1e9;
        if (p->drawn_s[i] < 0)
            return -ENOMEM;
    }
    qsort(p->drawn_s, (size_t)draws, sizeof *p->drawn_s, by_value);
    int cut = draws / 40;
    prediction->low = fmin(prediction->seconds, p->drawn_s[cut]);
    prediction->high = fmax(prediction->seconds, p->drawn_s[draws - 1 - cut]);
    return 0;
}

/* ---- the limit, in words ---- */

/* A kind of limit: what most of the path goes into. The same kind at two numbers of CPUs is one limit. */
enum limit_kind {
    LIMIT_NONE, /* the tasks: more CPUs help */
    LIMIT_LONGEST_TASK,
    LIMIT_ACTIVITY, /* and that activity */
};

static int limit_of(const struct simulate_path *path)
{
    int most = 0;
    for (int i = 1; i < ACTIVITY_COUNT; i++)
        if (path->ns[i] > path->ns[most])
            most = i;
    if (most == ACTIVITY_NO_CPU)
        return LIMIT_NONE;
    if (most != ACTIVITY_TASKS)
        return LIMIT_ACTIVITY + most;
    return path->longest_ns >= ONE_TASK * path->ns[most] && path->tasks <= (uint32_t)path->maps ? LIMIT_LONGEST_TASK
                                                                                                : LIMIT_NONE;
}

/* 0.41 s, 41 ms, 41 us */
static const char *shown_time(char *text, size_t size, double ns)
{
    if (ns >= 1e9)
        snprintf(text, size, "%.3g s", ns / 1e9);
    else if (ns >= 1e6)
        snprintf(text, size, "%.3g ms", ns / 1e6);
    else
        snprintf(text, size, "%.3g us", ns / 1e3);
    return text;
}

/* The name of a process, which the program has chosen. */
static void name_process(struct predicting *p, int process, char *name, size_t size)
{
    sqlite3_stmt *s = NULL;
    snprintf(name, size, "a process");
    if (process == PROCESS_NONE ||
        sqlite3_prepare_v2(p->db, "SELECT coalesce(name, 'process ' || id) FROM process WHERE id = ?", -1, &s, NULL) !=
            SQLITE_OK)
        return;
    sqlite3_bind_int64(s, 1, p->processes.rows[process].id);
    if (sqlite3_step(s) == SQLITE_ROW && sqlite3_column_text(s, 0))
        text_clean(name, size, (const char *)sqlite3_column_text(s, 0), (size_t)sqlite3_column_bytes(s, 0));
    sqlite3_finalize(s);
}

static void say_running(struct predicting *p, const struct simulate_path *path, char *text, size_t size)
{
    char name[100], time[40];
    name_process(p, path->busiest, name, sizeof name);
    snprintf(text, size, "what %s does itself, %s", name, shown_time(time, sizeof time, path->busiest_ns));
}

static void say_activity(struct predicting *p, const struct simulate_path *path, int activity, char *text, size_t size)
{
    static const struct {
        const char *name;
        bool each; /* its time is told for each map */
    } shown[ACTIVITY_COUNT] = {[ACTIVITY_FORKING] = {"forking", false},
                               [ACTIVITY_STARTING] = {"begin and end of processes", false},
                               [ACTIVITY_TAKING] = {"the parent's unpickling", true},
                               [ACTIVITY_PICKLING] = {"pickling and copying", false},
                               [ACTIVITY_MERGING] = {"merges", true},
                               [ACTIVITY_ENDING] = {"the ends of maps", false},
                               [ACTIVITY_HANDOVER] = {"handing over", false},
                               [ACTIVITY_WAITING] = {"waiting for what is not in the trace", false}};
    if (activity == ACTIVITY_RUNNING) {
        say_running(p, path, text, size);
        return;
    }
    char time[40];
    const char *name = shown[activity].name ? shown[activity].name : "other than the program's work";
    bool each = shown[activity].each && path->maps > 1;
    shown_time(time, sizeof time, each ? path->ns[activity] / path->maps : path->ns[activity]);
    snprintf(text, size, "%s, %s%s", name, time, each ? " a map" : "");
}

static void say_limit(struct predicting *p, const struct simulate_path *path, int limit, int from, struct sentence *say)
{
    char text[300], time[40];
    if (limit == LIMIT_NONE) {
        snprintf(say->text, sizeof say->text, "%s",
                 path->ns[ACTIVITY_NO_CPU] > path->ns[ACTIVITY_TASKS] ? "more processes than CPUs" : "the tasks");
        return;
    }
    if (limit == LIMIT_LONGEST_TASK)
        snprintf(text, sizeof text, "the longest task, %s", shown_time(time, sizeof time, path->longest_ns));
    else
        say_activity(p, path, limit - LIMIT_ACTIVITY, text, sizeof text);
    snprintf(say->text, sizeof say->text, "from %d CPU%s on %s", from, from == 1 ? "" : "s", text);
}

/* ---- one number of CPUs ---- */

/* The seconds on so many CPUs, and the limit there. Negative: no memory. */
static double seconds_on(struct predicting *p, int cpus, struct simulate_path *path, int *limit)
{
    struct map_changes changes = changes_of(p);
    double ns = simulate(&p->maps, &p->program, cpus, &changes, path);
    *limit = limit_of(path);
    return ns / 1e9;
}

/* The first number of CPUs in (below, cpus] with that limit, which is the limit on cpus; by halving. */
static int first_with(struct predicting *p, int below, int cpus, int limit)
{
    while (cpus - below > 1) {
        int middle = below + (cpus - below) / 2, there;
        struct simulate_path path;
        if (seconds_on(p, middle, &path, &there) >= 0 && there == limit)
            cpus = middle;
        else
            below = middle;
    }
    return cpus;
}

/* ---- on which numbers of CPUs ---- */

/* Keeps the numbers rising. */
static void add_cpus(struct predicting *p, int64_t cpus)
{
    int at = 0, *count = &p->predict->count;
    while (at < *count && p->cpus[at] < cpus)
        at++;
    if (cpus < 1 || cpus > PREDICT_CPUS_MOST || *count == PREDICT_COUNT_MOST || (at < *count && p->cpus[at] == cpus))
        return;
    memmove(p->cpus + at + 1, p->cpus + at, (size_t)(*count - at) * sizeof *p->cpus);
    p->cpus[at] = (int)cpus;
    ++*count;
}

/* What the run was measured on: a map in a worker has that worker's share. */
static void find_measured(struct predicting *p)
{
    int64_t workers = 0;
    for (uint32_t i = 0; i < p->maps.count; i++)
        if (!p->maps.rows[i].is_nested && p->maps.rows[i].workers > workers)
            workers = p->maps.rows[i].workers;
    if (!p->maps.count)
        workers = p->machine;
    p->predict->measured_cpus = workers >= 1 && workers <= PREDICT_CPUS_MOST ? (int)workers : 0;
    p->predict->measured_s = (double)(p->graph.to_ns - p->graph.from_ns) / 1e9;
}

static void choose_cpus(struct predicting *p)
{
    memcpy(p->cpus, p->predict->cpus, (size_t)p->predict->count * sizeof *p->cpus);
    find_measured(p);
    if (!p->predict->with_run)
        return;
    add_cpus(p, p->predict->measured_cpus);
    add_cpus(p, p->machine);
    add_cpus(p, p->machine > PREDICT_CPUS_MOST ? 0 : 4 * p->machine);
}

/* ---- all of them ---- */

static void find_enough(struct predict *predict)
{
    double least_s = predict->predictions[0].seconds;
    int i = 0;
    for (int k = 1; k < predict->count; k++)
        least_s = fmin(least_s, predict->predictions[k].seconds);
    while (predict->predictions[i].seconds > least_s * ENOUGH)
        i++;
    predict->enough = predict->predictions[i].cpus;
}

static int predict_all(struct predicting *p)
{
    struct predict *predict = p->predict;
    struct simulate_path path;
    int before = 0, limit_before = -1, from = 1;
    double alone_s = seconds_on(p, 1, &path, &limit_before);
    if (alone_s < 0)
        return -ENOMEM;
    for (int i = 0; i < predict->count; i++) {
        struct prediction *prediction = &predict->predictions[i];
        int limit;
        *prediction = (struct prediction){.cpus = p->cpus[i]};
        prediction->seconds = seconds_on(p, prediction->cpus, &path, &limit);
        if (prediction->seconds < 0 || find_interval(p, prediction))
            return -ENOMEM;
        prediction->speedup = prediction->seconds > 0 ? alone_s / prediction->seconds : 1;
        if (limit != limit_before)
            from = first_with(p, before ? before : 1, prediction->cpus, limit);
        say_limit(p, &path, limit, from, &prediction->limit);
        before = prediction->cpus;
        limit_before = limit;
    }
    find_enough(predict);
    return 0;
}

/* ---- all of it ---- */

/* Such a map is a task without an event: its chunks are cut by the number of workers, and nobody knows into what. */
static bool has_map_on_executor(sqlite3 *db)
{
    return rows_number(
               db, "SELECT 1 FROM task WHERE kind = 'map' AND id NOT IN (SELECT object FROM event WHERE kind IN "
                   "(SELECT id FROM event_kind WHERE name IN ('map', 'next')) AND object IS NOT NULL) LIMIT 1") == 1;
}

static int predict_program(struct predicting *p)
{
    int error = graph_build(&p->graph, p->db, &p->processes);
    p->machine = rows_number(p->db, "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'cpus'");
    if (!error)
        error = program_init(&p->program, &p->graph, p->machine);
    if (!error && (p->program.unclear != PROCESS_NONE || has_map_on_executor(p->db)))
        error = -ENOTSUP;
    if (!error)
        error = maps_init(&p->maps, &p->program);
    if (error)
        return error;
    p->unit_factors = malloc(((size_t)p->maps.unit_count + 1) * sizeof *p->unit_factors);
    p->map_fork_ns = malloc(((size_t)p->maps.count + 1) * sizeof *p->map_fork_ns);
    if (!p->unit_factors || !p->map_fork_ns)
        return -ENOMEM;
    p->predict->maps = p->maps.count;
    p->predict->processes = 0;
    for (int i = 0; i < p->processes.count; i++)
        p->predict->processes += !p->program.launches[i].is_worker;
    choose_cpus(p);
    return predict_all(p);
}

static void explain(struct predicting *p, int error, struct sentence *why)
{
    char name[100];
    if (error != -ENOTSUP) {
        output_explain(why, error, "%s", error == -ENOMEM ? "no memory" : sqlite3_errmsg(p->db));
        return;
    }
    if (p->program.unclear == PROCESS_NONE) {
        output_explain(why, error,
                       "a map on an Executor (executor=) cuts its chunks by the number of workers, and the trace "
                       "does not say how many arguments each one has");
        return;
    }
    name_process(p, p->program.unclear, name, sizeof name);
    output_explain(
        why, error,
        "nobody can tell from where %s had its chunks: it belongs to one of two imaps or Executors at the same time, "
        "was forked by another thread than the first, or ran on another machine",
        name);
}

int predict(struct predict *predict, sqlite3 *db, struct sentence *why)
{
    struct predicting p = {.predict = predict, .db = db};
    assert(predict->count >= 1 && predict->count <= PREDICT_COUNT_MOST);
    int error = processes_init(&p.processes, db);
    if (!error)
        error = predict_program(&p);
    if (error)
        explain(&p, error, why);
    free(p.unit_factors);
    free(p.map_fork_ns);
    maps_fini(&p.maps);
    program_fini(&p.program);
    graph_fini(&p.graph);
    processes_fini(&p.processes);
    return error;
}
