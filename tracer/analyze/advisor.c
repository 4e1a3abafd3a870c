/* See advisor.h. Gains are those of a quiet machine, without a trace: what other programs took of the CPUs is left out
 * on both sides, and so is tracing. */
#include "analyze/advisor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "abi/log_format.h"
#include "base/text.h"
#include "store/rows.h"

#define NAME_BYTES 61 /* of a process, in a sentence */

/* Fewer samples, or a smaller part of them, name no function. */
#define SAMPLES_ENOUGH 20
#define PERCENT_ENOUGH 20

static double sum(const struct advisor *advisor, const char *sql)
{
    return (double)rows_number(advisor->db, sql);
}

/* The CPU time that the processes say they had. */
static double read_cpu_ns(const struct advisor *advisor)
{
    char sql[256];
    snprintf(
        sql, sizeof sql,
        "SELECT CAST(total(ns) AS INTEGER) FROM (SELECT max(min(max(a), 1e15), 0) AS ns FROM event WHERE kind = %d "
        "GROUP BY process)",
        SF_EVENT_USAGE);
    return sum(advisor, sql);
}

/* What they had of the time that they seem to have needed; 1: not known. */
static double cpu_share_of(const struct advisor *advisor, double had_ns)
{
    struct replay_costs costs = replay_costs_all(1);
    double work_ns = replay_work(advisor->graph, &costs);
    return advisor->graph->knows_no_cpu || had_ns <= 0 || had_ns >= work_ns ? 1 : had_ns / work_ns;
}

/* What a fair scheduler gives to as many processes as there are CPUs, beside the others. These are as many as used the
 * CPUs, at least; and as many as made the program's own processes wait, if they did. */
static double free_cpus_of(const struct advisor *advisor, double had_ns)
{
    double duration_ns = (double)(advisor->graph->to_ns - advisor->graph->from_ns), share = advisor->cpu_share;
    double cpus = advisor->cpus;
    if (advisor->idle < 0 || had_ns <= 0 || duration_ns <= 0)
        return cpus;
    if (advisor->graph->knows_no_cpu)
        share = had_ns / (had_ns + advisor_all_ns(advisor, CATEGORY_NO_CPU));
    else if (advisor->idle >= 0.5)
        share = 1; /* it slept */
    double used = had_ns / duration_ns, wanted = used / share > 1 ? used / share : 1;
    double others = cpus * (1 - advisor->idle) - used;
    if (share < 0.9 && others < cpus / share - wanted)
        others = cpus / share - wanted;
    return others > 0 ? cpus * cpus / (others + cpus) : cpus;
}

int advisor_init(struct advisor *advisor, sqlite3 *db, const struct graph *graph)
{
    *advisor = (struct advisor){.db = db, .graph = graph, .as_it_was = replay_costs_all(1)};
    int error = facts_init(&advisor->facts, db, graph->processes);
    if (!error)
        error = load_balance_measure(&advisor->load, graph);
    if (error)
        return error;
    advisor->as_it_was.category[CATEGORY_NO_CPU] = advisor->as_it_was.category[CATEGORY_TRACING] = 0;
    advisor->base_ns = replay(graph, &advisor->as_it_was);
    if (advisor->base_ns < 0)
        return -ENOMEM;
    advisor->cpus = graph->cpus > 1 ? graph->cpus : 1;
    for (int p = 0; p < graph->processes->count; p++)
        advisor->children += graph->processes->rows[p].task != 0;
    advisor->idle =
        sum(advisor, "SELECT coalesce((SELECT value FROM meta WHERE key = 'cpu_idle_percent'), -100)") / 100;
    advisor->path_ns = sum(advisor, "SELECT CAST(total(ns) AS INTEGER) FROM path_activity WHERE activity <> 'no cpu'");
    double had_ns = read_cpu_ns(advisor);
    advisor->cpu_share = cpu_share_of(advisor, had_ns);
    advisor->free_cpus = free_cpus_of(advisor, had_ns);
    return 0;
}

void advisor_fini(struct advisor *advisor)
{
    facts_fini(&advisor->facts);
}

static double faster(const struct advisor *advisor, double ns, double work_ns, double cpus)
{
    double least_ns = work_ns * advisor->cpu_share / cpus;
    ns = ns > least_ns ? ns : least_ns;
    return ns > 0 && advisor->base_ns > ns ? advisor->base_ns / ns : 1;
}

double advisor_speedup(const struct advisor *advisor, const struct replay_costs *costs)
{
    return faster(advisor, replay(advisor->graph, costs), replay_work(advisor->graph, costs), advisor->cpus);
}

double advisor_speedup_to(const struct advisor *advisor, double ns)
{
    return faster(advisor, ns, replay_work(advisor->graph, &advisor->as_it_was), advisor->cpus);
}

double advisor_at_least(const struct advisor *advisor, const struct replay_costs *costs)
{
    return faster(advisor, replay(advisor->graph, costs), replay_work(advisor->graph, costs), advisor->free_cpus);
}

double advisor_at_least_to(const struct advisor *advisor, double ns)
{
    return faster(advisor, ns, replay_work(advisor->graph, &advisor->as_it_was), advisor->free_cpus);
}

