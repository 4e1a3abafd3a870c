/* The processes of a stored trace, with their parents. */
#ifndef SF_TRACER_ANALYZE_PROCESSES_H
#define SF_TRACER_ANALYZE_PROCESSES_H

#include <sqlite3.h>
#include <stdint.h>

#define PROCESS_NONE (-1)

struct process {
    int64_t id, start_ns, end_ns; /* it does not end before it starts */
    int64_t task, parent_id;      /* 0: none */
    int parent;                   /* index; PROCESS_NONE: not traced */
};

struct processes {
    struct process *rows; /* sorted by id; everywhere else a process is its index here */
    int count;
    struct process_of_task *tasks;
    int task_count;
};

int processes_init(struct processes *processes, sqlite3 *db); /* 0, -ENOMEM or -EIO; fini in every case */
void processes_fini(struct processes *processes);

int processes_find(const struct processes *processes, int64_t id);      /* its index, or PROCESS_NONE */
int processes_of_task(const struct processes *processes, int64_t task); /* the index of the one that runs the task */

#endif
