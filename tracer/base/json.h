/* Writes JSON to a stream. The caller writes the commas and brackets between the pieces. */
#ifndef SF_TRACER_BASE_JSON_H
#define SF_TRACER_BASE_JSON_H

#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>

/* Writes the text quoted and escaped; NULL as "". The text must be UTF-8, as all texts in the database are. */
void json_string(FILE *to, const char *text);

/* Writes nanoseconds as microseconds with three decimals. */
void json_us(FILE *to, int64_t ns);

/* Writes a query's rows as an array of objects, whose keys are the names of its columns. 0 or -EIO: the database's
 * error; what was written is incomplete. */
int json_rows(FILE *to, sqlite3 *db, const char *sql);

#endif
