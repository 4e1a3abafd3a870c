/* See json.h. */
#include "base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

#include "base/text.h"

/* Valid whatever the text holds. What a terminal should not get is escaped. */
void json_string(FILE *to, const char *text)
{
    uint32_t code;
    int length;
    fputc('"', to);
    for (const char *at = text ? text : ""; *at; at += length) {
        length = text_next(at, &code);
        if (code == '"' || code == '\\')
            fprintf(to, "\\%c", (char)code);
        else if (text_is_visible(code))
            fprintf(to, "%.*s", length, at);
        else if (code == TEXT_INVALID)
            fputs("\\ufffd", to); /* the replacement character */
        else if (code < 0x10000)
            fprintf(to, "\\u%04" PRIx32, code);
        else /* as UTF-16 has it */
            fprintf(to, "\\u%04" PRIx32 "\\u%04" PRIx32, 0xd800 + ((code - 0x10000) >> 10), 0xdc00 + (code & 0x3ff));
    }
    fputc('"', to);
}

void json_us(FILE *to, int64_t ns)
{
    uint64_t size = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
    fprintf(to, "%s%" PRIu64 ".%03u", ns < 0 ? "-" : "", size / 1000, (unsigned)(size % 1000));
}

static void write_value(FILE *to, sqlite3_stmt *s, int column)
{
    switch (sqlite3_column_type(s, column)) {
    case SQLITE_NULL:
        fputs("null", to);
        break;
    case SQLITE_INTEGER:
        fprintf(to, "%" PRId64, (int64_t)sqlite3_column_int64(s, column));
        break;
    case SQLITE_FLOAT:
        if (isfinite(sqlite3_column_double(s, column)))
            fprintf(to, "%.9g", sqlite3_column_double(s, column));
        else
            fputs("null", to); /* JSON has no infinity; SQLite has no NaN */
        break;
    default:
        json_string(to, (const char *)sqlite3_column_text(s, column));
    }
}

int json_rows(FILE *to, sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s = NULL;
    int rc, rows = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
        return -EIO;
    fputc('[', to);
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        fputs(rows++ ? ",\n  {" : "\n  {", to);
        for (int i = 0; i < sqlite3_column_count(s); i++) {
            fputs(i ? ", " : "", to);
            json_string(to, sqlite3_column_name(s, i));
            fputs(": ", to);
            write_value(to, s, i);
        }
        fputc('}', to);
    }
    fputc(']', to);
    sqlite3_finalize(s);
    return rc == SQLITE_DONE ? 0 : -EIO;
}
