/* The end of a trace. Invariant: everything here follows from what the tables hold, so that it can be done again,
 * by another collector, on a trace that was finished or half finished. */
#include "finish.h"

#include <inttypes.h>
#include <stdio.h>

/* Ticks to ns, by the segments. */
#define NS(tsc)                                                                                                    \
    "(SELECT c.ns + CAST((" tsc " - c.tsc) * c.ns_per_tick AS INTEGER) FROM clock_segment c "                      \
    "WHERE c.from_tsc <= " tsc " ORDER BY c.from_tsc DESC LIMIT 1)"

/* The death that was told of a process: the first one of its pid after its start. */
#define REAPED(column)                                                                                             \
    "(SELECT r." column " FROM reap r WHERE r.pid = l.pid AND r.tsc >= l.start_tsc ORDER BY r.tsc LIMIT 1)"

static const char lives[] =
    "UPDATE process SET"
    "  start_ns = (SELECT " NS(
        "min(l.start_tsc, coalesce(l.first_tsc, l.start_tsc))") "),"
                                                                "  end_ns = (SELECT " NS(
                                                                    "max(coalesce(l.exit_tsc, " REAPED(
                                                                        "tsc") ", l.seen_tsc, l.start_tsc),"
                                                                               " coalesce(l.last_tsc, 0), "
                                                                               "l.start_tsc)") "),"
                                                                                               "  exit_status = "
                                                                                               "(SELECT "
                                                                                               "coalesce(" REAPED(
                                                                                                   "status") ", "
                                                                                                             "iif("
                                                                                                             "l."
                                                                                                             "exit_"
                                                                                                             "tsc "
                                                                                                             "IS "
                                                                                                             "NULL,"
                                                                                                             " NULL"
                                                                                                             ", "
                                                                                                             "l."
                                                                                                             "exit_"
                                                                                                             "statu"
                                                                                                             "s)))"
                                                                                                             " FROM"
                                                                                                             " log "
                                                                                                             "l "
                                                                                                             "WHERE"
                                                                                                             " l."
                                                                                                             "proce"
                                                                                                             "ss = "
                                                                                                             "proce"
                                                                                                             "ss."
                                                                                                             "id;"
                                                                                                             /* A
                                                                                                                child
                                                                                                                may
                                                                                                                have
                                                                                                                been
                                                                                                                found
                                                                                                                before
                                                                                                                its
                                                                                                                parent
                                                                                                                was.
                                                                                                              */
                                                                                                             "UPDAT"
                                                                                                             "E "
                                                                                                             "proce"
                                                                                                             "ss "
                                                                                                             "SET "
                                                                                                             "paren"
                                                                                                             "t = "
                                                                                                             "(SELE"
                                                                                                             "CT "
                                                                                                             "coale"
                                                                                                             "sce("
                                                                                                             "    "
                                                                                                             "(SELE"
                                                                                                             "CT "
                                                                                                             "q."
                                                                                                             "proce"
                                                                                                             "ss "
                                                                                                             "FROM "
                                                                                                             "log "
                                                                                                             "q "
                                                                                                             "WHERE"
                                                                                                             " q."
                                                                                                             "pid "
                                                                                                             "= "
                                                                                                             "l."
                                                                                                             "paren"
                                                                                                             "t_"
                                                                                                             "pid "
                                                                                                             "AND "
                                                                                                             "q."
                                                                                                             "start"
                                                                                                             "_tsc "
                                                                                                             "<= "
                                                                                                             "l."
                                                                                                             "start"
                                                                                                             "_tsc"
                                                                                                             "     "
                                                                                                             "AND "
                                                                                                             "q."
                                                                                                             "proce"
                                                                                                             "ss "
                                                                                                             "<> "
                                                                                                             "l."
                                                                                                             "proce"
                                                                                                             "ss "
                                                                                                             "ORDER"
                                                                                                             " BY "
                                                                                                             "q."
                                                                                                             "start"
                                                                                                             "_tsc "
                                                                                                             "DESC "
                                                                                                             "LIMIT"
                                                                                                             " 1),"
                                                                                                             "    "
                                                                                                             "(SELE"
                                                                                                             "CT "
                                                                                                             "nulli"
                                                                                                             "f(t."
                                                                                                             "creat"
                                                                                                             "or, "
                                                                                                             "l."
                                                                                                             "proce"
                                                                                                             "ss) "
                                                                                                             "FROM "
                                                                                                             "task "
                                                                                                             "t "
                                                                                                             "WHERE"
                                                                                                             " t."
                                                                                                             "id = "
                                                                                                             "proce"
                                                                                                             "ss."
                                                                                                             "task)"
                                                                                                             ")"
                                                                                                             "  "
                                                                                                             "FROM "
                                                                                                             "log "
                                                                                                             "l "
                                                                                                             "WHERE"
                                                                                                             " l."
                                                                                                             "proce"
                                                                                                             "ss = "
                                                                                                             "proce"
                                                                                                             "ss."
                                                                                                             "id)"
                                                                                                             " WHER"
                                                                                                             "E "
                                                                                                             "paren"
                                                                                                             "t IS "
                                                                                                             "NULL"
                                                                                                             ";";

