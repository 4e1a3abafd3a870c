/* Intervals of the kernel's tables, sorted by process and begin, with a cursor for each process and table.
 *
 * Having no CPU takes precedence over everything else. A wait in the kernel counts only where the events say no more
 * than that the program ran. The kernel's view does not say when in a slot of time the page faults were: their cost is
 * taken from all that the process did on a CPU in that slot, in proportion. */
#include "analyze/overlay.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "store/rows.h"

enum table { NO_CPU, WAITS, FAULTS, CHILDREN, TABLE_COUNT };

struct interval {
    int64_t from_ns, to_ns;
    int process;
    int64_t what;                        /* WAITS: its category; CHILDREN: the child */
    int64_t cost_ns, copy_ns, on_cpu_ns; /* FAULTS: on_cpu_ns is what overlay_measure found */
};

struct overlay {
    const struct processes *processes;
    struct interval *rows[TABLE_COUNT];
    size_t counts[TABLE_COUNT];
    size_t *first[TABLE_COUNT]; /* each process's first row; its last is before the next process's first */
    size_t *at[TABLE_COUNT];    /* each process's cursor */
};

/* Columns: process, from, to, what, cost, copy. Only a process's first thread (its tid is the pid) counts, as in the
 * ledger. */
static const char *const queries[TABLE_COUNT] = {
    [NO_CPU] = "SELECT s.process, s.wake_ns, s.start_ns, 0, 0, 0 FROM sched_slice s JOIN process p ON p.id = s.process "
               "WHERE s.tid = p.pid AND s.wake_ns < s.start_ns ORDER BY 1, 2",
    [WAITS] =
        "SELECT k.process, k.start_ns, k.end_ns, CASE k.what WHEN 'child' THEN ?1 WHEN 'full pipe' THEN ?2 WHEN "
        "'full socket' THEN ?2 WHEN 'futex' THEN ?3 WHEN 'file lock' THEN ?3 WHEN 'sleep' THEN ?5 ELSE ?4 END, 0, 0 "
        "FROM kernel_wait k JOIN process p ON p.id = k.process WHERE k.tid = p.pid AND k.start_ns < k.end_ns AND "
        "k.what NOT IN ('fault', 'other') ORDER BY 1, 2",
    /* end_ns is when the last fault began or later, so that fault may end after it */
    [FAULTS] = "SELECT f.process, f.start_ns, max(f.end_ns, f.start_ns + total(f.cost_ns)), 0, total(f.cost_ns), "
               "total(iif(f.kind = 'copy-on-write', f.cost_ns, 0)) FROM fault f JOIN process p ON p.id = f.process "
               "WHERE f.tid = p.pid AND f.cost_ns > 0 GROUP BY f.process, f.start_ns, f.end_ns ORDER BY 1, 2",
    [CHILDREN] = "SELECT parent, start_ns, start_ns, id, 0, 0 FROM process WHERE parent IS NOT NULL AND start_ns IS "
                 "NOT NULL ORDER BY 1, 2",
};

static int read_table(struct overlay *overlay, enum table table, sqlite3 *db)
{
    struct rows rows;
    size_t room = 0;
    rows_open(&rows, db, queries[table]);
    if (table == WAITS && !rows.error) {
        sqlite3_bind_int(rows.s, 1, CATEGORY_LATE_CHILD);
        sqlite3_bind_int(rows.s, 2, CATEGORY_LATE_RECEIVER);
        sqlite3_bind_int(rows.s, 3, CATEGORY_LOCK);
        sqlite3_bind_int(rows.s, 4, CATEGORY_LATE_SENDER);
        sqlite3_bind_int(rows.s, 5, CATEGORY_SLEEPING);
    }
    while (rows_next(&rows)) {
        int process = processes_find(overlay->processes, rows_integer(&rows, 0));
        const struct interval *last = overlay->counts[table] ? &overlay->rows[table][overlay->counts[table] - 1] : NULL;
        int64_t from_ns = rows_integer(&rows, 1);
        int64_t what =
            table == CHILDREN ? processes_find(overlay->processes, rows_integer(&rows, 3)) : rows_integer(&rows, 3);
        if (process == PROCESS_NONE || (table == CHILDREN && what == PROCESS_NONE))
            continue;
        if (last && (process < last->process || (process == last->process && from_ns < last->from_ns)))
            continue; /* only a table that is not ours has texts for numbers, which sort in another way */
        struct interval *grown = array_grow(overlay->rows[table], overlay->counts[table], &room, sizeof *grown);
        if (!grown) {
            rows_fail(&rows);
            break;
        }
        overlay->rows[table] = grown;
        grown[overlay->counts[table]++] = (struct interval){.from_ns = from_ns,
                                                            .to_ns = rows_integer(&rows, 2),
                                                            .process = process,
                                                            .what = what,
                                                            .cost_ns = rows_integer(&rows, 4),
                                                            .copy_ns = rows_integer(&rows, 5)};
    }
    return rows_close(&rows);
}

static int index_table(struct overlay *overlay, enum table table)
{
    size_t processes = (size_t)overlay->processes->count, row = 0;
    overlay->first[table] = calloc(processes + 1, sizeof(size_t));
    overlay->at[table] = calloc(processes + 1, sizeof(size_t));
    if (!overlay->first[table] || !overlay->at[table])
        return -ENOMEM;
    for (size_t p = 0; p <= processes; p++) {
        for (; row < overlay->counts[table] && (size_t)overlay->rows[table][row].process < p; row++)
            assert(!row || overlay->rows[table][row - 1].process <= overlay->rows[table][row].process);
        overlay->first[table][p] = overlay->at[table][p] = row;
    }
    assert(row == overlay->counts[table]);
    return 0;
}

