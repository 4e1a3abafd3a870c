/* The database of a trace: making, opening and removing it. Which files may be one: trace_file.h. */
#ifndef SF_TRACER_STORE_DATABASE_H
#define SF_TRACER_STORE_DATABASE_H

#include <sqlite3.h>

#include "base/output.h"

/* A trace that this process writes. */
struct database {
    sqlite3 *db;
    int lock; /* see trace_file.h; closed after the database */
};

/* Makes an empty trace at `path`, in place of an older one. 0 or -errno with a sentence, and then *database is as it
 * was. The caller owns *database. */
int database_create(struct database *database, const char *path, struct sentence *why);

/* Opens the trace at `path` to continue it, as the collector of its session. As database_create. */
int database_continue(struct database *database, const char *path, struct sentence *why);

/* Makes at `path` a copy of the trace at `from`, and opens it as database_continue does. */
int database_copy(struct database *database, const char *from, const char *path, struct sentence *why);

void database_close(struct database *database);

/* Closes the database and removes its file. */
void database_discard(struct database *database);

/* Opens the trace at `path` to read it, and to store the results of its analysis in it. The caller closes *db by
 * sqlite3_close. The file may come from a stranger: its schema was checked, and its triggers do not run. */
int database_open(sqlite3 **db, const char *path, struct sentence *why);

/* The value of a key in meta, as text that the caller frees; NULL: there is none. */
char *database_meta(sqlite3 *db, const char *key);

#endif
