/* Reads the graph of a stored run. */
#ifndef SF_TRACER_ANALYZE_GRAPH_BUILD_H
#define SF_TRACER_ANALYZE_GRAPH_BUILD_H

#include <sqlite3.h>

#include "analyze/graph.h"

/* The processes must outlive the graph. 0, -ENOMEM or -EIO (the connection knows the reason); graph_fini in every
 * case. */
int graph_build(struct graph *graph, sqlite3 *db, const struct processes *processes);

#endif
