/* See collapsed.h. */
#include "export/collapsed.h"

#include <errno.h>
#include <inttypes.h>

#include "store/rows.h"
#include "store/stacks.h"

static const char views[] =
#include "export/collapsed.inc"
    ;

/* Semicolons and ends of lines are the format's own. */
static void put_name(FILE *to, const char *name)
{
    for (; *name; name++)
        fputc(*name == ';' ? ':' : (unsigned char)*name < ' ' ? ' ' : *name, to);
}

static void put_frame(FILE *to, const struct frame *frame)
{
    fputc(';', to);
    put_name(to, frame->name);
    if (!frame->file[0])
        return;
    fputs(" (", to);
    put_name(to, frame->file);
    fprintf(to, ":%" PRId64 ")", frame->line);
}

int collapsed_write(sqlite3 *db, FILE *to)
{
    struct stacks stacks;
    struct rows rows;
    int frames[STACK_FRAMES_MAX], error = stacks_init(&stacks, db);
    if (!error && sqlite3_exec(db, views, NULL, NULL, NULL) != SQLITE_OK)
        error = -EIO;
    if (!error) {
        rows_open(&rows, db, "SELECT task, stack, samples FROM collapsed");
        while (rows_next(&rows) && !ferror(to)) {
            int n = stacks_frames(&stacks, stacks_find(&stacks, rows_integer(&rows, 1)), frames);
            if (!n)
                continue;
            put_name(to, (const char *)sqlite3_column_text(rows.s, 0));
            while (n)
                put_frame(to, &stacks.frames[frames[--n]]);
            fprintf(to, " %" PRId64 "\n", rows_integer(&rows, 2));
        }
        error = rows_close(&rows);
    }
    stacks_fini(&stacks);
    return error ? error : ferror(to) ? -EIO : 0;
}
