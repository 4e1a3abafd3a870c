/* See against.h. The other trace has a connection of its own, because none of its tables is to be trusted more than
 * those of the first; only names and numbers come over. */
#include "commands/against.h"

#include <errno.h>
#include <stdio.h>

#include "analyze/analysis.h"
#include "base/json.h"
#include "base/table.h"
#include "store/database.h"
#include "store/rows.h"

/* What is compared of a trace: the efficiencies, the ledger, how many processes it has, and what its tasks needed for
 * how many arguments. Its own numbers are bounded, because a log may hold anything. */
#define FIGURES                                                                                                        \
    "SELECT 'efficiency' AS kind, name, value FROM efficiency UNION ALL "                                              \
    "SELECT 'ledger', category, total(ns) FROM ledger GROUP BY category UNION ALL "                                    \
    "SELECT 'processes', '', count(*) FROM process UNION ALL "                                                         \
    "SELECT 'tasks', 'arguments', total(max(min(b, 1e15), 0)) FROM event WHERE phase = 2 AND kind = "                  \
    "(SELECT id FROM event_kind WHERE name = 'chunk') UNION ALL "                                                      \
    "SELECT 'tasks', 'tasks', count(*) FROM task WHERE kind IN ('thread', 'generator', 'process') UNION ALL "          \
    "SELECT 'tasks', 'cpu_ns', total(ns) FROM (SELECT max(min(max(a), 1e15), 0) AS ns FROM event WHERE kind = "        \
    "(SELECT id FROM event_kind WHERE name = 'usage') AND process IN (SELECT id FROM process WHERE task IS NOT NULL) " \
    "GROUP BY process)"

static const char figures[] = FIGURES;
static const char tables[] = "CREATE TEMP TABLE against(kind TEXT, name TEXT, value REAL, PRIMARY KEY(kind, name));"
                             "CREATE TEMP VIEW here AS " FIGURES ";"
                             /* what differs, in the order in which it is shown */
                             "CREATE TEMP VIEW difference AS SELECT c.id, c.name AS category, h.value AS ns, "
                             "coalesce(o.value, 0) AS against_ns, h.value - coalesce(o.value, 0) AS more_ns "
                             "FROM category c JOIN here h ON h.kind = 'ledger' AND h.name = c.name "
                             "LEFT JOIN against o ON o.kind = 'ledger' AND o.name = c.name "
                             "WHERE h.value > 0 OR o.value > 0;"
#include "commands/against.inc"
    ;

/* The rows of `query` in the other trace, by `insert` into a table of this one. */
static int copy_rows(sqlite3 *to, const char *insert, sqlite3 *from, const char *query)
{
    struct rows rows;
    sqlite3_stmt *s = NULL;
    rows_open(&rows, from, query);
    if (sqlite3_prepare_v2(to, insert, -1, &s, NULL) != SQLITE_OK)
        rows.error = -EIO;
    while (rows_next(&rows)) {
        for (int i = 0; i < sqlite3_column_count(rows.s); i++)
            sqlite3_bind_value(s, i + 1, sqlite3_column_value(rows.s, i));
        if (sqlite3_step(s) != SQLITE_DONE)
            rows_fail(&rows);
        sqlite3_reset(s);
    }
    sqlite3_finalize(s);
    return rows_close(&rows);
}

static int copy_figures(sqlite3 *to, sqlite3 *from)
{
    int error = copy_rows(to, "INSERT OR REPLACE INTO against VALUES(?, ?, ?)", from, figures);
    return error ? error
                 : copy_rows(to, "INSERT OR REPLACE INTO against_function VALUES(?, ?, ?, ?, ?, ?, ?)", from,
                             "SELECT function, file, line, total(self_ns), total(total_ns), total(samples), "
                             "max(self_ns) FROM task_function_time GROUP BY function, file");
}

int against_load(sqlite3 *db, const char *path, struct sentence *why)
{
    sqlite3 *other;
    struct sentence reason = {""};
    int error = database_open(&other, path, why);
    if (error)
        return error;
    error = analysis_fill(other, &reason);
    if (error)
        output_explain(why, error, "cannot analyse %s: %s", path, reason.text);
    else if (sqlite3_exec(db, tables, NULL, NULL, NULL) != SQLITE_OK || copy_figures(db, other))
        error = output_explain(why, -EIO, "cannot compare with %s: %s", path, sqlite3_errmsg(db));
    sqlite3_close(other);
    return error;
}

/* How much faster, and the category in which most of the difference is. */
static const char sentence[] =
    "WITH run AS (SELECT h.value AS ns, o.value AS against_ns FROM here h JOIN against o ON o.kind = h.kind AND o.name "
    "= "
    "h.name WHERE h.kind = 'efficiency' AND h.name = 'duration_ns'), most AS (SELECT * FROM difference WHERE (more_ns "
    "> 0) "
    "= (SELECT ns > against_ns FROM run) ORDER BY abs(more_ns) DESC LIMIT 1) "
    "SELECT printf('%.3f s against %.3f s: %.2fx as fast%s', ns / 1e9, against_ns / 1e9, against_ns / nullif(ns, 0), "
    "coalesce((SELECT printf('; most of the difference is %s: %.3f s against %.3f s, of all processes', category, "
    "most.ns / 1e9, most.against_ns / 1e9) FROM most WHERE abs(more_ns) > 0), '')) FROM run";