#define LOST "(l.lost + l.elsewhere + l.bad_kind + l.bad_phase + l.bad_time + l.unreadable)"
/* What the writer began; where its counts are damaged, what is known of them. */
#define EMITTED "iif(l.damaged, l.collected + " LOST ", l.begun)"
#define TORN "iif(l.damaged, 0, l.begun - l.taken - l.lost)"
#define STAT(name, severity, value)                                                                                \
    "INSERT INTO stats SELECT '" name "', l.process, iif(" value ", '" severity "', 'info'), " value " FROM log l"
#define STAT_IF(name, severity, value) STAT(name, severity, value) " WHERE " value ";"

static const char books[] =
    "DELETE FROM stats;" STAT("emitted", "info", EMITTED) ";" STAT("collected", "info", "l.collected") ";" STAT(
        "lost", "loss",
        LOST) ";" STAT("torn", "loss",
                       TORN) ";" STAT("damaged", "error",
                                      "(l.bad_kind + l.bad_phase + l.bad_time + l.unreadable + l.damaged)") ";"
    /* Of what the losses consist, where there are any. */
    STAT_IF("lost_no_room", "loss", "l.lost") STAT_IF("lost_elsewhere", "loss", "l.elsewhere")
        STAT_IF("damaged_kind", "error", "l.bad_kind") STAT_IF("damaged_phase", "error", "l.bad_phase")
            STAT_IF("damaged_time", "error", "l.bad_time") STAT_IF("damaged_unreadable", "error", "l.unreadable")
                STAT_IF("damaged_log", "error", "l.damaged") STAT_IF("clock_backwards", "error", "l.backwards")
    /* Behind a gap, ends without begin are to be expected. */
    "INSERT INTO stats SELECT 'unmatched_spans', l.process, iif(l.gaps OR l.elsewhere OR l.damaged, 'loss', "
    "'error'),"
    " l.unmatched FROM log l WHERE l.unmatched;"
    "INSERT INTO stats SELECT 'books', NULL, iif(count(*), 'error', 'info'), iif(count(*), 'violated', 'closed')"
    " FROM log l WHERE " EMITTED " <> l.collected + " LOST " + " TORN " OR " TORN " NOT IN (0, 1);";

static int64_t number(struct store *store, const char *sql)
{
    sqlite3_stmt *s = NULL;
    int64_t value = 0;
    if (sqlite3_prepare_v2(store_connection(store), sql, -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW)
        value = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return value;
}

static void count(struct store *store, const char *name, int64_t value, const char *severity)
{
    store_stat(store, name, 0, value ? severity : "info", value);
}

int finish_database(struct store *store, const struct finish_facts *facts)
{
    int error = store_commit(store);
    if (error)
        return error;
    store_begin(store);
    store_run(store, lives);
    store_run(store, books);
    /* trace.stop() is called by a process that runs on; a program that has ended should have left none. */
    count(store, "processes_running", number(store, "SELECT count(*) FROM log WHERE running"),
          facts->stopped ? "info" : "loss");
    count(store, "lost_logs", facts->lost_logs, "loss");
    count(store, "refused_logs", facts->refused_logs, "error");
    count(store, "unmade_logs", facts->unmade_logs, "info");
    count(store, "clock_not_invariant", !clock_is_invariant(), "loss");
    store_stat(store, "clock_error_ns", 0, "info", facts->clock->worst_error_ns);
    store_run(store, "CREATE INDEX IF NOT EXISTS event_message ON event(object, a) WHERE kind = 15 AND phase = 2");
    store_meta_number(store, "duration_ns", facts->clock->open.ns);
    store_meta_number(store, "tsc_hz", (int64_t)(clock_hz(facts->clock) + 0.5));
    store_meta_text(store, "state", facts->state);
    return store_commit(store);
}
