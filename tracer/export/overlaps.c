/* See overlaps.h. One pass over the spans in the order of their begins.
 *
 * Invariant: the spans in the stack nest: each one ends no later than the one below it. A span that would break that is
 * taken out, or those that it overlaps are. Each span is pushed and popped once, so the pass takes linear time. */
#include "export/overlaps.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/array.h"
#include "store/rows.h"

struct open {
    int64_t begin, end; /* rows of `event`; INT64_MAX: it never ended */
    bool of_user;
};

struct overlaps {
    struct open *stack;
    size_t depth, room;
    sqlite3_stmt *add;
};

enum column { PROCESS, TID, BEGIN, END, OF_USER, MOVED };

static int take_out(struct overlaps *overlaps, int64_t begin)
{
    sqlite3_bind_int64(overlaps->add, 1, begin);
    int rc = sqlite3_step(overlaps->add);
    sqlite3_reset(overlaps->add);
    return rc == SQLITE_DONE ? 0 : -EIO;
}

static int add_span(struct overlaps *overlaps, const struct open *span)
{
    bool overlapping = false;
    int error = 0;
    while (overlaps->depth && overlaps->stack[overlaps->depth - 1].end < span->begin)
        overlaps->depth--;
    while (!error && overlaps->depth && overlaps->stack[overlaps->depth - 1].end < span->end) {
        const struct open *top = &overlaps->stack[overlaps->depth - 1];
        overlapping |= span->of_user || !top->of_user;
        if (!top->of_user)
            break;
        error = take_out(overlaps, top->begin);
        overlaps->depth--;
    }
    if (!error && overlapping)
        return take_out(overlaps, span->begin);
    struct open *grown = error ? NULL : array_grow(overlaps->stack, overlaps->depth, &overlaps->room, sizeof *grown);
    if (!grown)
        return error ? error : -ENOMEM;
    overlaps->stack = grown;
    grown[overlaps->depth++] = *span;
    assert(overlaps->depth < 2 || grown[overlaps->depth - 2].end >= span->end);
    return 0;
}

int overlaps_find(sqlite3 *db)
{
    struct overlaps overlaps = {0};
    struct rows rows;
    int64_t process = 0, tid = -1;
    int error = sqlite3_prepare_v2(db, "INSERT OR IGNORE INTO overlapping VALUES(?)", -1, &overlaps.add, NULL) ? -EIO : 0;
    rows_open(&rows, db, "SELECT * FROM span_order");
    while (!error && rows_next(&rows)) {
        if (rows_integer(&rows, PROCESS) != process || rows_integer(&rows, TID) != tid) {
            process = rows_integer(&rows, PROCESS);
            tid = rows_integer(&rows, TID);
            overlaps.depth = 0;
        }
        struct open span = {rows_integer(&rows, BEGIN), rows_integer(&rows, END), rows_integer(&rows, OF_USER) != 0};
        if (!span.end)
            span.end = INT64_MAX;
        error = rows_integer(&rows, MOVED) ? take_out(&overlaps, span.begin) : add_span(&overlaps, &span);
    }
    int read_error = rows_close(&rows);
    sqlite3_finalize(overlaps.add);
    free(overlaps.stack);
    return error ? error : read_error;
}
