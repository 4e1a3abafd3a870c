/* A bench database is read only: opened so, with its schema not trusted. */
#include "predict/ceiling.h"

#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>

#include "store/rows.h"

#define BENCH_ID 0x534e4b42 /* as in bench/run/schema.sql */

/* workers | program | the time of an operation of the ceiling, which does as many as there are workers, against the
 * sequential program's */
static const char query[] =
    "WITH last AS (SELECT max(c.session) AS session FROM estimate c WHERE c.runtime = 'ceiling') "
    "SELECT c.workers, c.workers * c.median_ns / s.median_ns FROM estimate c JOIN last l ON l.session = c.session "
    "JOIN estimate s ON s.session = c.session AND s.workload = c.workload AND s.size = c.size "
    "AND s.runtime = 'sequential' "
    "WHERE c.runtime = 'ceiling' AND c.workers > 1 AND s.median_ns > 0 AND c.median_ns > 0 "
    "AND c.workers <= coalesce((SELECT CAST(value AS INTEGER) FROM machine m WHERE m.session = c.session "
    "AND m.key = 'effective_cpus'), c.workers) ORDER BY c.workers";

/* From the last known number of workers up to this one. */
static void fill(double *slowdowns, int most, int known, int workers, double slowdown)
{
    double from = slowdowns[known];
    for (int n = known + 1; n <= workers && n <= most; n++)
        slowdowns[n] = from + (slowdown - from) * (n - known) / (workers - known);
}

static int read_slowdowns(double *slowdowns, int most, sqlite3 *db)
{
    struct rows rows;
    int known = 1, workers = 0, programs = 0;
    double logs = 0;
    rows_open(&rows, db, query);
    for (bool more = true; more;) {
        more = rows_next(&rows);
        int64_t next = more ? rows_integer(&rows, 0) : 0;
        if (workers && next != workers) {
            fill(slowdowns, most, known, workers, fmax(1, exp(logs / programs)));
            known = workers < most ? workers : most;
            logs = programs = 0;
        }
        if (!more || next > most)
            break;
        workers = (int)next;
        logs += log(sqlite3_column_double(rows.s, 1));
        programs++;
    }
    fill(slowdowns, most, known, most, slowdowns[known]);
    int error = rows_close(&rows);
    return error ? error : known == 1 ? -ENOENT : 0;
}

int ceiling_read(double *slowdowns, int most, const char *path, struct sentence *why)
{
    sqlite3 *db = NULL;
    char name[4096];
    slowdowns[1] = 1;
    int error = snprintf(name, sizeof name, "%s%s", path[0] == '/' ? "" : "./", path) < (int)sizeof name ? 0 : -1;
    if (!error && sqlite3_open_v2(name, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        error = -1;
    if (!error) {
        sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        error = rows_number(db, "PRAGMA application_id") == BENCH_ID ? read_slowdowns(slowdowns, most, db) : -ENOENT;
    }
    if (error == -ENOENT)
        output_explain(why, -1, "%s has no session of the bench with a ceiling of two or more workers", path);
    else if (error)
        output_explain(why, -1, "cannot read %s: %s", path, db ? sqlite3_errmsg(db) : "name too long");
    sqlite3_close(db);
    return error ? -1 : 0;
}
