/* JSON, streamed. The caller sees to commas and brackets. */
#ifndef SF_TRACER_JSON_H
#define SF_TRACER_JSON_H

#include <stdint.h>
#include <stdio.h>

/* The text with quotes, escaped; NULL is "". Bytes that are no UTF-8 do not come out of the database. */
void json_string(FILE *to, const char *text);

/* Nanoseconds as microseconds with three decimals. */
void json_us(FILE *to, int64_t ns);

#endif
