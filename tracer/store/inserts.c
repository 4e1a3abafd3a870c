/* See inserts.h. */
#include "store/inserts.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

void inserts_bind(sqlite3_stmt *s, const char *types, va_list args)
{
    assert((int)strlen(types) == sqlite3_bind_parameter_count(s));
    for (int i = 0; types[i]; i++) {
        if (types[i] == 's') {
            sqlite3_bind_text(s, i + 1, va_arg(args, const char *), -1, SQLITE_STATIC);
        } else if (types[i] == 'r') {
            double number = va_arg(args, double);
            if (isfinite(number))
                sqlite3_bind_double(s, i + 1, number);
            else
                sqlite3_bind_null(s, i + 1);
        } else {
            int64_t number = va_arg(args, int64_t);
            if (number || types[i] == 'i')
                sqlite3_bind_int64(s, i + 1, number);
            else
                sqlite3_bind_null(s, i + 1);
        }
    }
}

void inserts_open(struct inserts *inserts, sqlite3 *db, const char *sql)
{
    *inserts = (struct inserts){0};
    if (sqlite3_prepare_v2(db, sql, -1, &inserts->s, NULL) != SQLITE_OK)
        inserts->error = -EIO;
}

void inserts_row(struct inserts *inserts, const char *types, ...)
{
    va_list args;
    if (inserts->error)
        return;
    va_start(args, types);
    inserts_bind(inserts->s, types, args);
    va_end(args);
    if (sqlite3_step(inserts->s) != SQLITE_DONE)
        inserts->error = -EIO;
    sqlite3_reset(inserts->s);
}

int inserts_close(struct inserts *inserts)
{
    sqlite3_finalize(inserts->s);
    inserts->s = NULL;
    return inserts->error;
}
