/* See overlaps.h. One pass over the begins and ends of each row, in their order.
 *
 * Two spans overlap if the one that began first ends while the other one is open. So at an end, that span overlaps all
 * open ones that began after it. The lists are in the order of begins, so these are at a list's end:
 *     open    all that are open, and some that have ended, but the last one is open
 *     alone   those of them that overlap none so far; each leaves it once
 *     calls   the library's, of which none overlaps another one
 * A list is never longer than twice the number of open spans, and the pass takes time in proportion to the number of
 * spans (times its logarithm, for finding one). */
#include "export/overlaps.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/array.h"
#include "store/rows.h"

struct span {
    int64_t first; /* row of its begin */
    bool of_user, ended;
};

struct list {
    struct span *spans;
    size_t count, room;
};

struct overlaps {
    struct list open, alone, calls;
    size_t ended; /* in `open` */
    sqlite3_stmt *add;
    int error;
};

enum column { PROCESS, TID, PLACE, FIRST, OF_USER, MOVED };

static void append(struct overlaps *overlaps, struct list *list, struct span span)
{
    struct span *grown = array_grow(list->spans, list->count, &list->room, sizeof *grown);
    if (!grown) {
        overlaps->error = -ENOMEM;
        return;
    }
    list->spans = grown;
    grown[list->count++] = span;
    assert(list->count < 2 || grown[list->count - 2].first < span.first);
}

static struct span *last_of(const struct list *list)
{
    return list->count ? &list->spans[list->count - 1] : NULL;
}

/* NULL: it is not in the list. */
static struct span *find(const struct list *list, int64_t first)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (list->spans[middle].first < first)
            low = middle + 1;
        else
            high = middle;
    }
    return low < list->count && list->spans[low].first == first ? &list->spans[low] : NULL;
}

static void take_out(struct overlaps *overlaps, int64_t first)
{
    sqlite3_bind_int64(overlaps->add, 1, first);
    if (sqlite3_step(overlaps->add) != SQLITE_DONE)
        overlaps->error = -EIO;
    sqlite3_reset(overlaps->add);
}

/* Drops what has ended from `open`: at its end always, elsewhere when it is more than half of it. */
static void drop_ended(struct overlaps *overlaps)
{
    struct list *open = &overlaps->open;
    for (; open->count && last_of(open)->ended; open->count--)
        overlaps->ended--;
    if (overlaps->ended * 2 <= open->count)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < open->count; i++)
        if (!open->spans[i].ended)
            open->spans[kept++] = open->spans[i];
    open->count = kept;
    overlaps->ended = 0;
}

static void end_span(struct overlaps *overlaps, int64_t first)
{
    struct span *span = find(&overlaps->open, first), *last;
    if (!span)
        return; /* it ends twice: a damaged trace */
    span->ended = true;
    overlaps->ended++;
    bool of_user = span->of_user;
    drop_ended(overlaps);
    last = last_of(&overlaps->open);
    if (of_user && last && last->first > first)
        take_out(overlaps, first);
    for (; (last = last_of(&overlaps->alone)) && last->first >= first; overlaps->alone.count--)
        if (last->of_user && last->first > first)
            take_out(overlaps, last->first);
    if (of_user || !find(&overlaps->calls, first))
        return;
    for (; (last = last_of(&overlaps->calls)) && last->first >= first; overlaps->calls.count--)
        if (last->first > first)
            take_out(overlaps, last->first);
}

static void begin_span(struct overlaps *overlaps, struct span span)
{
    append(overlaps, &overlaps->open, span);
    append(overlaps, &overlaps->alone, span);
    if (!span.of_user)
        append(overlaps, &overlaps->calls, span);
}

int overlaps_find(sqlite3 *db)
{
    struct overlaps overlaps = {0};
    struct rows rows;
    int64_t process = 0, tid = -1;
    if (sqlite3_prepare_v2(db, "INSERT OR IGNORE INTO overlapping VALUES(?)", -1, &overlaps.add, NULL) != SQLITE_OK)
        return -EIO;
    rows_open(&rows, db, "SELECT * FROM span_end");
    while (!overlaps.error && rows_next(&rows)) {
        struct span span = {rows_integer(&rows, FIRST), rows_integer(&rows, OF_USER) != 0, false};
        if (rows_integer(&rows, PROCESS) != process || rows_integer(&rows, TID) != tid) {
            process = rows_integer(&rows, PROCESS);
            tid = rows_integer(&rows, TID);
            overlaps.open.count = overlaps.alone.count = overlaps.calls.count = overlaps.ended = 0;
        }
        if (rows_integer(&rows, MOVED))
            take_out(&overlaps, span.first);
        else if (rows_integer(&rows, PLACE) == span.first)
            begin_span(&overlaps, span);
        else
            end_span(&overlaps, span.first);
    }
    int error = rows_close(&rows);
    sqlite3_finalize(overlaps.add);
    free(overlaps.open.spans);
    free(overlaps.alone.spans);
    free(overlaps.calls.spans);
    return overlaps.error ? overlaps.error : error;
}
