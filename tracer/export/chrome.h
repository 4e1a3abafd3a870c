/* Writes a trace as Chrome trace JSON. */
#ifndef SF_TRACER_EXPORT_CHROME_H
#define SF_TRACER_EXPORT_CHROME_H

#include <sqlite3.h>
#include <stdio.h>

/* Makes the temporary tables and views of chrome.sql, and finds out how spans nest: once for a connection. 0, -ENOMEM
 * or -EIO. */
int chrome_prepare(sqlite3 *db);

/* Writes the whole trace, after chrome_prepare of its own. 0, -ENOMEM, or -EIO: an error of the database or the file.
 */
int chrome_write(sqlite3 *db, FILE *to);

#endif
