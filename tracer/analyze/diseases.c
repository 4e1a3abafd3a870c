/* Each function finds one disease by what only that one does to the ledger, the graph or the facts, and asks a replay
 * what the run would have been without it. Shares are those of the critical path: what the end had to wait for. A gain
 * is promised (at_least) where the cure, done as it says, takes away what was measured, and what is left is known: not
 * of cures such as "hold the lock for less". */
#include "analyze/diseases.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "abi/log_format.h"
#include "store/rows.h"

#define MANY_CHUNKS 1000
#define MUCH_COPIED 20000000 /* bytes; any child copies some of the interpreter's */
#define LONG_NS 100000000.0  /* an interpreter takes less to begin */
#define SHORT_CHUNK_NS 100000.0
#define MANY_ARGUMENTS 8 /* in a chunk: it can be divided */

enum {
    OVERSUBSCRIPTION,
    NATIVE_THREADS,
    SLEEP,
    LOCK,
    TINY_TASKS,
    TRANSFER,
    CHANNEL,
    MERGE,
    COPY_ON_WRITE,
    PROCESSES,
    IMBALANCE,
    SERIAL
};
#define COVERS(disease) (1u << (disease))

#define TELL(text, ...) snprintf((text), sizeof(text), __VA_ARGS__)

static int workers_of(const struct advisor *a)
{
    return a->children < 1 ? 1 : a->load.at_once > 1 && a->load.at_once < a->children ? a->load.at_once : a->children;
}

static const char *bytes_of(int64_t bytes, char *to, size_t size)
{
    if (bytes >= 1000000)
        snprintf(to, size, "%.1f MB", (double)bytes / 1e6);
    else
        snprintf(to, size, "%.1f KB", (double)bytes / 1e3);
    return to;
}

/* 1, 2 or 5 times a power of ten, at least as much. */
static int64_t round_up(double number)
{
    int64_t power = 1;
    while ((double)power * 10 < number && power < INT64_C(1000000000000))
        power *= 10;
    return (double)power >= number       ? power
           : (double)power * 2 >= number ? power * 2
           : (double)power * 5 >= number ? power * 5
                                         : power * 10;
}

/* ---- CPUs ---- */

/* More processes want a CPU at once than there are. */
static void look_for_oversubscription(const struct advisor *a, struct finding *f)
{
    int at_once = a->load.at_once;
    double work = advisor_all_ns(a, CATEGORY_RUNNING), without = advisor_all_ns(a, CATEGORY_NO_CPU);
    bool wants_cpus = a->graph->knows_no_cpu ? without > 0.3 * (work + without) : a->idle < 0.5;
    if (at_once < 1.5 * a->cpus + 1 || !wants_cpus || a->facts.forks < at_once)
        return;
    struct replay_costs costs = a->as_it_was;
    double kept = (double)a->cpus / (double)a->facts.forks;
    costs.category[CATEGORY_FORKING] = costs.category[CATEGORY_STARTING] = costs.category[CATEGORY_ENDING] = kept;
    costs.end_handover = kept;
    f->speedup = advisor_speedup(a, &costs);
    f->weight = (double)at_once / a->cpus;
    char cost[80] = "";
    if (f->speedup >= 1.05)
        TELL(cost, "; beginning and ending them takes %.0f %% of the time", (1 - 1 / f->speedup) * 100);
    TELL(f->what, "%d processes want a CPU at once, and there are %d CPUs%s", at_once, a->cpus, cost);
    TELL(f->cure, "no more workers than CPUs, concurrency=%d", a->cpus);
}

