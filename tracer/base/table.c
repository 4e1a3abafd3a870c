/* See table.h. The query runs twice, for the widths and for the rows, so that no rows have to be kept. */
#include "base/table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/output.h"
#include "base/text.h"

enum { COLUMNS_MAX = 20, WIDTH_MAX = 64 };

/* In characters, not bytes. */
static int width_of(const char *text)
{
    uint32_t code;
    int n = 0;
    for (; *text; text += text_next(text, &code))
        n++;
    return n;
}

static const char *cell(sqlite3_stmt *s, int column)
{
    const unsigned char *text = sqlite3_column_text(s, column);
    return text ? (const char *)text : "-";
}

/* Prints a cell, cut if it is too long and filled up to `width`. Control characters would break the table. */
static void output_cell(const char *text, int width, bool right, bool last)
{
    int blanks = width - width_of(text);
    if (right)
        output_print("%*s", blanks > 0 ? blanks : 0, "");
    for (int n = 0; *text && n < WIDTH_MAX; n++)
        text += output_character(text);
    if (!right && !last)
        output_print("%*s", blanks > 0 ? blanks : 0, "");
    output_print("%s", last ? "\n" : "  ");
}

int table_print(sqlite3 *db, const char *title, const char *sql, int rows_max)
{
    int widths[COLUMNS_MAX] = {0}, rows = 0, shown = 0, rc;
    bool right[COLUMNS_MAX];
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
        return -EIO;
    int columns = sqlite3_column_count(s) < COLUMNS_MAX ? sqlite3_column_count(s) : COLUMNS_MAX;
    for (int i = 0; i < columns; i++) {
        widths[i] = width_of(sqlite3_column_name(s, i));
        right[i] = true;
    }
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        if (++rows > rows_max)
            continue;
        for (int i = 0; i < columns; i++) {
            int type = sqlite3_column_type(s, i), width = width_of(cell(s, i));
            right[i] = right[i] && type != SQLITE_TEXT;
            widths[i] = width > WIDTH_MAX ? WIDTH_MAX : width > widths[i] ? width : widths[i];
        }
    }
    sqlite3_reset(s);
    if (rc == SQLITE_DONE && rows) {
        output_print("\n%s\n", title);
        if (sqlite3_column_name(s, 0)[0])
            output_print("  ");
        for (int i = 0; i < columns && sqlite3_column_name(s, 0)[0]; i++)
            output_cell(sqlite3_column_name(s, i), widths[i], right[i], i + 1 == columns);
        while (shown < rows && shown < rows_max && (rc = sqlite3_step(s)) == SQLITE_ROW) {
            shown++;
            output_print("  ");
            for (int i = 0; i < columns; i++)
                output_cell(cell(s, i), widths[i], right[i], i + 1 == columns);
        }
        if (rows > shown)
            output_print("  ... and %d more\n", rows - shown);
    }
    sqlite3_finalize(s);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? rows : -EIO;
}