int overlay_new(struct overlay **out, sqlite3 *db, const struct processes *processes)
{
    struct overlay *overlay = *out = calloc(1, sizeof *overlay);
    if (!overlay)
        return -ENOMEM;
    overlay->processes = processes;
    int error = 0;
    for (int table = 0; table < TABLE_COUNT && !error; table++) {
        error = read_table(overlay, table, db);
        if (!error)
            error = index_table(overlay, table);
    }
    return error;
}

void overlay_free(struct overlay *overlay)
{
    for (int table = 0; overlay && table < TABLE_COUNT; table++) {
        free(overlay->rows[table]);
        free(overlay->first[table]);
        free(overlay->at[table]);
    }
    free(overlay);
}

bool overlay_needs_measure(const struct overlay *overlay)
{
    return overlay->counts[FAULTS] > 0;
}

void overlay_rewind(struct overlay *overlay)
{
    for (int table = 0; table < TABLE_COUNT; table++)
        memcpy(overlay->at[table], overlay->first[table], ((size_t)overlay->processes->count + 1) * sizeof(size_t));
}

/* The table's interval at that time, or NULL. *until is lowered to the time at which the answer changes. */
static struct interval *interval_at(struct overlay *overlay, enum table table, int process, int64_t ns, int64_t *until)
{
    size_t *at = &overlay->at[table][process], end = overlay->first[table][process + 1];
    while (*at < end && overlay->rows[table][*at].to_ns <= ns)
        ++*at;
    if (*at == end)
        return NULL;
    struct interval *next = &overlay->rows[table][*at];
    int64_t edge = next->from_ns <= ns ? next->to_ns : next->from_ns;
    if (edge < *until)
        *until = edge;
    return next->from_ns <= ns ? next : NULL;
}

/* The next child, if it began at that time or before, else NULL; *until likewise. Each child is returned once. */
static struct interval *next_child(struct overlay *overlay, int process, int64_t ns, int64_t *until)
{
    size_t *at = &overlay->at[CHILDREN][process];
    if (*at == overlay->first[CHILDREN][process + 1])
        return NULL;
    struct interval *next = &overlay->rows[CHILDREN][*at];
    if (next->from_ns <= ns) {
        ++*at;
        return next;
    }
    if (next->from_ns < *until)
        *until = next->from_ns;
    return NULL;
}

/* The first part. *slot: the row of FAULTS whose cost it shares, or NULL. */
static struct overlay_part first_part(struct overlay *overlay, int process, int64_t from_ns, int64_t to_ns,
                                      enum category category, struct interval **slot)
{
    struct overlay_part part = {from_ns, to_ns, 0, 0, category, PROCESS_NONE};
    assert(from_ns <= to_ns);
    *slot = NULL;
    struct interval *child = next_child(overlay, process, from_ns, &part.to_ns);
    if (child) {
        part.child = (int)child->what;
        part.to_ns = from_ns;
        return part;
    }
    if (interval_at(overlay, NO_CPU, process, from_ns, &part.to_ns)) {
        part.category = CATEGORY_NO_CPU;
        return part;
    }
    if (category == CATEGORY_RUNNING || category == CATEGORY_OTHER || category == CATEGORY_STARTING ||
        category == CATEGORY_ENDING) {
        struct interval *wait = interval_at(overlay, WAITS, process, from_ns, &part.to_ns);
        if (wait)
            part.category = (enum category)wait->what;
    }
    if (category_is_on_cpu(part.category))
        *slot = interval_at(overlay, FAULTS, process, from_ns, &part.to_ns);
    assert(from_ns == to_ns ||
           (from_ns < part.to_ns && part.to_ns <= to_ns)); /* so going on from its end makes progress */
    return part;
}

void overlay_measure(struct overlay *overlay, int process, int64_t from_ns, int64_t to_ns, enum category category)
{
    while (from_ns < to_ns) {
        struct interval *slot;
        struct overlay_part part = first_part(overlay, process, from_ns, to_ns, category, &slot);
        if (slot)
            slot->on_cpu_ns += part.to_ns - part.from_ns;
        from_ns = part.to_ns;
    }
}

/* ns x part / whole, at most ns. */
static int64_t share_of(int64_t ns, int64_t part, int64_t whole)
{
    int64_t share = part < whole ? (int64_t)((double)ns * (double)part / (double)whole) : ns;
    return share < ns ? share : ns;
}

struct overlay_part overlay_next(struct overlay *overlay, int process, int64_t from_ns, int64_t to_ns,
                                 enum category category)
{
    struct interval *slot;
    struct overlay_part part = first_part(overlay, process, from_ns, to_ns, category, &slot);
    int64_t ns = part.to_ns - part.from_ns;
    if (slot && slot->on_cpu_ns > 0 && slot->cost_ns > 0) {
        part.fault_ns = share_of(ns, slot->cost_ns, slot->on_cpu_ns);
        part.copy_ns = share_of(part.fault_ns, slot->copy_ns, slot->cost_ns);
        assert(part.copy_ns <= part.fault_ns && part.fault_ns <= ns);
    }
    return part;
}

int overlay_late_child(struct overlay *overlay, int process)
{
    int64_t until_ns = INT64_MAX;
    const struct interval *child = next_child(overlay, process, INT64_MAX, &until_ns);
    return child ? (int)child->what : PROCESS_NONE;
}