/* Threads of BLAS, OpenMP or the program's own, in each of several workers. */
static void look_for_native_threads(const struct advisor *a, struct finding *f)
{
    double threads = (double)rows_number(
        a->db, "SELECT count(*) FROM (SELECT s.process, s.tid, total(s.end_ns - s.start_ns) AS ns FROM sched_slice s "
               "JOIN process p ON p.id = s.process WHERE p.task IS NOT NULL AND coalesce(p.name, '') NOT GLOB "
               "'*Manager-[0-9]*' GROUP BY 1, 2 HAVING ns > 0.1 * (SELECT "
               "max(on_cpu) FROM (SELECT total(t.end_ns - t.start_ns) AS on_cpu FROM sched_slice t WHERE t.process = "
               "s.process GROUP BY t.tid)))");
    double work = (double)rows_number(a->db, "SELECT CAST(total(end_ns - start_ns) AS INTEGER) FROM sched_slice");
    if (!a->children || threads < 1.9 * a->children || threads / a->children * workers_of(a) < 1.5 * a->cpus ||
        a->idle >= 0.5)
        return;
    double least_ns = work / a->cpus;
    f->speedup = advisor_speedup_to(a, least_ns > a->base_ns / 2 ? least_ns : a->base_ns / 2);
    f->weight = threads / a->children * workers_of(a) / a->cpus;
    TELL(f->what, "each of %d workers runs %.0f threads, and there are %d CPUs", workers_of(a), threads / a->children,
         a->cpus);
    TELL(f->cure, "one thread in each worker, blas_threads=1 if they are those of BLAS or OpenMP");
}

/* Twice the workers need half of the time for a map's chunks, and the longest chunk: Graham's bound. */
static double asleep_on_more_workers(const struct advisor *a, double share)
{
    if (!a->graph->knows_no_cpu || a->facts.chunks < 4 * workers_of(a))
        return 0;
    double forks_ns = advisor_all_ns(a, CATEGORY_FORKING) + advisor_all_ns(a, CATEGORY_STARTING);
    return advisor_at_least_to(a, a->base_ns * (1 - share / 2) + (double)a->facts.longest_chunk_ns + forks_ns);
}

/* With the kernel's view sleep is known. Without it, what ran on no CPU while CPUs were idle waited for something. */
static void look_for_sleep(const struct advisor *a, struct finding *f)
{
    double share = advisor_path_share(a, CATEGORY_SLEEPING);
    double running = advisor_children_ns(a, CATEGORY_RUNNING);
    if (!a->graph->knows_no_cpu && a->idle > 0.5 && a->cpu_share < 0.5)
        share = advisor_path_share(a, CATEGORY_RUNNING) * (1 - a->cpu_share);
    if (share < 0.2)
        return;
    f->speedup = advisor_speedup_to(a, a->base_ns * (1 - share / 2));
    f->weight = 1 / (1.01 - share);
    f->at_least = asleep_on_more_workers(a, share);
    if (a->children && running + advisor_children_ns(a, CATEGORY_SLEEPING) > 0) {
        TELL(f->what, "tasks sleep, or wait for something outside, for %.0f %% of the time", share * 100);
        TELL(f->cure, "more of them at once, as they need no CPU meanwhile: concurrency=%d or more", workers_of(a) * 2);
    } else {
        TELL(f->what, "the program sleeps for %.0f %% of the time", share * 100);
        TELL(f->cure, "do something meanwhile, in a Thread");
    }
}

/* ---- waiting for each other ---- */

/* A server of multiprocessing's managers; its id, or 0. */
static int64_t find_manager(const struct advisor *a)
{
    return rows_number(a->db, "SELECT id FROM process WHERE name GLOB '*Manager-[0-9]*' LIMIT 1");
}

static void look_for_lock(const struct advisor *a, struct finding *f)
{
    int64_t manager = find_manager(a);
    char sql[512];
    snprintf(sql, sizeof sql,
             "SELECT CAST(1000 * total(iif(l.category = 'lock' OR (l.category = 'late sender' AND %d), l.ns, 0)) / "
             "max(1, total(iif(l.category <> 'no cpu', l.ns, 0))) AS INTEGER) FROM ledger l JOIN process p ON p.id = "
             "l.process WHERE p.task IS NOT NULL AND p.id <> %" PRId64,
             manager != 0, manager);
    double share = (double)rows_number(a->db, sql) / 1000;
    double life_ns = (double)rows_number(a->db, "SELECT CAST(avg(end_ns - start_ns) AS INTEGER) FROM process WHERE "
                                                "task IS NOT NULL AND name NOT GLOB '*Manager-[0-9]*'");
    if (share < 0.3)
        return;
    f->speedup = advisor_speedup_to(a, a->base_ns - share * (life_ns < a->base_ns ? life_ns : a->base_ns));
    if (manager) {
        f->at_least = advisor_at_least_to(a, a->base_ns / f->speedup);
        TELL(f->what, "workers wait for a Manager, its locks or its objects, for %.0f %% of their time", share * 100);
        TELL(f->cure, "ask it less often: add up in the worker first, and return that or tell it once");
    } else {
        TELL(f->what, "workers wait for locks or threads for %.0f %% of their time", share * 100);
        TELL(f->cure, "hold the lock for less, or work on a copy and merge it in the end");
    }
}