static double category_ns(const struct advisor *advisor, const char *select, enum category category)
{
    char sql[256];
    snprintf(sql, sizeof sql, select, category_name(category));
    return sum(advisor, sql);
}

double advisor_path_share(const struct advisor *advisor, enum category category)
{
    double ns = category_ns(advisor, "SELECT ns FROM path_activity WHERE activity = '%s'", category);
    return advisor->path_ns > 0 ? ns / advisor->path_ns : 0;
}

double advisor_all_ns(const struct advisor *advisor, enum category category)
{
    return category_ns(advisor, "SELECT CAST(total(ns) AS INTEGER) FROM ledger WHERE category = '%s'", category);
}

double advisor_children_ns(const struct advisor *advisor, enum category category)
{
    return category_ns(advisor,
                       "SELECT CAST(total(ns) AS INTEGER) FROM ledger WHERE category = '%s' AND process IN "
                       "(SELECT id FROM process WHERE task IS NOT NULL)",
                       category);
}

double advisor_process_ns(const struct advisor *advisor, int process, enum category category)
{
    char sql[256];
    snprintf(sql, sizeof sql, "SELECT ns FROM ledger WHERE process = %" PRId64 " AND category = '%s'",
             advisor->graph->processes->rows[process].id, category_name(category));
    return sum(advisor, sql);
}

/* The name that the query finds, as it can be printed; or else `what` and the number. */
static const char *name_of(const struct advisor *advisor, const char *sql, const char *what, int64_t id, char *to,
                           size_t size)
{
    struct rows rows;
    snprintf(to, size, "%s%" PRId64, what, id);
    rows_open(&rows, advisor->db, sql);
    if (rows_next(&rows) && sqlite3_column_text(rows.s, 0))
        text_clean(to, size < NAME_BYTES ? size : NAME_BYTES, (const char *)sqlite3_column_text(rows.s, 0),
                   (size_t)sqlite3_column_bytes(rows.s, 0));
    rows_close(&rows);
    return to;
}

const char *advisor_name(const struct advisor *advisor, int process, char *to, size_t size)
{
    int64_t id = process == PROCESS_NONE ? 0 : advisor->graph->processes->rows[process].id;
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT name FROM process WHERE id = %" PRId64 " AND name IS NOT NULL", id);
    return name_of(advisor, sql, "process ", id, to, size);
}

const char *advisor_channel(const struct advisor *advisor, int64_t channel, char *to, size_t size)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT name FROM channel WHERE id = %" PRId64 " AND name IS NOT NULL", channel);
    return name_of(advisor, sql, "", channel, to, size);
}

/* The first column of the row is the function's sentence part. lines: a query for frame, ns, samples. The line is the
 * one with most of the function's time. */
static const char *first_function(const struct advisor *advisor, const char *lines, char *to, size_t size)
{
    struct rows rows;
    char sql[1024];
    snprintf(
        sql, sizeof sql,
        "SELECT percent, function || ' (' || replace(file, rtrim(file, replace(file, '/', '')), '') || ':' || line "
        "|| ')' FROM (SELECT *, ns * 100.0 / sum(ns) OVER () AS percent FROM (SELECT f.function, f.file, f.line, "
        "max(n.ns), total(n.ns) AS ns, total(n.samples) AS samples FROM (%s) n JOIN frame f ON f.id = n.frame "
        "GROUP BY f.function, f.file)) WHERE samples >= %d AND percent >= %d ORDER BY ns DESC LIMIT 1",
        lines, SAMPLES_ENOUGH, PERCENT_ENOUGH);
    to[0] = '\0';
    rows_open(&rows, advisor->db, sql);
    if (rows_next(&rows)) {
        char name[NAME_BYTES * 2];
        text_clean(name, sizeof name, (const char *)sqlite3_column_text(rows.s, 1),
                   (size_t)sqlite3_column_bytes(rows.s, 1));
        snprintf(to, size, ", %.0f %% of it in %s", sqlite3_column_double(rows.s, 0), name);
    }
    rows_close(&rows);
    return to;
}

const char *advisor_function(const struct advisor *advisor, int process, char *to, size_t size)
{
    char lines[256], only[64] = "";
    if (process != PROCESS_NONE)
        snprintf(only, sizeof only, " AND process = %" PRId64, advisor->graph->processes->rows[process].id);
    snprintf(lines, sizeof lines,
             "SELECT frame, total(self_ns) AS ns, total(samples) AS samples FROM frame_time WHERE span IS NULL%s "
             "GROUP BY frame",
             only);
    return first_function(advisor, lines, to, size);
}

const char *advisor_function_before_forks(const struct advisor *advisor, int process, char *to, size_t size)
{
    char lines[512];
    int64_t id = process == PROCESS_NONE ? 0 : advisor->graph->processes->rows[process].id;
    snprintf(lines, sizeof lines,
             "SELECT k.frame, total(s.cpu_ns) AS ns, count(*) AS samples FROM sample s JOIN stack k ON k.id = s.stack "
             "WHERE s.process = %" PRId64 " AND s.ns < (SELECT min(ns) FROM event_time WHERE process = %" PRId64
             " AND kind = %d) GROUP BY k.frame",
             id, id, SF_EVENT_FORK);
    return first_function(advisor, lines, to, size);
}
