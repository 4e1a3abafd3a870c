/* Writes a trace in speedscope's own format. */
#ifndef SF_TRACER_EXPORT_SPEEDSCOPE_H
#define SF_TRACER_EXPORT_SPEEDSCOPE_H

#include <sqlite3.h>
#include <stdio.h>

/* Writes for each thread a profile of the samples of its stacks, and one of its spans. 0, -ENOMEM, or -EIO: an error of
 * the database or the file. Makes temporary tables and views in `db`. */
int speedscope_write(sqlite3 *db, FILE *to);

#endif
