/* CPU time by function, from the samples of Python's stacks. */
#ifndef SF_TRACER_ANALYZE_FUNCTIONS_H
#define SF_TRACER_ANALYZE_FUNCTIONS_H

#include <sqlite3.h>

/* Replaces what is in the table frame_time. 0, -ENOMEM or -EIO. */
int functions_fill(sqlite3 *db);

#endif
