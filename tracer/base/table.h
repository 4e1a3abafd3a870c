/* Prints a query's rows as a table. */
#ifndef SF_TRACER_BASE_TABLE_H
#define SF_TRACER_BASE_TABLE_H

#include <sqlite3.h>

/* Prints title, column names and rows to standard output, with numbers aligned to the right. Prints at most `rows_max`
 * rows, then how many more there are, and nothing if there is no row. Where the first column has no name, no names are
 * printed. Returns the number of rows, or -EIO (the database's error). */
int table_print(sqlite3 *db, const char *title, const char *sql, int rows_max);

#endif
