/* See rows.h. */
#include "store/rows.h"

#include <errno.h>
#include <stddef.h>

void rows_open(struct rows *rows, sqlite3 *db, const char *sql)
{
    *rows = (struct rows){0};
    if (sqlite3_prepare_v2(db, sql, -1, &rows->s, NULL) != SQLITE_OK)
        rows->error = -EIO;
}

bool rows_next(struct rows *rows)
{
    if (rows->error)
        return false;
    int rc = sqlite3_step(rows->s);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        rows->error = -EIO;
    return rc == SQLITE_ROW;
}

int64_t rows_integer(const struct rows *rows, int column)
{
    return sqlite3_column_int64(rows->s, column);
}

int rows_close(struct rows *rows)
{
    sqlite3_finalize(rows->s);
    rows->s = NULL;
    return rows->error;
}

void rows_fail(struct rows *rows)
{
    rows->error = -ENOMEM;
}

int64_t rows_number(sqlite3 *db, const char *sql)
{
    struct rows rows;
    rows_open(&rows, db, sql);
    int64_t number = rows_next(&rows) ? rows_integer(&rows, 0) : 0;
    rows_close(&rows);
    return number;
}