/* One channel that is full. If its receiver waits as well, sender and receiver would both go on with more room; if it
 * never waits, it is too slow. */
static void look_for_channel(const struct advisor *a, struct finding *f)
{
    const struct channel_waits *worst = NULL;
    char sql[160], name[80], channel[80], size[32], function[160];
    for (size_t i = 0; i < a->facts.wait_count; i++)
        if (!worst || a->facts.waits[i].room_ns > worst->room_ns)
            worst = &a->facts.waits[i];
    if (!worst || (double)worst->room_ns < 0.1 * a->base_ns)
        return;
    snprintf(sql, sizeof sql, "SELECT capacity_bytes FROM channel WHERE id = %" PRId64, worst->channel);
    int64_t capacity = rows_number(a->db, sql);
    if ((double)worst->message_ns >= 0.3 * (double)worst->room_ns) {
        struct replay_costs costs = a->as_it_was;
        costs.room = 0;
        f->speedup = advisor_speedup(a, &costs);
        f->at_least = advisor_at_least(a, &costs);
        TELL(f->what, "channel %s is too small: its senders wait for room, and then its receiver for messages",
             advisor_channel(a, worst->channel, channel, sizeof channel));
        TELL(f->cure, "Channel(%" PRId64 ") instead of %s, or more", round_up((double)capacity * 20),
             bytes_of(capacity, size, sizeof size));
        return;
    }
    snprintf(sql, sizeof sql, "SELECT process FROM event WHERE kind = %d AND object = %" PRId64 " LIMIT 1",
             SF_EVENT_RECEIVE, worst->channel);
    int receiver = processes_find(a->graph->processes, rows_number(a->db, sql));
    double work = receiver == PROCESS_NONE ? 0 : advisor_process_ns(a, receiver, CATEGORY_RUNNING);
    f->speedup = advisor_speedup_to(a, a->base_ns - work / 2);
    snprintf(sql, sizeof sql, "SELECT count(DISTINCT process) FROM event WHERE kind = %d AND object = %" PRId64,
             SF_EVENT_SEND, worst->channel);
    double lives_ns = a->base_ns * (double)rows_number(a->db, sql), share = (double)worst->room_ns / (lives_ns + 1);
    TELL(f->what, "%s takes messages from channel %s too slowly: its senders wait for room for %.0f %% of the time",
         advisor_name(a, receiver, name, sizeof name), advisor_channel(a, worst->channel, channel, sizeof channel),
         (share < 1 ? share : 1) * 100);
    if (receiver != PROCESS_NONE)
        advisor_function(a, receiver, function, sizeof function);
    TELL(f->cure, "let the senders do a part of its work%s, or several processes receive",
         receiver != PROCESS_NONE ? function : "");
}

/* ---- what it costs to be parallel ---- */

/* With many arguments in a chunk, what each of them takes is what was before its result was pickled. */
static void look_for_tiny_tasks(const struct advisor *a, struct finding *f)
{
    const struct facts *facts = &a->facts;
    double chunks = (double)(facts->chunks ? facts->chunks : 1), left = 1;
    double work_ns = (double)(facts->arguments > facts->chunks ? facts->chunk_running_ns : facts->chunk_work_ns);
    double *factors = calloc((size_t)a->graph->processes->count + 1, sizeof *factors);
    if (!factors || facts->chunks < MANY_CHUNKS || work_ns / chunks > SHORT_CHUNK_NS) {
        free(factors);
        return;
    }
    if (facts->chunk_running_ns > 0)
        left = work_ns / (double)facts->chunk_running_ns;
    for (int p = 0; p < a->graph->processes->count; p++)
        factors[p] = a->graph->processes->rows[p].task ? left : 1;
    struct replay_costs costs = a->as_it_was;
    costs.running = factors;
    costs.category[CATEGORY_TRACING] = 0;
    costs.category[CATEGORY_OTHER] = costs.handover = costs.unknown_wait = 0.15; /* something is left for each result */
    costs.category[CATEGORY_PICKLING] = 0.25; /* each value for itself takes at least four times as long as in a list */
    costs.category[CATEGORY_COPYING] = 0.1;
    f->speedup = advisor_speedup(a, &costs); /* no promise: an event for each of them makes the traced run too slow */
    f->weight = f->speedup * 1.2;
    free(factors);
    double arguments = (double)(facts->arguments > 0 ? facts->arguments : 1);
    int64_t size = round_up(500000 / (work_ns / arguments + 1)), most = (int64_t)(arguments / (4 * workers_of(a)));
    TELL(f->what, "%" PRId64 " chunks of %.1f us of work each: handing them out takes %.0f %% of the time",
         facts->chunks, work_ns / chunks / 1e3, (1 - 1 / f->speedup) * 100);
    TELL(f->cure, "chunksize=%" PRId64 " or more%s", size < most || most < 1 ? size : most,
         facts->maps_with_chunksize ? ", or none, and map finds one" : "");
}

