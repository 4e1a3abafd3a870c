/* Writes the samples of Python's stacks as collapsed stacks, which makers of flame graphs read. */
#ifndef SF_TRACER_EXPORT_COLLAPSED_H
#define SF_TRACER_EXPORT_COLLAPSED_H

#include <sqlite3.h>
#include <stdio.h>

/* Writes a line for each kind of task and stack: "task;frame;...;frame samples", the outermost frame first. Samples
 * without a stack are left out. 0, -ENOMEM, or -EIO: an error of the database or the file. */
int collapsed_write(sqlite3 *db, FILE *to);

#endif
