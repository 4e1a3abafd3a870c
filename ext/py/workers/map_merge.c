/* map with extract and merge: one process for each chunk, forked from the globals as they are at the call; the results
 * and what was extracted come by result_file; merged in the order of the chunks once all are done, so that the result
 * does not depend on which came first. */
#include "py/workers/map.h"

#include "core/log/log.h"
#include "py/base/errors.h"
#include "py/base/wait.h"
#include "py/task/task.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

struct chunk {
    struct sf_task task;
    struct run *run;
    Py_ssize_t number;
};

struct run {
    struct sf_map *map;
    struct chunk *chunks;
    Py_ssize_t started, running;
    struct pollfd *waited; /* as many as workers; filled before each sleep */
    nfds_t waited_count;
};

static PyObject *compute(struct sf_task *task)
{
    struct chunk *chunk = (struct chunk *)((char *)task - offsetof(struct chunk, task));
    return sf_map_compute(chunk->run->map, chunk->number);
}

static int start(struct run *run)
{
    struct chunk *chunk = &run->chunks[run->started];
    chunk->run = run;
    chunk->number = run->started;
    chunk->task.run = compute;
    run->started++;
    if (sf_task_init(&chunk->task, SF_TASK_MAP_WORKER, run->map->f, NULL, NULL, run->map->extract, run->map->merge,
                     NULL) ||
        sf_task_start(&chunk->task))
        return -1;
    run->running++;
    return 0;
}

static void take(struct run *run, struct chunk *chunk)
{
    chunk->task.joined = true;
    if (chunk->task.tag == SF_TAG_NONE || chunk->task.tag == SF_TAG_EXITED) {
        sf_map_fail_by_death(run->map, &chunk->task, chunk->number);
        return;
    }
    PyObject *list = sf_task_result(&chunk->task);
    if (list && sf_task_open_extracted(&chunk->task) == 0) {
        sf_map_keep(run->map, chunk->number * run->map->chunk, list);
        return;
    }
    Py_XDECREF(list);
    sf_map_fail(run->map, chunk->number);
}

/* Takes what has ended. 0: something did, -EAGAIN, SF_RAISED or -errno. */
static int try_any(void *what)
{
    struct run *run = what;
    int got = -EAGAIN;
    run->waited_count = 0;
    for (Py_ssize_t i = 0; i < run->started; i++) {
        struct chunk *chunk = &run->chunks[i];
        if (chunk->task.joined || chunk->task.child.state == SF_CHILD_NEW)
            continue;
        int collected = sf_task_collect(&chunk->task, false, 0);
        if (collected == 0) {
            take(run, chunk);
            run->running--;
            got = 0;
        } else if (collected != -EAGAIN) {
            return collected;
        } else {
            run->waited[run->waited_count++] = (struct pollfd){.fd = chunk->task.child.pidfd, .events = POLLIN};
        }
    }
    return got;
}

static int sleep_for_any(void *what, int64_t timeout_ns)
{
    struct run *run = what;
    struct timespec limit = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    int ready = ppoll(run->waited, run->waited_count, &limit, NULL);
    return ready < 0 ? -errno : ready ? 0 : -ETIMEDOUT;
}

/* Only chunks before the earliest failed one still matter. */
static void end_later_ones(struct run *run)
{
    for (Py_ssize_t i = run->map->failed_chunk + 1; i < run->started; i++) {
        struct chunk *chunk = &run->chunks[i];
        if (chunk->task.child.state != SF_CHILD_RUNNING)
            continue;
        sf_task_dispose(&chunk->task, NULL, false);
        chunk->task.joined = true;
        run->running--;
    }
}

static int run_all(struct run *run)
{
    struct sf_map *map = run->map;
    struct sf_waiting waiting = {try_any, sleep_for_any, run, SF_WAIT_CHILD, 0};
    for (;;) {
        while (!map->failure && run->running < map->workers && run->started < map->chunks)
            if (start(run))
                return -1;
        if (map->failure)
            end_later_ones(run);
        if (run->running == 0)
            break;
        int got = sf_wait(&waiting, true, SF_FOREVER);
        if (got) {
            if (got != SF_RAISED)
                sf_error(got, "cannot wait for a chunk's process");
            return -1;
        }
    }
    for (Py_ssize_t i = 0; i < map->chunks && !map->failure; i++)
        if (sf_task_merge(&run->chunks[i].task))
            return -1;
    return 0;
}

int sf_map_by_merge(struct sf_map *map)
{
    struct run run = {.map = map};
    int failed = -1;
    run.chunks = PyMem_Calloc((size_t)map->chunks, sizeof *run.chunks);
    run.waited = PyMem_Calloc((size_t)map->workers, sizeof *run.waited);
    if (run.chunks && run.waited)
        failed = run_all(&run);
    else
        PyErr_NoMemory();
    for (Py_ssize_t i = 0; run.chunks && i < run.started; i++)
        sf_task_fini(&run.chunks[i].task);
    PyMem_Free(run.waited);
    PyMem_Free(run.chunks);
    return failed;
}
