/* A query's rows as a table for people. */
#ifndef SF_TRACER_BASE_TABLE_H
#define SF_TRACER_BASE_TABLE_H

#include <sqlite3.h>

/* Prints title, column names and rows to standard output, numbers to the right, at most `rows_max` rows and how
 * many more there are; nothing at all when there is no row. Returns the number of rows, or -EIO (the database's
 * error). */
int table_print(sqlite3 *db, const char *title, const char *sql, int rows_max);

#endif
