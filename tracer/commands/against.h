/* Two traces beside each other: one run with another that had other workers, or was before a change. */
#ifndef SF_TRACER_COMMANDS_AGAINST_H
#define SF_TRACER_COMMANDS_AGAINST_H

#include <sqlite3.h>
#include <stdbool.h>

#include "base/output.h"

/* Analyzes the trace at `path` too, and takes its figures into temporary tables of `db`, which has been analyzed. 0, or
 * -errno with the reason. */
int against_load(sqlite3 *db, const char *path, struct sentence *why);

/* Prints what differs, after against_load. 0 or -EIO. */
int against_print(sqlite3 *db, bool json);

#endif
