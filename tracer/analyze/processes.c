/* Processes by id, tasks by id: two sorted arrays. */
#include "analyze/processes.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/array.h"
#include "store/rows.h"

struct process_of_task {
    int64_t task;
    int process;
};

static int read_processes(struct processes *processes, sqlite3 *db)
{
    struct rows rows;
    size_t room = 0;
    rows_open(&rows, db,
              "SELECT id, pid, start_ns, max(end_ns, start_ns), coalesce(task, 0), coalesce(parent, 0) FROM process "
              "WHERE start_ns IS NOT NULL AND end_ns IS NOT NULL ORDER BY id");
    while (rows_next(&rows)) {
        struct process *grown = array_grow(processes->rows, (size_t)processes->count, &room, sizeof *grown);
        if (!grown || processes->count == INT_MAX) {
            rows_fail(&rows);
            break;
        }
        processes->rows = grown;
        grown[processes->count++] = (struct process){
            .id = rows_integer(&rows, 0),
            .pid = rows_integer(&rows, 1),
            .start_ns = rows_integer(&rows, 2),
            .end_ns = rows_integer(&rows, 3),
            .task = rows_integer(&rows, 4),
            .parent_id = rows_integer(&rows, 5),
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
        struct process_of_task *grown =
            array_grow(processes->tasks, (size_t)processes->task_count, &room, sizeof *grown);
        if (!grown || processes->task_count == INT_MAX) {
            rows_fail(&rows);
            break;
        }
        processes->tasks = grown;
        grown[processes->task_count++] =
            (struct process_of_task){rows_integer(&rows, 0), processes_find(processes, rows_integer(&rows, 1))};
    }
    return rows_close(&rows);
}

int processes_init(struct processes *processes, sqlite3 *db)
{
    *processes = (struct processes){0};
    int error = read_processes(processes, db);
    for (int i = 0; i < processes->count; i++) { /* a child may have been found before its parent */
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

int processes_find(const struct processes *processes, int64_t id)
{
    int low = 0, high = processes->count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (processes->rows[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < processes->count && processes->rows[low].id == id ? low : PROCESS_NONE;
}

int processes_of_task(const struct processes *processes, int64_t task)
{
    int low = 0, high = processes->task_count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (processes->tasks[middle].task < task)
            low = middle + 1;
        else
            high = middle;
    }
    return low < processes->task_count && processes->tasks[low].task == task ? processes->tasks[low].process
                                                                             : PROCESS_NONE;
}
