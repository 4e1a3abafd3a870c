/* snakefish-trace analyze: fills the analysis's tables and prints them. */
#include <errno.h>
#include <stdio.h>

#include "analyze/analysis.h"
#include "base/json.h"
#include "base/output.h"
#include "base/table.h"
#include "commands/against.h"
#include "commands/commands.h"
#include "store/database.h"
#include "store/rows.h"

static const char usage[] =
    "usage: snakefish-trace analyze [--json] [--against OTHER] FILE\n"
    "\n"
    "Says in at most three sentences what to change, and shows where the time of a run went:\n"
    "\n"
    "  efficiency     the POP tree: parallel efficiency = load balance x serialisation x transfer\n"
    "  what if        how much faster it would be if forks, merges, transfers, ... cost nothing\n"
    "  critical path  what the end of the run had to wait for, from its beginning on\n"
    "  ledger         the time of every process, by what it was spent on\n"
    "  functions      of samples of Python's stacks (record --sample): where the CPU time of each kind of task went\n"
    "  merges         what sharing each variable has cost: bytes, times, conflicts\n"
    "  channels       throughput, depth, latency\n"
    "\n"
    "The results are also stored in the trace, if it can be written: tables advice, ledger, critical_path,\n"
    "path_activity, efficiency, what_if and frame_time. functions, channels, merges and messages are views.\n"
    "tracer/store/schema.sql defines them all.\n"
    "\n"
    "  --against OTHER  compare with another run: print how many times as fast FILE is, and what differs; and whether\n"
    "                   the same arguments needed more CPU time with more workers\n"
    "  --json           print one JSON object instead, with times in ns\n"
    "\n"
    "exit status  0; 1 FILE is no trace of this version; 2 wrong usage\n"
    "example      snakefish-trace analyze run.db\n";

static const char views[] =
#include "analyze/analyze.inc"
    ;

enum { ROWS_MAX = 60 };

/* A query for one row per process, with one column for each category that occurs. The caller frees it by
 * sqlite3_free. NULL: no memory, or an error of the database. */
static char *process_query(sqlite3 *db)
{
    sqlite3_str *sql = sqlite3_str_new(db);
    sqlite3_stmt *s = NULL;
    sqlite3_str_appendall(sql, "SELECT process, name, \"life s\"");
    if (sqlite3_prepare_v2(db,
                           "SELECT c.name FROM category c JOIN ledger l ON l.category = c.name GROUP BY c.id "
                           "HAVING total(l.ns) > 0 ORDER BY c.id",
                           -1, &s, NULL) == SQLITE_OK)
        while (sqlite3_step(s) == SQLITE_ROW) {
            const char *name = (const char *)sqlite3_column_text(s, 0);
            sqlite3_str_appendf(sql, ", printf('%%5.1f', sum(iif(category = %Q, percent, 0))) AS \"%w\"", name, name);
        }
    sqlite3_finalize(s);
    sqlite3_str_appendall(sql, " FROM shown_process GROUP BY process ORDER BY process");
    return sqlite3_str_finish(sql);
}

/* Each row is a sentence. `before` is printed before the first one. */
static int print_sentences(sqlite3 *db, const char *sql, const char *before)
{
    struct rows rows;
    rows_open(&rows, db, sql);
    for (; rows_next(&rows); before = "") {
        const char *text = (const char *)sqlite3_column_text(rows.s, 0);
        output_print("%s", before);
        output_sentence(text ? text : "");
    }
    return rows_close(&rows);
}

