/* Where every nanosecond of every process's life went: the table `ledger`. */
#ifndef SF_TRACER_ANALYZE_LEDGER_H
#define SF_TRACER_ANALYZE_LEDGER_H

#include <sqlite3.h>

#include "analyze/processes.h"

/* Replaces what is in the table. 0, -ENOMEM or -EIO (the connection knows the reason). */
int ledger_fill(sqlite3 *db, const struct processes *processes);

#endif
