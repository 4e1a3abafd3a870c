/* Runs the parts of the analysis and writes what they found, in one transaction. */
#include "analyze/analysis.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "analyze/advice.h"
#include "analyze/critical_path.h"
#include "analyze/functions.h"
#include "analyze/graph_build.h"
#include "analyze/ledger.h"
#include "analyze/load_balance.h"
#include "analyze/replay.h"
#include "store/inserts.h"
#include "store/rows.h"

static const char *const result_tables[] = {"ledger",  "critical_path", "path_activity", "efficiency",
                                            "what_if", "advice",        "frame_time"};

static int run_sql(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
}

/* ---- the critical path ---- */

static const char *activity_name(int activity)
{
    return activity == CRITICAL_PATH_HANDOVER  ? "handover"
           : activity == CRITICAL_PATH_OUTSIDE ? "outside"
                                               : category_name((enum category)activity);
}

static int write_pieces(sqlite3 *db, const struct critical_path *path, const struct processes *processes)
{
    struct inserts inserts;
    inserts_open(&inserts, db, "INSERT INTO critical_path VALUES(?, ?, ?, ?, ?)");
    for (size_t i = 0; i < path->count && !inserts.error; i++) {
        const struct piece *piece = &path->pieces[i];
        inserts_row(&inserts, "iisii", (int64_t)i + 1, processes->rows[piece->process].id,
                    activity_name(piece->activity), piece->from_ns, piece->to_ns);
    }
    return inserts_close(&inserts);
}

static int write_activities(sqlite3 *db, const struct critical_path *path)
{
    struct inserts inserts;
    inserts_open(&inserts, db, "INSERT INTO path_activity(activity, ns) VALUES(?, ?)");
    for (int i = 0; i < CRITICAL_PATH_ACTIVITIES; i++)
        if (path->ns[i])
            inserts_row(&inserts, "si", activity_name(i), path->ns[i]);
    int error = inserts_close(&inserts);
    return error
               ? error
               : run_sql(db,
                         "UPDATE path_activity SET share = ns * 1.0 / (SELECT total(ns) FROM path_activity), mean_ns = "
                         "(SELECT CAST(avg(ns) AS INTEGER) FROM ledger WHERE category = activity AND ns > 0);"
                         "UPDATE path_activity SET imbalance_ns = max(0, ns - mean_ns)");
}

static int write_critical_path(sqlite3 *db, const struct graph *graph)
{
    struct critical_path path;
    int error = critical_path_init(&path, graph);
    if (!error)
        error = write_pieces(db, &path, graph->processes);
    if (!error)
        error = write_activities(db, &path);
    critical_path_fini(&path);
    return error;
}

/* ---- the POP tree ---- */

static int write_efficiency(sqlite3 *db, const struct graph *graph)
{
    struct load_balance load;
    struct replay_costs costs = replay_costs_all(0);
    costs.category[CATEGORY_RUNNING] = costs.category[CATEGORY_SLEEPING] = costs.unknown_wait = 1;
    int error = load_balance_measure(&load, graph);
    double duration = (double)(graph->to_ns - graph->from_ns), ideal = error ? -1 : replay(graph, &costs);
    if (ideal < 0)
        return -ENOMEM;
    double balance = load.useful_ns / load.slots / load.largest_ns, communication = load.largest_ns / duration;
    const struct {
        const char *name;
        double value;
        const char *doc;
    } figures[] = {
        {"duration_ns", duration, "from the first start to the last end"},
        {"useful_ns", load.useful_ns, "time in running, of all processes"},
        {"at_once", load.at_once, "as many processes ran, or lacked a CPU, at once"},
        {"lanes", load.slots, "of these, as many as there are CPUs"}, /* the users' name for slots */
        {"largest_ns", load.largest_ns, "useful time of the fullest lane"},
        {"ideal_ns", ideal, "duration if nothing but running and sleeping took time"},
        {"parallel_efficiency", balance * communication, "useful / (lanes x duration)"},
        {"load_balance", balance, "mean / largest useful time of a lane"},
        {"communication_efficiency", communication, "largest / duration"},
        {"serialisation", load.largest_ns / ideal, "largest / ideal: who waits for whom"},
        {"transfer", ideal / duration, "ideal / duration: forks, messages, merges, faults"},
    };
    struct inserts inserts;
    inserts_open(&inserts, db, "INSERT INTO efficiency VALUES(?, ?, ?)");
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        inserts_row(&inserts, "srs", figures[i].name, figures[i].value, figures[i].doc);
    return inserts_close(&inserts);
}

/* ---- what if ---- */

/* The change that a question stands for takes away more than its cost: it gains as much or more. */
#define LOWER_BOUND "at least"

struct question {
    const char *what;
    const struct replay_costs *costs;
    const char *bound; /* LOWER_BOUND; NULL: an estimate */
    const char *doc;
    const char *measured; /* this query has a row, which is 1, where the trace measured it; NULL: every trace does */
};

static int put_what_if(struct inserts *inserts, sqlite3 *db, const struct graph *graph, const struct question *asked)
{
    double duration = (double)(graph->to_ns - graph->from_ns), changed = replay(graph, asked->costs);
    if (changed < 0)
        return -ENOMEM;
    inserts_row(inserts, "siiriss", asked->what, (int64_t)changed, (int64_t)(duration - changed),
                changed > 0 ? duration / changed : NAN, (int64_t)(!asked->measured || rows_number(db, asked->measured)),
                asked->bound, asked->doc);
    return 0;
}

