/* The analysis of a stored trace: the ledger, the critical path, the POP tree and what-if figures, as the tables
 * that schema.sql describes. */
#ifndef SF_TRACER_ANALYZE_ANALYSIS_H
#define SF_TRACER_ANALYZE_ANALYSIS_H

#include <sqlite3.h>

#include "base/output.h"

/* Replaces what is in these tables. Where the database cannot be written, temporary tables of the connection take their
 * places, under the same names. 0, or -ENOMEM or -EIO with the reason. */
int analysis_fill(sqlite3 *db, struct sentence *why);

#endif
