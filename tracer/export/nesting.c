/* See nesting.h.
 *
 * Viewers such as speedscope split a slice into an open at `ts` and a close at `ts + dur`, added as floating-point
 * numbers, and sort each kind by time. Where an open and a close have the same time, or are a rounding apart, they
 * cannot tell which comes first, and frames break. So no close shares its time with anything:
 *     touching         a slice that ends where the next one begins, or where the slice around it ends, ends 1 ns before
 *     partly overlap   a child that ends after its parent is cut to it, and one that ends after its successor's begin
 *                      is cut to that
 *     no length        it begins 1 ns earlier
 * Opens may share a time: the longer slice is the outer one, and all lengths differ there.
 *
 * Each row is read backwards, so that a time depends only on what comes after it. */
#include "export/nesting.h"

#include <errno.h>
#include <stddef.h>

#include "store/rows.h"

enum column { PROCESS, TID, SLICE, NS, IS_END };

/* A trace from a stranger may have any times. */
static int64_t before(const struct nesting *nesting)
{
    return nesting->edge_ns > INT64_MIN ? nesting->edge_ns - 1 : INT64_MIN;
}

static int64_t put_edge(struct nesting *nesting, int64_t ns, int64_t limit, bool is_begin)
{
    int64_t fitted = nesting->has_edge && ns > limit ? limit : ns;
    *nesting = (struct nesting){fitted, true, is_begin};
    return fitted;
}

int64_t nesting_end(struct nesting *nesting, int64_t ns)
{
    return put_edge(nesting, ns, before(nesting), false);
}

int64_t nesting_begin(struct nesting *nesting, int64_t ns)
{
    return put_edge(nesting, ns, nesting->is_begin ? nesting->edge_ns : before(nesting), true);
}

/* Notes another begin or end of a slice. */
static int change(sqlite3_stmt *note, int64_t slice, int64_t ns, bool is_end)
{
    sqlite3_clear_bindings(note);
    sqlite3_bind_int64(note, 1, slice);
    sqlite3_bind_int64(note, is_end ? 3 : 2, ns);
    int rc = sqlite3_step(note);
    sqlite3_reset(note);
    return rc == SQLITE_DONE ? 0 : -EIO;
}

int nesting_fit(sqlite3 *db)
{
    struct nesting nesting = {0};
    struct rows rows;
    sqlite3_stmt *note;
    int64_t process = 0, tid = -1;
    int error = 0;
    if (sqlite3_prepare_v2(db,
                           "INSERT INTO fitted VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE SET "
                           "start_ns = coalesce(?2, start_ns), end_ns = coalesce(?3, end_ns)",
                           -1, &note, NULL) != SQLITE_OK)
        return -EIO;
    rows_open(&rows, db, "SELECT * FROM drawn_edge");
    while (!error && rows_next(&rows)) {
        int64_t ns = rows_integer(&rows, NS);
        bool is_end = rows_integer(&rows, IS_END) != 0;
        if (rows_integer(&rows, PROCESS) != process || rows_integer(&rows, TID) != tid)
            nesting = (struct nesting){0};
        process = rows_integer(&rows, PROCESS);
        tid = rows_integer(&rows, TID);
        int64_t fitted = is_end ? nesting_end(&nesting, ns) : nesting_begin(&nesting, ns);
        if (fitted != ns)
            error = change(note, rows_integer(&rows, SLICE), fitted, is_end);
    }
    int rows_error = rows_close(&rows);
    sqlite3_finalize(note);
    return error ? error : rows_error;
}
