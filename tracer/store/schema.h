/* The tables and views of a trace: making them, and checking that a file has just these. */
#ifndef SF_TRACER_STORE_SCHEMA_H
#define SF_TRACER_STORE_SCHEMA_H

#include <sqlite3.h>

#include "base/output.h"

#define SCHEMA_VERSION 12

/* The statements of schema.sql, with the ids of the events filled in. */
extern const char schema_statements[];

/* Does the database have the schema of this version, word for word? A trace may come from a stranger, and SQL that
 * stands in a file runs when its views and tables are used. So nothing of such a file runs before this function has
 * said 0. More tables, views and indexes than ours may be there: they are not used. -EBUSY: a collector is writing it;
 * -EINVAL: another version or an altered schema; -EIO: it cannot be read. All with a sentence about `path`. */
int schema_check(sqlite3 *db, const char *path, struct sentence *why);

#endif