static void look_for_transfer(const struct advisor *a, struct finding *f)
{
    struct replay_costs costs = a->as_it_was;
    char size[32];
    bool messages = a->facts.message_bytes > a->facts.result_bytes;
    int64_t bytes = messages ? a->facts.message_bytes : a->facts.result_bytes;
    costs.category[CATEGORY_PICKLING] = costs.category[CATEGORY_COPYING] = 0;
    if (advisor_speedup(a, &costs) < 1.05 && bytes < 10000000)
        return;
    f->at_least = advisor_at_least(a, &costs);
    costs.handover = 0; /* it may be another thread that pickles */
    f->speedup = advisor_speedup(a, &costs);
    TELL(f->what, "pickling and copying take %.0f %% of the time: %s of %s", (1 - 1 / f->speedup) * 100,
         bytes_of(bytes, size, sizeof size), messages ? "messages" : "results");
    TELL(f->cure, "%s less, or NumPy arrays instead of lists", messages ? "send" : "return");
}

static void look_for_merge(const struct advisor *a, struct finding *f)
{
    struct replay_costs costs = a->as_it_was;
    double share = advisor_path_share(a, CATEGORY_MERGING) + advisor_path_share(a, CATEGORY_EXTRACTING);
    int parallel = workers_of(a) < a->cpus ? workers_of(a) : a->cpus;
    costs.category[CATEGORY_MERGING] = costs.category[CATEGORY_EXTRACTING] = 1.0 / (parallel > 1 ? parallel : 2);
    f->speedup = advisor_speedup(a, &costs);
    TELL(f->what, "merging takes %.0f %% of the time, one child after the other", share * 100);
    TELL(f->cure, "do more in the children, and merge less");
}

static void look_for_copy_on_write(const struct advisor *a, struct finding *f)
{
    struct replay_costs costs = a->as_it_was;
    int64_t pages = rows_number(a->db, "SELECT total(count) FROM fault WHERE kind = 'copy-on-write'");
    char size[32];
    if (pages * 4096 < MUCH_COPIED)
        return;
    costs.copy_on_write = 0;
    f->speedup = advisor_speedup(a, &costs);
    costs.copy_on_write = 0.5; /* memory that they make themselves has to be zeroed */
    if (!rows_number(a->db, "SELECT count(*) FROM fault WHERE kind = 'copy-on-write' AND estimate"))
        f->at_least = advisor_speedup(a, &costs);
    TELL(f->what,
         "the kernel copies what children change of their parent's memory, %s, which takes %.0f %% of the time",
         bytes_of(pages * 4096, size, sizeof size), (1 - 1 / f->speedup) * 100);
    TELL(f->cure, "let them only read it, and make what they change themselves");
}

static void look_for_processes(const struct advisor *a, struct finding *f)
{
    struct replay_costs costs = a->as_it_was;
    double each_ns =
        advisor_all_ns(a, CATEGORY_FORKING) + advisor_all_ns(a, CATEGORY_STARTING) + advisor_all_ns(a, CATEGORY_ENDING);
    if (a->facts.forks < 2 * a->cpus + 1)
        return;
    double kept = (double)a->cpus / (double)a->facts.forks;
    costs.category[CATEGORY_FORKING] = costs.category[CATEGORY_STARTING] = costs.category[CATEGORY_ENDING] = kept;
    costs.end_handover = kept;
    f->speedup = advisor_speedup(a, &costs);
    f->at_least = advisor_at_least(a, &costs);
    TELL(f->what, "%" PRId64 " processes are forked, at %.1f ms each to begin and end", a->facts.forks,
         each_ns / (double)a->facts.forks / 1e6);
    TELL(f->cure, "fewer that do more each: map with %d workers, or an Executor; and fork before large data is made",
         a->cpus);
}