static int write_what_if(sqlite3 *db, const struct graph *graph)
{
    struct replay_costs as_it_was = replay_costs_all(1), fork = as_it_was, merge = as_it_was, transfer = as_it_was,
                        copy = as_it_was, cpu = as_it_was, even = as_it_was, processes = as_it_was;
    double *factors = load_balance_level(graph);
    struct inserts inserts;
    int error = 0, insert_error;
    if (!factors)
        return -ENOMEM;
    fork.category[CATEGORY_FORKING] = 0;
    merge.category[CATEGORY_MERGING] = merge.category[CATEGORY_EXTRACTING] = 0;
    transfer.category[CATEGORY_PICKLING] = transfer.category[CATEGORY_COPYING] = 0;
    transfer.handover = 0; /* a child still ends, which is a cost of `processes` */
    processes.category[CATEGORY_FORKING] = processes.category[CATEGORY_STARTING] = 0;
    processes.category[CATEGORY_ENDING] = processes.end_handover = 0;
    copy.copy_on_write = 0;
    cpu.category[CATEGORY_NO_CPU] = 0;
    even.running = factors;
    const struct question questions[] = {
        {"fork", &fork, LOWER_BOUND, "begin, page faults and end of the children stay", NULL},
        {"processes", &processes, LOWER_BOUND, "page faults and cold caches after the forks stay", NULL},
        {"merge", &merge, LOWER_BOUND, "pickling what is extracted stays", NULL},
        {"transfer", &transfer, LOWER_BOUND, "making what is sent, and its page faults, stay", NULL},
        {"copy-on-write", &copy, NULL, "as if children only read", "SELECT 1 FROM fault LIMIT 1"},
        {"no cpu", &cpu, NULL, "as if each process had a CPU", "SELECT 1 FROM sched_slice LIMIT 1"},
        {"imbalance", &even, NULL, "as if children ran equally long", NULL},
    };
    inserts_open(&inserts, db, "INSERT INTO what_if VALUES(?, ?, ?, ?, ?, ?, ?)");
    for (size_t i = 0; i < sizeof questions / sizeof *questions && !error; i++)
        error = put_what_if(&inserts, db, graph, &questions[i]);
    insert_error = inserts_close(&inserts);
    free(factors);
    return error ? error : insert_error;
}

/* ---- all of it ---- */

/* Makes a temporary table with the name of each result table. The connection writes to it, and reads from it, in place
 * of the one in the file. */
static int shadow_tables(sqlite3 *db)
{
    int error = 0;
    for (size_t i = 0; i < sizeof result_tables / sizeof *result_tables && !error; i++) {
        sqlite3_stmt *s = NULL;
        if (sqlite3_prepare_v2(db, "SELECT 'CREATE TEMP ' || substr(sql, 8) FROM main.sqlite_schema WHERE name = ?", -1,
                               &s, NULL) != SQLITE_OK)
            return -EIO;
        sqlite3_bind_text(s, 1, result_tables[i], -1, SQLITE_STATIC);
        error = sqlite3_step(s) == SQLITE_ROW ? run_sql(db, (const char *)sqlite3_column_text(s, 0)) : -EIO;
        sqlite3_finalize(s);
    }
    return error;
}

static int empty_tables(sqlite3 *db)
{
    char sql[64];
    int error = 0;
    for (size_t i = 0; i < sizeof result_tables / sizeof *result_tables && !error; i++) {
        snprintf(sql, sizeof sql, "DELETE FROM %s", result_tables[i]);
        error = run_sql(db, sql);
    }
    return error;
}

static int fill_tables(sqlite3 *db, const struct processes *processes)
{
    struct graph graph = {0};
    int error = empty_tables(db);
    if (!error)
        error = ledger_fill(db, processes);
    if (!error)
        error = functions_fill(db);
    if (!error)
        error = graph_build(&graph, db, processes);
    if (!error)
        error = write_critical_path(db, &graph);
    if (!error)
        error = write_efficiency(db, &graph);
    if (!error)
        error = write_what_if(db, &graph);
    if (!error)
        error = advice_fill(db, &graph);
    graph_fini(&graph);
    return error;
}

static int analyse(sqlite3 *db, bool in_file)
{
    struct processes processes = {0};
    int error = run_sql(db, in_file ? "BEGIN IMMEDIATE" : "BEGIN");
    if (!error && !in_file)
        error = shadow_tables(db);
    if (!error)
        error = processes_init(&processes, db);
    if (!error)
        error = fill_tables(db, &processes);
    processes_fini(&processes);
    return error ? error : run_sql(db, "COMMIT");
}

/* SQLite could not write to the file: its directory is read-only, another program uses it, the disk is full. */
static bool is_not_writable(sqlite3 *db)
{
    switch (sqlite3_errcode(db)) {
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_BUSY:
    case SQLITE_FULL:
    case SQLITE_IOERR:
        return true;
    default:
        return false;
    }
}

/* As analyse, in one transaction: all results are stored, or none. *not_writable, if it failed: that is the reason. */
static int analyse_in_transaction(sqlite3 *db, bool in_file, bool *not_writable, struct sentence *why)
{
    int error = analyse(db, in_file);
    if (!error)
        return 0;
    *not_writable = error == -EIO && is_not_writable(db);
    output_explain(why, error, "%s", error == -ENOMEM ? "no memory" : sqlite3_errmsg(db));
    if (!sqlite3_get_autocommit(db))
        run_sql(db, "ROLLBACK");
    return error;
}

int analysis_fill(sqlite3 *db, struct sentence *why)
{
    bool not_writable = sqlite3_db_readonly(db, "main");
    int error = 0;
    if (!not_writable)
        error = analyse_in_transaction(db, true, &not_writable, why);
    if (not_writable)
        error = analyse_in_transaction(db, false, &not_writable, why);
    return error;
}
