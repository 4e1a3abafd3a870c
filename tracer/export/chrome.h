/* A trace as Chrome trace JSON. */
#ifndef SF_TRACER_EXPORT_CHROME_H
#define SF_TRACER_EXPORT_CHROME_H

#include <sqlite3.h>
#include <stdio.h>

/* Streams the whole trace to `to`. 0, or -EIO: the database's or the file's error. Makes temporary tables in db. */
int chrome_write(sqlite3 *db, FILE *to);

#endif
