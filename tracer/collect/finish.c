/* See finish.h: runs finish.sql, and adds what only the collector knows. */
#include "collect/finish.h"

#include <inttypes.h>
#include <stdio.h>

#include "analyze/functions.h"
#include "analyze/ledger.h"
#include "analyze/processes.h"
#include "base/output.h"
#include "collect/event_cost.h"
#include "store/rows.h"

static const char finish_sql[] =
#include "collect/finish.inc"
    ;

/* A row of `stats` for the session; the severity is info where there is nothing to count. */
static void put_stat(struct store *store, const char *name, int64_t value, const char *severity)
{
    store_stat(store, name, 0, value ? severity : "info", value);
}

/* Logs of which nothing is stored: processes could not make them, they could not be opened, or they were gone before
 * they were found. */
static int64_t lost_logs(struct store *store, const struct finish_facts *facts)
{
    int64_t found = rows_number(store_connection(store), "SELECT count(*) FROM log") + facts->refused_logs;
    int64_t removed = facts->made_logs - found - facts->unopened_logs;
    if (removed > 0 && facts->in_another_file)
        output_note(
            "what the collector that died had stored is not in this file; logs that were stored there: %" PRId64,
            removed);
    else if (removed > 0)
        output_note("somebody else has removed logs before they were found, and their events are lost: %" PRId64,
                    removed);
    return session_lost_logs(facts->session) + facts->unopened_logs + (removed > 0 ? removed : 0);
}

static void fill_tables(struct store *store)
{
    sqlite3 *db = store_connection(store);
    struct processes processes;
    int error = processes_init(&processes, db);
    if (!error)
        error = ledger_fill(db, &processes);
    if (!error)
        error = functions_fill(db);
    processes_fini(&processes);
    if (error)
        store_fail(store, error);
}

int finish_database(struct store *store, const struct finish_facts *facts)
{
    int error = store_commit(store);
    if (error)
        return error;
    store_begin(store);
    store_run(store, finish_sql);
    /* trace.stop() is called by a process that goes on running. A program that has ended should have left none. */
    put_stat(store, "processes_running",
             rows_number(store_connection(store), "SELECT count(*) FROM (SELECT process FROM log WHERE running "
                                                  "UNION SELECT process FROM kernel_life WHERE running)"),
             facts->stopped ? "info" : "loss");
    put_stat(store, "lost_logs", lost_logs(store, facts), "loss");
    put_stat(store, "session_removed", facts->session->removals, "loss");
    put_stat(store, "session_damaged", facts->session->is_damaged, "error");
    put_stat(store, "refused_logs", facts->refused_logs, "error");
    put_stat(store, "unmade_logs", facts->unmade_logs, "info");
    put_stat(store, "clock_not_invariant", !clock_is_invariant(), "loss");
    store_stat(store, "clock_error_ns", 0, "info", facts->clock->worst_error_ns);
    store_meta_number(store, "event_cost_ps", (int64_t)(event_cost_measure(facts->clock->open.ns_per_tick) * 1000));
    if (facts->idle_share >= 0)
        store_meta_number(store, "cpu_idle_percent", (int64_t)(facts->idle_share * 100 + 0.5));
    fill_tables(store);
    store_meta_number(store, "duration_ns", facts->clock->open.ns);
    store_meta_number(store, "tsc_hz", (int64_t)(clock_hz(facts->clock) + 0.5));
    store_meta_text(store, "state", facts->state);
    return store_commit(store);
}
