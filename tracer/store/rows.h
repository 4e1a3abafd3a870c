/* Reads a query's rows. The first error is kept: after it there is no next row, and rows_close returns it. */
#ifndef SF_TRACER_STORE_ROWS_H
#define SF_TRACER_STORE_ROWS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct rows {
    sqlite3_stmt *s;
    int error;
};

void rows_open(struct rows *rows, sqlite3 *db, const char *sql);
bool rows_next(struct rows *rows);
void rows_fail(struct rows *rows);                         /* the caller is out of memory: reading ends with -ENOMEM */
int64_t rows_integer(const struct rows *rows, int column); /* NULL is 0 */
int rows_close(struct rows *rows);                         /* the error; -EIO: the connection has the reason */

/* The first column of a query's first row; 0: there is none, or an error. */
int64_t rows_number(sqlite3 *db, const char *sql);

#endif
