/* JSON, streamed. The caller sees to commas and brackets. */
#ifndef SF_TRACER_BASE_JSON_H
#define SF_TRACER_BASE_JSON_H

#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>

/* The text with quotes, escaped; NULL is "". Bytes that are no UTF-8 do not come out of the database. */
void json_string(FILE *to, const char *text);

/* Nanoseconds as microseconds with three decimals. */
void json_us(FILE *to, int64_t ns);

/* A query's rows as an array of objects, named by its columns. 0 or -EIO (the database's error; what was written
 * ends anywhere). */
int json_rows(FILE *to, sqlite3 *db, const char *sql);

#endif
