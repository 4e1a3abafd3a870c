/* Sums the stretches. Invariant: the rows of a process sum to its life, because its stretches have no gap. */
#include "analyze/ledger.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "analyze/activity.h"
#include "store/inserts.h"

struct ledger {
    int64_t (*ns)[CATEGORY_COUNT]; /* of each process */
};

static void add_stretch(void *arg, const struct stretch *s)
{
    int64_t *ns = ((struct ledger *)arg)->ns[s->process];
    ns[CATEGORY_PAGE_FAULTS] += s->fault_ns;
    ns[CATEGORY_TRACING] += s->tracing_ns;
    ns[s->category] += s->to_ns - s->from_ns - s->fault_ns - s->tracing_ns;
}

__attribute__((unused)) static bool sums_to_life(const int64_t *ns, const struct process *process)
{
    int64_t sum_ns = 0;
    for (int category = 0; category < CATEGORY_COUNT; category++)
        sum_ns += ns[category];
    return sum_ns == process->end_ns - process->start_ns;
}

static int write_ledger(sqlite3 *db, const struct processes *processes, const struct ledger *ledger)
{
    struct inserts inserts;
    if (sqlite3_exec(db, "DELETE FROM ledger", NULL, NULL, NULL) != SQLITE_OK)
        return -EIO;
    inserts_open(&inserts, db, "INSERT INTO ledger VALUES(?, ?, ?)");
    for (int p = 0; p < processes->count && !inserts.error; p++) {
        assert(sums_to_life(ledger->ns[p], &processes->rows[p]));
        for (int category = 0; category < CATEGORY_COUNT; category++)
            inserts_row(&inserts, "isi", processes->rows[p].id, category_name((enum category)category),
                        ledger->ns[p][category]);
    }
    return inserts_close(&inserts);
}

int ledger_fill(sqlite3 *db, const struct processes *processes)
{
    struct ledger ledger = {calloc((size_t)processes->count + 1, sizeof *ledger.ns)};
    struct activity_visitor visitor = {.arg = &ledger, .stretch = add_stretch};
    int error = ledger.ns ? activity_walk(db, processes, &visitor) : -ENOMEM;
    if (!error)
        error = write_ledger(db, processes, &ledger);
    free(ledger.ns);
    return error;
}
