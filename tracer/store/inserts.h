/* Inserts many rows by one statement. The first error is kept: after it no row is inserted, and inserts_close returns
 * it. Only the disk can block. */
#ifndef SF_TRACER_STORE_INSERTS_H
#define SF_TRACER_STORE_INSERTS_H

#include <sqlite3.h>
#include <stdarg.h>

struct inserts {
    sqlite3_stmt *s;
    int error;
};

/* Binds the arguments to the statement's parameters, in their order. `types` has a letter for each argument: i an
 * int64_t; o an int64_t, of which 0 is bound as NULL; r a double, bound as NULL if it is not finite; s a string, which
 * must live until the statement has run, or NULL. */
void inserts_bind(sqlite3_stmt *s, const char *types, va_list args);

void inserts_open(struct inserts *inserts, sqlite3 *db, const char *sql);
void inserts_row(struct inserts *inserts, const char *types, ...); /* `types` and arguments: see inserts_bind */
int inserts_close(struct inserts *inserts);                        /* the error; -EIO: the connection has the reason */

#endif
