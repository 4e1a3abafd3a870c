/* Writes a trace as Chrome trace JSON. */
#ifndef SF_TRACER_EXPORT_CHROME_H
#define SF_TRACER_EXPORT_CHROME_H

#include <sqlite3.h>
#include <stdio.h>

/* Writes the whole trace. 0, or -EIO: an error of the database or the file. Makes temporary tables and views in `db`.
 */
int chrome_write(sqlite3 *db, FILE *to);

#endif
