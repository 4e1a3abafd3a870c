/* See prediction_table.h. */
#include "predict/prediction_table.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>

#include "store/inserts.h"

static int run_sql(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
}

int prediction_table_make(sqlite3 *db, const struct predict *predict)
{
    struct inserts inserts;
    if (run_sql(db, "CREATE TEMP TABLE prediction(cpus INTEGER, seconds REAL, low REAL, high REAL, speedup REAL, "
                    "efficiency REAL, \"limit\" TEXT, enough INTEGER, measured REAL)"))
        return -EIO;
    inserts_open(&inserts, db, "INSERT INTO temp.prediction VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)");
    for (int i = 0; i < predict->count; i++) {
        const struct prediction *p = &predict->predictions[i];
        inserts_row(&inserts, "irrrrrsir", (int64_t)p->cpus, p->seconds, p->low, p->high, p->speedup,
                    p->speedup / p->cpus, p->limit.text, (int64_t)(p->cpus >= predict->enough),
                    p->cpus == predict->measured_cpus ? predict->measured_s : NAN);
    }
    return inserts_close(&inserts);
}

int prediction_table_store(sqlite3 *db, struct sentence *why)
{
    int error = run_sql(db, "BEGIN IMMEDIATE");
    if (!error)
        error = run_sql(db, "DELETE FROM main.prediction");
    if (!error)
        error = run_sql(db, "INSERT INTO main.prediction SELECT * FROM temp.prediction");
    if (!error)
        error = run_sql(db, "COMMIT");
    if (error)
        output_explain(why, error, "%s", sqlite3_errmsg(db));
    if (!sqlite3_get_autocommit(db))
        run_sql(db, "ROLLBACK");
    return error;
}
