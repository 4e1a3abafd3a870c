/* Where every nanosecond of every process's life went: the table `ledger`. */
#ifndef SF_TRACER_ANALYZE_LEDGER_H
#define SF_TRACER_ANALYZE_LEDGER_H

#include <sqlite3.h>

#include "analyze/processes.h"

/* Fills the table, in place of what was in it. 0, -ENOMEM or -EIO (the connection knows the reason). */
int ledger_fill(sqlite3 *db, const struct processes *processes);

/* What writing one event took, in ns, by the trace's own note of it; 0: it has none. */
double ledger_event_cost_ns(sqlite3 *db);

#endif
