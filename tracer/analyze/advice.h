/* What a user should change: at most three sentences, each a disease, its cure, and, where that can be said, how many
 * times as fast the program is at least without it. */
#ifndef SF_TRACER_ANALYZE_ADVICE_H
#define SF_TRACER_ANALYZE_ADVICE_H

#include "analyze/graph.h"

/* Replaces what is in the table `advice`, from the other tables of the analysis. 0, -ENOMEM or -EIO. */
int advice_fill(sqlite3 *db, const struct graph *graph);

#endif
