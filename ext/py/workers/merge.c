/* map with extract and merge: one process for each chunk, at most map->workers at a time. It sends the chunk's results,
 * then what it has extracted. What was extracted is merged in the order of the chunks, so that the outcome does not
 * depend on which came first.
 *
 *     a round: [map->first, map->end)     fork a process for each chunk --> all are whole --> merge them, in order
 *
 * There is one round, of all chunks, so that each starts from the globals as they are at the call, and nothing is
 * merged when one fails. With map->rounds there are rounds of map->workers chunks: each starts from what the rounds
 * before have merged, and no more is kept than what one round has extracted. */
#include "py/workers/merge.h"

#include <assert.h>

#include "core/log/log.h"
#include "py/base/caller.h"
#include "py/base/wait.h"

/* ---- in the worker ---- */

static Py_ssize_t chunk_of(const struct sf_worker *worker)
{
    return sf_map_of(worker->engine)->first + (Py_ssize_t)worker->number;
}

static int next_own_chunk(struct sf_worker *worker, struct sf_chunk *chunk)
{
    if (worker->chunks)
        return 0;
    sf_map_chunk(sf_map_of(worker->engine), chunk_of(worker), chunk);
    return 1;
}

static int extract_and_send(struct sf_worker *worker, const struct sf_chunk *chunk)
{
    struct sf_map *map = sf_map_of(worker->engine);
    enum sf_tag tag;
    sf_log_write(SF_EVENT_EXTRACT, SF_PHASE_BEGIN, worker->task.child.task, 0, 0);
    PyObject *extracted = PyObject_CallOneArg(map->extract, map->globals);
    if (!extracted)
        sf_caller_note_key_error("extract", map->globals);
    sf_log_write(SF_EVENT_EXTRACT, SF_PHASE_END, worker->task.child.task, 0, 0);
    if (!sf_child_is_self(&worker->task.child) || (!extracted && PyErr_ExceptionMatches(PyExc_SystemExit)))
        return -1;
    int failed = sf_worker_send(worker, chunk->number * (uint64_t)map->results.chunk, true, extracted, &tag);
    Py_XDECREF(extracted);
    return failed;
}

/* ---- in the parent ---- */

/* Only chunks before the earliest failed one still matter. */
static void end_later_chunks(struct sf_map *map)
{
    Py_ssize_t failed = map->results.failed_chunk - map->first;
    for (Py_ssize_t i = failed < 0 ? 0 : failed; map->results.failure && i < map->engine.started; i++)
        sf_engine_end_worker(&map->engine, map->engine.workers[i]);
}

static void keep_results(struct sf_engine *engine, uint64_t number, PyObject *const *values, Py_ssize_t count)
{
    sf_results_keep(&sf_map_of(engine)->results, (Py_ssize_t)number, values, count);
}

static void keep_extracted(struct sf_engine *engine, uint64_t number, PyObject *value)
{
    struct sf_map *map = sf_map_of(engine);
    map->ending++;
    sf_results_keep_extracted(&map->results, (Py_ssize_t)number / map->results.chunk, value);
    end_later_chunks(map); /* `progress` may have raised */
}

static void fail_chunk(struct sf_engine *engine, uint64_t number)
{
    struct sf_map *map = sf_map_of(engine);
    sf_results_fail(&map->results, (Py_ssize_t)number / map->results.chunk);
    end_later_chunks(map);
}

static void merging_worker_ended(struct sf_engine *engine, struct sf_worker *worker, uint64_t claim)
{
    struct sf_map *map = sf_map_of(engine);
    Py_ssize_t chunk = chunk_of(worker);
    if (sf_results_has_chunk(&map->results, chunk)) {
        map->ending--;
        return;
    }
    if (chunk >= map->results.failed_chunk)
        return;
    bool has_results = sf_results_misses_extracted(&map->results, chunk);
    sf_map_raise_death(map, worker, has_results ? SF_ENGINE_NO_CLAIM : claim, chunk);
    sf_results_fail(&map->results, chunk);
    end_later_chunks(map);
}

static int start_chunks(struct sf_engine *engine)
{
    const struct sf_map *map = sf_map_of(engine);
    while (!map->results.failure && engine->alive < map->workers && engine->started < engine->most)
        if (sf_engine_start(engine))
            return SF_RAISED;
    return 0;
}

static bool waits_to_start(struct sf_engine *engine)
{
    const struct sf_map *map = sf_map_of(engine);
    return map->ending > 0 && !map->results.failure && engine->started < engine->most;
}

static bool round_is_whole(struct sf_engine *engine)
{
    struct sf_map *map = sf_map_of(engine);
    return sf_results_are_finished(&map->results, map->end);
}

static const struct sf_job merge_job = {
    .run = sf_worker_run,
    .next_chunk = next_own_chunk,
    .after_chunk = extract_and_send,
    .describe = sf_map_describe,
    .room = sf_map_room,
    .keep = keep_results,
    .fail = fail_chunk,
    .extracted = keep_extracted,
    .ended = merging_worker_ended,
    .advance = start_chunks,
    .is_finished = round_is_whole,
    .awaits_end = waits_to_start,
    .sends_whole = true,
};

static int merge_chunk(struct sf_map *map, Py_ssize_t chunk)
{
    uint32_t task = map->engine.workers[chunk - map->first]->task.child.task;
    PyObject *extracted = sf_results_take_extracted(&map->results, chunk);
    sf_log_write(SF_EVENT_MERGE, SF_PHASE_BEGIN, task, 0, 0);
    PyObject *merged = PyObject_CallFunctionObjArgs(map->merge, map->globals, extracted, NULL);
    if (!merged)
        sf_caller_note_key_error("merge", map->globals);
    sf_log_write(SF_EVENT_MERGE, SF_PHASE_END, task, 0, 0);
    Py_DECREF(extracted);
    Py_XDECREF(merged);
    return merged ? 0 : -1;
}

/* 0, or -1 with an exception other than the failure. */
static int run_round(struct sf_map *map)
{
    struct sf_engine *engine = &map->engine;
    map->ending = 0;
    if (sf_engine_init(engine, &merge_job, map->end - map->first) || sf_engine_wait(engine))
        return -1;
    if (map->results.failure)
        return 0;
    assert(engine->started == engine->most);
    if (sf_engine_reap(engine))
        return -1;
    for (Py_ssize_t chunk = map->first; chunk < map->end; chunk++)
        if (merge_chunk(map, chunk) || !sf_engine_is_ours(engine))
            return -1;
    return 0;
}

int sf_merge_run(struct sf_map *map)
{
    Py_ssize_t step = map->rounds ? map->workers : map->results.chunks;
    int failed = 0;
    for (map->end = 0; !failed && !map->results.failure && map->end < map->results.chunks;) {
        map->first = map->end;
        map->end = map->first + step < map->results.chunks ? map->first + step : map->results.chunks;
        failed = run_round(map);
        sf_engine_fini(&map->engine);
    }
    return failed;
}
