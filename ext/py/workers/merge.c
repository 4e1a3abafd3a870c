/* map with extract and merge: one process for each chunk, at most map->workers at a time, forked from the globals as
 * they are at the call. Its results and what it extracted are its task's result, and come when it ends. They are merged
 * in the order of the chunks once all are done, so that the outcome does not depend on which came first. */
#include "py/workers/merge.h"

#include <assert.h>

#include "py/base/wait.h"

/* Worker i has chunk i. */
static PyObject *compute_its_chunk(struct sf_task *task)
{
    struct sf_worker *worker = sf_worker_of(task);
    struct sf_chunk chunk = {.items = NULL};
    sf_map_chunk(sf_map_of(worker->engine), worker->number, &chunk);
    return sf_worker_compute(worker, &chunk);
}

/* Keeps the results of a chunk. Steals the list. */
static void keep_results(struct sf_results *results, Py_ssize_t chunk, PyObject *list)
{
    Py_ssize_t first = chunk * results->chunk, count = sf_results_chunk_end(results, chunk) - first;
    if (PyList_CheckExact(list) && PyList_GET_SIZE(list) == count) {
        for (Py_ssize_t i = 0; i < count; i++)
            sf_results_keep(results, first + i, Py_NewRef(PyList_GET_ITEM(list, i)));
    } else {
        PyErr_Format(PyExc_RuntimeError, "chunk %zd came back without its %zd results", chunk, count);
        sf_results_fail(results, chunk);
    }
    Py_DECREF(list);
}

/* Only chunks before the earliest failed one still matter. */
static void end_later_chunks(struct sf_engine *engine)
{
    Py_ssize_t failed = sf_map_of(engine)->results.failed_chunk;
    for (Py_ssize_t i = failed < 0 ? 0 : failed; i < engine->started; i++)
        sf_engine_end_worker(engine, engine->workers[i]);
}

static void merging_worker_ended(struct sf_engine *engine, struct sf_worker *worker, uint64_t claim)
{
    struct sf_map *map = sf_map_of(engine);
    struct sf_task *task = &worker->task;
    Py_ssize_t chunk = worker->number;
    PyObject *list = NULL;
    int got = sf_task_collect(task, false, 0);
    if (got == 0 && (task->tag == SF_TAG_NONE || task->tag == SF_TAG_EXITED))
        sf_map_raise_death(map, worker, claim, chunk);
    else if (got == 0)
        list = sf_task_result(task);
    if (list && sf_task_open_extracted(task) == 0) {
        keep_results(&map->results, chunk, list);
    } else {
        Py_XDECREF(list);
        sf_results_fail(&map->results, chunk);
    }
    task->joined = true;
    if (map->results.failure)
        end_later_chunks(engine);
}

static int start_chunks(struct sf_engine *engine)
{
    const struct sf_map *map = sf_map_of(engine);
    while (!map->results.failure && engine->alive < map->workers && engine->started < map->results.chunks)
        if (sf_engine_start(engine))
            return SF_RAISED;
    return 0;
}

static bool no_chunk_runs(struct sf_engine *engine)
{
    return engine->alive == 0;
}

static const struct sf_job merge_job = {
    .run = compute_its_chunk,
    .ended = merging_worker_ended,
    .advance = start_chunks,
    .is_finished = no_chunk_runs,
};

int sf_merge_run(struct sf_map *map)
{
    struct sf_engine *engine = &map->engine;
    if (sf_engine_init(engine, &merge_job, map->results.chunks) || sf_engine_wait(engine))
        return -1;
    if (map->results.failure)
        return 0;
    assert(engine->started == map->results.chunks);
    for (Py_ssize_t i = 0; i < engine->started; i++)
        if (sf_task_merge(&engine->workers[i]->task))
            return -1;
    return 0;
}
