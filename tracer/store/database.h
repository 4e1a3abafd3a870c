/* The file of a trace: checking whether one may be made, making, opening and removing it. */
#ifndef SF_TRACER_STORE_DATABASE_H
#define SF_TRACER_STORE_DATABASE_H

#include <sqlite3.h>
#include <stdint.h>

#include "base/output.h"

#define DATABASE_APPLICATION_ID 0x534e4b46 /* "SNKF", as in schema.sql */
#define DATABASE_SCHEMA_VERSION 4

/* May a trace be made at `path`? 0: there is no file, or an older trace that no running collector writes. -errno and a
 * sentence: no. Changes nothing. */
int database_check(const char *path, struct sentence *why);

/* Makes an empty trace at `path`, if database_check allows it. The caller owns *db. */
int database_create(sqlite3 **db, const char *path, struct sentence *why);

/* Opens the trace at `path`, to read it, or (`writing`) to continue it as the collector of its session. */
int database_open(sqlite3 **db, const char *path, int writing, struct sentence *why);

/* Closes the database and removes its file. */
void database_discard(sqlite3 *db);

/* The value of a key in meta, as text that the caller frees; NULL: there is none. */
char *database_meta(sqlite3 *db, const char *key);

#endif
