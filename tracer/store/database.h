/* The file of a trace: may it be made here, and its making. Knows SQLite's files, but not what is in a trace. */
#ifndef SF_TRACER_STORE_DATABASE_H
#define SF_TRACER_STORE_DATABASE_H

#include <sqlite3.h>
#include <stdint.h>

#include "base/output.h"

#define DATABASE_APPLICATION_ID 0x534e4b46 /* "SNKF", as in schema.sql */
#define DATABASE_SCHEMA_VERSION 4

/* 0: there is nothing at `path`, or an older trace that no living collector writes. Else a sentence; nothing is
 * touched. */
int database_check(const char *path, struct sentence *why);

/* Makes an empty trace at `path`, in the place of what database_check allowed. The caller owns *db. */
int database_create(sqlite3 **db, const char *path, struct sentence *why);

/* Opens the trace at `path` to write on in it (as the collector of its session does) or only to read. */
int database_open(sqlite3 **db, const char *path, int writing, struct sentence *why);

/* Closes the database and removes its file: the trace never came to be. */
void database_discard(sqlite3 *db);

/* The value of a key in meta, as text that the caller frees; NULL: none. */
char *database_meta(sqlite3 *db, const char *key);

#endif