static int print_text(sqlite3 *db)
{
    static const char *const tables[][2] = {{"efficiency", "SELECT * FROM shown_efficiency"},
                                            {"what if", "SELECT * FROM shown_what_if"},
                                            {"critical path", "SELECT * FROM shown_path"},
                                            {"ledger, all processes", "SELECT * FROM shown_ledger"}};
    int error = print_sentences(db, "SELECT sentence FROM advice ORDER BY rank", "");
    if (!error)
        error = print_sentences(db, "SELECT note FROM shown_note", "\n");
    for (size_t i = 0; i < sizeof tables / sizeof *tables && !error; i++) {
        int rows = table_print(db, tables[i][0], tables[i][1], ROWS_MAX);
        error = rows < 0 ? rows : 0;
    }
    char *query = error ? NULL : process_query(db);
    if (!error)
        error = query && table_print(db, "ledger, per cent of each process's life", query, ROWS_MAX) >= 0 ? 0 : -EIO;
    sqlite3_free(query);
    if (!error)
        error = table_print(db, "threads beside the first", "SELECT * FROM shown_thread", ROWS_MAX) >= 0 ? 0 : -EIO;
    if (!error)
        error = table_print(db, "functions by CPU time", "SELECT * FROM shown_function", ROWS_MAX) >= 0 ? 0 : -EIO;
    if (!error)
        error = table_print(db, "merges by variable", "SELECT * FROM shown_merge", ROWS_MAX) >= 0 ? 0 : -EIO;
    if (!error)
        error = table_print(db, "channels", "SELECT * FROM shown_channel", ROWS_MAX) >= 0 ? 0 : -EIO;
    return error;
}

static int print_json(sqlite3 *db)
{
    static const char *const arrays[][2] = {
        {"advice", "SELECT disease, sentence, gain FROM advice ORDER BY rank"},
        {"notes", "SELECT note FROM shown_note"},
        {"efficiency", "SELECT name, value, doc FROM efficiency"},
        {"what_if", "SELECT * FROM what_if"},
        {"critical_path", "SELECT * FROM path_activity ORDER BY ns DESC, activity"},
        {"processes", "SELECT id, pid, parent, name, start_ns, end_ns, exit_status FROM process ORDER BY id"},
        {"ledger", "SELECT l.process, l.category, l.ns FROM ledger l JOIN category c ON c.name = l.category "
                   "ORDER BY l.process, c.id"},
        {"threads", "SELECT * FROM other_thread ORDER BY process, tid"},
        {"functions", "SELECT task, function, file, line, self_ns, total_ns, samples, self_share, total_share "
                      "FROM first_function WHERE place <= 100 ORDER BY task_ns DESC, task, place"},
        {"merges", "SELECT * FROM merge_cost ORDER BY variable IS NULL, variable"},
        {"channels", "SELECT * FROM channel_use ORDER BY channel"}};
    int error = 0;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays && !error; i++) {
        output_print("%s\n\"%s\": ", i ? "," : "{", arrays[i][0]);
        error = json_rows(stdout, db, arrays[i][1]);
    }
    output_print("\n}\n");
    return error;
}

static int print_against(sqlite3 *db, bool json)
{
    if (json)
        output_print("{\n");
    int error = against_print(db, json);
    if (json)
        output_print("\n}\n");
    return error;
}

static int analyze(const char *path, const char *against, bool json, struct sentence *why)
{
    sqlite3 *db;
    int error = database_open(&db, path, why);
    if (error)
        return error;
    struct sentence reason;
    error = analysis_fill(db, &reason);
    if (!error && against) {
        error = against_load(db, against, why);
        if (!error && print_against(db, json))
            error = output_explain(why, -EIO, "cannot compare %s: %s", path, sqlite3_errmsg(db));
        sqlite3_close(db);
        return error;
    }
    if (!error && (sqlite3_exec(db, views, NULL, NULL, NULL) != SQLITE_OK || (json ? print_json(db) : print_text(db))))
        error = output_explain(&reason, -EIO, "%s", sqlite3_errmsg(db));
    if (error)
        output_explain(why, error, "cannot analyse %s: %s", path, reason.text);
    sqlite3_close(db);
    return error;
}

int cmd_analyze(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"against", required_argument, NULL, 'a'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct command_line line = command_line(argc, argv, "+:h", options, usage);
    const char *path = NULL, *against = NULL;
    struct sentence why;
    bool json = false;
    for (int next; (next = command_next(&line)) != COMMAND_END;) {
        if (next == 'j')
            json = true;
        else if (next == 'a')
            against = optarg;
        else if (path)
            return command_usage(usage, "analyze takes one trace, and %s is one too many", optarg);
        else
            path = optarg;
    }
    if (line.status != COMMAND_GO_ON)
        return line.status;
    if (!path)
        return command_usage(usage, "analyze needs a trace");
    if (analyze(path, against, json, &why)) {
        output_note("%s", why.text);
        return COMMAND_FAILED;
    }
    return COMMAND_OK;
}
