/* Two arrays, sorted by id: processes, and which process runs a task. */
#include "analyze/processes.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/clock.h"
#include "store/rows.h"

struct process_of_task {
    int64_t id;
    int process;
};

/* The arrays are searched by their elements' first member. */
static_assert(offsetof(struct process, id) == 0 && offsetof(struct process_of_task, id) == 0, "the key comes first");

static int compare_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t hold_time(int64_t ns, int64_t least_ns)
{
    return ns < least_ns ? least_ns : ns > CLOCK_MAX_NS ? CLOCK_MAX_NS : ns;
}

static int read_processes(struct processes *processes, sqlite3 *db)
{
    struct rows rows;
    size_t room = 0;
    rows_open(&rows, db,
              "SELECT id, start_ns, end_ns, coalesce(task, 0), coalesce(parent, 0) FROM process "
              "WHERE start_ns IS NOT NULL AND end_ns IS NOT NULL ORDER BY id");
    while (rows_next(&rows)) {
        int64_t id = rows_integer(&rows, 0), start_ns = hold_time(rows_integer(&rows, 1), -CLOCK_MAX_NS);
        if (processes->count && id <= processes->rows[processes->count - 1].id)
            continue; /* only a table that is not ours has ids that are no numbers, or not distinct */
        struct process *grown = array_grow(processes->rows, (size_t)processes->count, &room, sizeof *grown);
        if (!grown || processes->count == INT_MAX) {
            rows_fail(&rows);
            break;
        }
        processes->rows = grown;
        grown[processes->count++] = (struct process){
            .id = id,
            .start_ns = start_ns,
            .end_ns = hold_time(rows_integer(&rows, 2), start_ns),
            .task = rows_integer(&rows, 3),
            .parent_id = rows_integer(&rows, 4),
        };
    }
    return rows_close(&rows);
}

static int read_tasks(struct processes *processes, sqlite3 *db)
{
    struct rows rows;
    size_t room = 0;
    rows_open(&rows, db, "SELECT id, process FROM task WHERE process IS NOT NULL AND kind IS NOT 'map' ORDER BY id");
    while (rows_next(&rows)) {
        int64_t id = rows_integer(&rows, 0);
        if (processes->task_count && id <= processes->tasks[processes->task_count - 1].id)
            continue; /* likewise */
        struct process_of_task *grown =
            array_grow(processes->tasks, (size_t)processes->task_count, &room, sizeof *grown);
        if (!grown || processes->task_count == INT_MAX) {
            rows_fail(&rows);
            break;
        }
        processes->tasks = grown;
        grown[processes->task_count++] =
            (struct process_of_task){id, processes_find(processes, rows_integer(&rows, 1))};
    }
    return rows_close(&rows);
}

int processes_init(struct processes *processes, sqlite3 *db)
{
    *processes = (struct processes){0};
    int error = read_processes(processes, db);
    for (int i = 0; i < processes->count; i++) { /* not while reading: a parent may come after its child */
        struct process *process = &processes->rows[i];
        process->parent = processes_find(processes, process->parent_id);
        if (process->parent == i)
            process->parent = PROCESS_NONE;
    }
    return error ? error : read_tasks(processes, db);
}

void processes_fini(struct processes *processes)
{
    free(processes->rows);
    free(processes->tasks);
    *processes = (struct processes){0};
}

/* The element with that id, or NULL. */
static const void *find_id(const void *rows, int count, size_t size, int64_t id)
{
    return count ? bsearch(&id, rows, (size_t)count, size, compare_ids) : NULL;
}

int processes_find(const struct processes *processes, int64_t id)
{
    const struct process *found = find_id(processes->rows, processes->count, sizeof *found, id);
    return found ? (int)(found - processes->rows) : PROCESS_NONE;
}

int processes_of_task(const struct processes *processes, int64_t task)
{
    const struct process_of_task *found = find_id(processes->tasks, processes->task_count, sizeof *found, task);
    return found ? found->process : PROCESS_NONE;
}