/* ---- how the work is spread ---- */

static void look_for_imbalance(const struct advisor *a, struct finding *f)
{
    struct replay_costs costs = a->as_it_was;
    double *factors = load_balance_level(a->graph), most_ns = 0, sum_ns = 0;
    int most = PROCESS_NONE;
    char name[80], function[160] = "";
    costs.running = factors;
    if (!factors || a->children < 2) {
        free(factors);
        return;
    }
    f->speedup = advisor_speedup(a, &costs);
    if (a->facts.longest_arguments >=
        MANY_ARGUMENTS) /* one of them may be as long as the others together, but no more */
        f->at_least = advisor_at_least_to(a, a->base_ns * (1 + 1 / f->speedup) / 2);
    free(factors);
    for (int p = 0; p < a->graph->processes->count; p++) {
        if (!a->graph->processes->rows[p].task)
            continue;
        double ns = advisor_process_ns(a, p, CATEGORY_RUNNING);
        sum_ns += ns;
        if (ns > most_ns) {
            most_ns = ns;
            most = p;
        }
    }
    if (most != PROCESS_NONE)
        advisor_function(a, most, function, sizeof function);
    TELL(f->what, "the work is uneven: %s runs for %.2g s%s, the mean is %.2g s",
         advisor_name(a, most, name, sizeof name), most_ns / 1e9, function, sum_ns / a->children / 1e9);
    TELL(f->cure, "%s",
         a->facts.maps_with_chunksize ? "leave chunksize out, or make it smaller"
         : a->facts.chunks            ? "smaller arguments, the long ones first"
                                      : "divide the long task; map hands out what is left");
}

static void look_for_serial(const struct advisor *a, struct finding *f)
{
    double serial_ns = (double)a->facts.before_forks_ns;
    int forker = a->facts.forker;
    char name[80], function[160];
    if (forker == PROCESS_NONE || a->graph->processes->rows[forker].task || serial_ns < LONG_NS ||
        serial_ns < 0.2 * a->base_ns)
        return;
    f->speedup = advisor_speedup_to(a, a->base_ns - serial_ns + serial_ns / a->cpus);
    f->at_least = advisor_at_least_to(a, a->base_ns / f->speedup);
    TELL(f->what, "%s works alone for %.0f %% of the time, before its first fork%s",
         advisor_name(a, forker, name, sizeof name), serial_ns / a->base_ns * 100,
         advisor_function_before_forks(a, forker, function, sizeof function));
    TELL(f->cure, "do that in the children, each its part");
}

const struct disease diseases[] = {
    [OVERSUBSCRIPTION] = {"oversubscription", look_for_oversubscription, COVERS(PROCESSES) | COVERS(IMBALANCE)},
    [NATIVE_THREADS] = {"threads", look_for_native_threads, COVERS(LOCK) | COVERS(OVERSUBSCRIPTION)},
    [SLEEP] = {"sleep", look_for_sleep, COVERS(OVERSUBSCRIPTION)},
    [LOCK] = {"lock", look_for_lock, COVERS(TRANSFER)},
    [TINY_TASKS] = {"tiny tasks", look_for_tiny_tasks, COVERS(TRANSFER) | COVERS(IMBALANCE)},
    [TRANSFER] = {"transfer", look_for_transfer, 0},
    [CHANNEL] = {"channel", look_for_channel, COVERS(TRANSFER)},
    [MERGE] = {"merge", look_for_merge, 0},
    [COPY_ON_WRITE] = {"copy-on-write", look_for_copy_on_write, COVERS(PROCESSES)},
    [PROCESSES] = {"processes", look_for_processes, 0},
    [IMBALANCE] = {"imbalance", look_for_imbalance, 0},
    [SERIAL] = {"serial part", look_for_serial, 0},
};

const size_t disease_count = sizeof diseases / sizeof *diseases;