/* The disease that only two runs show: with more workers the same arguments need more CPU time. Less than 50 ms tell
 * nothing, and other programs make a difference of some ten per cent. Nobody knows how much a cure gains. */
static const char shared[] =
    "WITH run AS (SELECT arguments.value AS arguments, o.value AS other_arguments,"
    " max(at.value, of.value) AS many, min(at.value, of.value) AS few,"
    " at.value > of.value AS here_is_many, iif(at.value > of.value, cpu.value, ou.value) AS many_ns,"
    " iif(at.value > of.value, ou.value, cpu.value) AS few_ns"
    " FROM here arguments JOIN against o USING(kind, name),"
    " here cpu JOIN against ou ON ou.kind = cpu.kind AND ou.name = cpu.name,"
    " here at JOIN against of ON of.kind = at.kind AND of.name = at.name"
    " WHERE arguments.kind = 'tasks' AND arguments.name = 'arguments'"
    " AND cpu.kind = 'tasks' AND cpu.name = 'cpu_ns'"
    " AND at.kind = 'efficiency' AND at.name = 'at_once') "
    "SELECT 'shared memory' AS disease, printf('the same %d arguments need %.1f times as much"
    " CPU time with %d at once as with %d%s: the workers share the memory''s bandwidth, caches or"
    " cores, or spin for each other: go through memory in smaller blocks, or smaller types;"
    " more workers gain little', arguments, many_ns / few_ns, many, few,"
    " coalesce((SELECT ', most of the difference in ' || name FROM function_difference WHERE differs AND"
    " iif(here_is_many, more_ns, -more_ns) > 0 ORDER BY abs(more_ns) DESC LIMIT 1), '')) AS sentence, NULL AS gain"
    " FROM run WHERE arguments > 0 AND arguments = other_arguments AND many > few"
    " AND few_ns > 5e7 AND many_ns > 1.3 * few_ns";

static const char shown_figures[] =
    "SELECT replace(replace(h.name, '_ns', ''), '_', ' ') AS figure, iif(h.name GLOB '*_ns', printf('%.6f s', h.value "
    "/ "
    "1e9), "
    "iif(h.name IN ('lanes', 'at_once'), printf('%d', h.value), printf('%.1f %%', h.value * 100))) AS this, "
    "iif(h.name GLOB '*_ns', printf('%.6f s', o.value / 1e9), iif(h.name IN ('lanes', 'at_once'), printf('%d', "
    "o.value), "
    "printf('%.1f %%', o.value * 100))) AS against FROM here h JOIN against o USING(kind, name) WHERE kind = "
    "'efficiency' "
    "AND h.name <> 'largest_ns'";

static const char json_figures[] =
    "SELECT kind, name, h.value AS value, o.value AS against FROM here h LEFT JOIN against o USING(kind, name)";

static const char json_functions[] =
    "SELECT per, function, file, line, ns, against_ns, more_ns, total_ns, against_total_ns, samples, against_samples, "
    "differs FROM function_difference ORDER BY abs(more_ns) DESC, name";

static const char shown_ledger[] =
    "SELECT category, printf('%.6f', ns / 1e9) AS \"s\", printf('%.6f', against_ns / 1e9) AS "
    "\"against s\", printf('%+.6f', more_ns / 1e9) AS \"more s\" FROM difference ORDER BY id";

/* That column of each row. */
static int print_sentences(sqlite3 *db, const char *sql, int column)
{
    struct rows rows;
    rows_open(&rows, db, sql);
    while (rows_next(&rows))
        output_sentence((const char *)sqlite3_column_text(rows.s, column));
    return rows_close(&rows);
}

static int print_functions(sqlite3 *db)
{
    char title[80];
    struct rows rows;
    rows_open(&rows, db, "SELECT rtrim(name, 's') FROM unit");
    bool has_unit = rows_next(&rows);
    snprintf(title, sizeof title, "functions, their own CPU time per %s",
             has_unit ? (const char *)sqlite3_column_text(rows.s, 0) : "run");
    int error = rows_close(&rows);
    if (!error && table_print(db, title, "SELECT * FROM shown_function_difference", 10) < 0)
        error = -EIO;
    return error;
}

int against_print(sqlite3 *db, bool json)
{
    if (json) {
        output_print("\"advice\": ");
        int error = json_rows(stdout, db, shared);
        output_print(",\n\"against\": ");
        if (!error)
            error = json_rows(stdout, db, json_figures);
        output_print(",\n\"functions\": ");
        return error ? error : json_rows(stdout, db, json_functions);
    }
    int error = print_sentences(db, shared, 1);
    if (!error)
        error = print_sentences(db, sentence, 0);
    if (!error)
        error = print_sentences(db, "SELECT sentence FROM function_sentence", 0);
    if (!error && table_print(db, "efficiency", shown_figures, 60) < 0)
        error = -EIO;
    if (!error && table_print(db, "ledger, all processes", shown_ledger, 60) < 0)
        error = -EIO;
    return error ? error : print_functions(db);
}
