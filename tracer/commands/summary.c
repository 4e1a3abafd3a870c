/* See summary.h. The line is about the database, so it is read from there, as any other reader would. */
#include "commands/summary.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "abi/log_format.h"
#include "analyze/analysis.h"
#include "base/output.h"
#include "store/database.h"
#include "store/rows.h"

const char summary_no_events[] =
    "no events: no process of the program wrote more than its CPU time. A program in Python writes events if it uses "
    "snakefish (`import snakefish`). `record --instrument all`, or SNAKEFISH_TRACE_INSTRUMENT=all with "
    "`python3 -m snakefish PROGRAM`, also records one that uses multiprocessing, unless its Python ignores the "
    "environment (-I, -E) or its site (-S)";

bool summary_says_nothing(sqlite3 *db)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT 1 FROM event WHERE kind NOT IN (%d, %d) LIMIT 1", SF_EVENT_THREAD,
             SF_EVENT_USAGE);
    return !rows_number(db, sql);
}

/* A file's name as a shell reads it. Cut if it is very long. */
static void quote(char *to, size_t size, const char *path)
{
    bool plain = path[0] != '-';
    for (const char *at = path; *at; at++)
        plain = plain && (isalnum((unsigned char)*at) || strchr("/._-+=:,@%", *at));
    if (plain && path[0]) {
        snprintf(to, size, "%s", path);
        return;
    }
    size_t n = (size_t)snprintf(to, size, "'%s", path[0] == '-' ? "./" : "");
    for (const char *at = path; *at && n + 6 < size; at++)
        n += (size_t)snprintf(to + n, size - n, *at == '\'' ? "'\\''" : "%c", *at);
    snprintf(to + n, size - n, "'");
}

static int64_t ask(sqlite3 *db, const char *what)
{
    char sql[256];
    snprintf(sql, sizeof sql, "SELECT %s", what);
    return rows_number(db, sql);
}

/* A trace with more events is not analyzed here: nobody wants to wait for that when the program has ended. */
#define EVENTS_MAX 300000

/* The first sentence of the advice, with a semicolon in front; empty: there is none. */
static void put_advice(char *to, size_t size, sqlite3 *db)
{
    struct rows rows;
    to[0] = '\0';
    if (analysis_fill(db, NULL))
        return;
    rows_open(&rows, db, "SELECT sentence FROM advice WHERE sentence IS NOT NULL ORDER BY rank LIMIT 1");
    if (rows_next(&rows))
        snprintf(to, size, "; %s", (const char *)sqlite3_column_text(rows.s, 0));
    rows_close(&rows);
}

/* What all processes together waited for most, with a comma in front; empty: no millisecond was. */
static void put_longest_wait(char *to, size_t size, sqlite3 *db)
{
    struct rows rows;
    to[0] = '\0';
    rows_open(&rows, db,
              "SELECT l.category, total(l.ns) FROM ledger l WHERE l.category IN "
              "('late sender', 'late receiver', 'late child', 'lock', 'waiting for work', 'page faults', 'no cpu') "
              "GROUP BY l.category HAVING total(l.ns) >= 1000000 ORDER BY total(l.ns) DESC LIMIT 1");
    if (rows_next(&rows))
        snprintf(to, size, ", most time lost to: %s (%.3f s)", (const char *)sqlite3_column_text(rows.s, 0),
                 (double)rows_integer(&rows, 1) / 1e9);
    rows_close(&rows);
}

/* The kinds of losses with their counts. Returns how many kinds there are. */
static int put_losses(char *to, size_t size, sqlite3 *db)
{
    struct rows rows;
    size_t n = 0;
    int kinds = 0;
    rows_open(&rows, db,
              "SELECT name, CASE WHEN sum(typeof(value) <> 'integer') THEN max(value) ELSE sum(value) END FROM stats "
              "WHERE severity <> 'info' GROUP BY name ORDER BY min(rowid)");
    while (rows_next(&rows) && n < size)
        n += (size_t)snprintf(to + n, size - n, "%s%s %s",
                              kinds++ ? ", " : "lost: ", (const char *)sqlite3_column_text(rows.s, 0),
                              (const char *)sqlite3_column_text(rows.s, 1));
    rows_close(&rows);
    if (!kinds)
        snprintf(to, size, "no losses");
    return kinds;
}

static const char *plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

void summary_note(const char *path)
{
    char name[512], said[512], losses[256];
    struct sentence why;
    sqlite3 *db;
    if (database_open(&db, path, &why)) {
        output_note("%s", why.text);
        return;
    }
    quote(name, sizeof name, path);
    int64_t processes = ask(db, "count(*) FROM process"), events = ask(db, "count(*) FROM event");
    if (events <= EVENTS_MAX)
        put_advice(said, sizeof said, db);
    else
        put_longest_wait(said, sizeof said, db);
    int kinds = put_losses(losses, sizeof losses, db);
    if (!kinds && summary_says_nothing(db))
        output_note("%s", summary_no_events);
    else
        output_note("%" PRId64 " process%s, %" PRId64 " event%s, %s%s; next: snakefish-trace %s %s", processes,
                    processes == 1 ? "" : "es", events, plural(events), losses, said, kinds ? "info" : "analyze", name);
    sqlite3_close(db);
}
