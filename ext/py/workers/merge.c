/* map with share, or with extract and merge: one process for each chunk, at most map->workers at a time. It sends the
 * chunk's results, then what it has extracted. What was extracted is merged in the order of the chunks, so that the
 * outcome does not depend on which came first.
 *
 *     a round: [map->first, map->end)     fork a process for each chunk --> all are whole --> merge them, in order
 *
 * There is one round, of all chunks, so that each starts from the globals as they are at the call, and nothing is
 * merged when one fails; with share, also when a merge fails. With map->rounds there are rounds of map->workers chunks:
 * each starts from what the rounds before have merged, and no more is kept than what one round has extracted. */
#include "py/workers/merge.h"

#include <assert.h>

#include "py/base/wait.h"

/* ---- in the worker ---- */

static Py_ssize_t chunk_of(const struct sf_worker *worker)
{
    return sf_map_of(worker->engine)->first + (Py_ssize_t)worker->number;
}

static int next_own_chunk(struct sf_worker *worker, struct sf_chunk *chunk)
{
    const struct sf_map *map = sf_map_of(worker->engine);
    Py_ssize_t number = chunk_of(worker);
    if (worker->chunks)
        return 0;
    sf_map_begin_chunk(worker, (uint64_t)number, number * map->chunk, sf_map_chunk_end(map, number), chunk);
    return 1;
}

static int extract_and_send(struct sf_worker *worker, const struct sf_chunk *chunk)
{
    struct sf_map *map = sf_map_of(worker->engine);
    enum sf_tag tag;
    PyObject *extracted = sf_extraction_extract(worker->task.extraction, worker->task.child.task);
    if (!sf_child_is_self(&worker->task.child) || (!extracted && PyErr_ExceptionMatches(PyExc_SystemExit)))
        return -1;
    int failed = sf_worker_send(worker, chunk->number * (uint64_t)map->chunk, true, extracted, &tag);
    Py_XDECREF(extracted);
    return failed;
}

/* ---- in the parent ---- */

/* The earliest chunk that has failed; 0: or `progress` raised. Without a failure the number of chunks. */
static Py_ssize_t failed_chunk(const struct sf_map *map)
{
    const struct sf_results *results = &map->results;
    return !results->failure ? map->chunks : results->failed < 0 ? 0 : results->failed / map->chunk;
}

/* Only chunks before the earliest failed one still matter. */
static void end_later_chunks(struct sf_map *map)
{
    Py_ssize_t failed = failed_chunk(map) - map->first;
    for (Py_ssize_t i = failed < 0 ? 0 : failed; i < map->engine.started; i++)
        sf_engine_end_worker(&map->engine, map->engine.workers[i]);
}

/* Whether all results of a chunk are here; what was extracted after it comes later. */
static bool has_results(const struct sf_map *map, Py_ssize_t chunk)
{
    Py_ssize_t end = sf_map_chunk_end(map, chunk);
    return sf_results_first_missing(&map->results, chunk * map->chunk, end) == end;
}

static Py_ssize_t room_in_chunk(struct sf_engine *engine, uint64_t number, bool extracted)
{
    const struct sf_map *map = sf_map_of(engine);
    Py_ssize_t chunk = (Py_ssize_t)number / map->chunk;
    if (extracted)
        return has_results(map, chunk) && !map->extracted[chunk];
    Py_ssize_t left = sf_map_chunk_end(map, chunk) - (Py_ssize_t)number;
    Py_ssize_t room = sf_results_room(&map->results, number);
    return room < left ? room : left;
}

static void keep_results(struct sf_engine *engine, uint64_t number, PyObject *const *values, Py_ssize_t count)
{
    struct sf_map *map = sf_map_of(engine);
    Py_ssize_t chunk = (Py_ssize_t)number / map->chunk;
    sf_results_keep(&map->results, (Py_ssize_t)number, values, count);
    if (has_results(map, chunk)) /* it is done when something was extracted after it */
        return;
    sf_map_tell(map, (Py_ssize_t)number, count, false);
    end_later_chunks(map); /* `progress` may have raised */
}

static void keep_extracted(struct sf_engine *engine, uint64_t number, PyObject *value)
{
    struct sf_map *map = sf_map_of(engine);
    map->ending++;
    map->extracted[(Py_ssize_t)number / map->chunk] = value;
    sf_map_tell(map, (Py_ssize_t)number, 0, true);
    end_later_chunks(map);
}

static void fail_chunk(struct sf_engine *engine, uint64_t number)
{
    struct sf_map *map = sf_map_of(engine);
    sf_results_fail(&map->results, (Py_ssize_t)number);
    end_later_chunks(map);
}

static void merging_worker_ended(struct sf_engine *engine, struct sf_worker *worker, uint64_t claim)
{
    struct sf_map *map = sf_map_of(engine);
    Py_ssize_t chunk = chunk_of(worker), first = chunk * map->chunk;
    if (map->extracted[chunk]) {
        map->ending--;
        return;
    }
    if (chunk >= failed_chunk(map))
        return;
    bool extracts = has_results(map, chunk);
    sf_map_raise_death(map, worker, extracts ? SF_ENGINE_NO_CLAIM : claim,
                       extracts ? "what it extracted after" : "its results for", first, sf_map_chunk_end(map, chunk));
    sf_results_fail(&map->results, first);
    end_later_chunks(map);
}

static int start_chunks(struct sf_engine *engine)
{
    const struct sf_map *map = sf_map_of(engine);
    while (!map->results.failure && engine->alive < map->workers && engine->started < engine->most)
        if (sf_engine_start(engine))
            return SF_RAISED;
    return sf_map_ask(engine);
}

static bool waits_to_start(struct sf_engine *engine)
{
    const struct sf_map *map = sf_map_of(engine);
    return map->ending > 0 && !map->results.failure && engine->started < engine->most;
}

static bool round_is_whole(struct sf_engine *engine)
{
    struct sf_map *map = sf_map_of(engine);
    Py_ssize_t failed = failed_chunk(map), end = failed < map->end ? failed : map->end;
    while (map->whole < end && map->extracted[map->whole])
        map->whole++;
    return map->whole >= end;
}

static const struct sf_job merge_job = {
    .kind = SF_TASK_MAP_WORKER,
    .run = sf_worker_run,
    .next_chunk = next_own_chunk,
    .after_chunk = extract_and_send,
    .describe = sf_map_describe,
    .room = room_in_chunk,
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
    const struct sf_task *task = &map->engine.workers[chunk - map->first]->task;
    PyObject *extracted = map->extracted[chunk];
    map->extracted[chunk] = NULL;
    int failed = sf_extraction_merge(task->extraction, task->child.task, task->name, extracted);
    Py_DECREF(extracted);
    return failed;
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
    if (sf_extraction_begin(map->extraction))
        return -1;
    for (Py_ssize_t chunk = map->first; chunk < map->end; chunk++) {
        int failed = merge_chunk(map, chunk);
        if (!sf_engine_is_ours(engine))
            return -1;
        if (failed) {
            sf_extraction_revert(map->extraction);
            return -1;
        }
    }
    return 0;
}

int sf_merge_run(struct sf_map *map)
{
    Py_ssize_t step = map->rounds ? map->workers : map->chunks;
    int failed = 0;
    map->engine.extraction = map->extraction;
    map->extracted = PyMem_Calloc((size_t)map->chunks, sizeof *map->extracted);
    if (!map->extracted) {
        PyErr_NoMemory();
        return -1;
    }
    for (map->end = 0; !failed && !map->results.failure && map->end < map->chunks;) {
        map->first = map->end;
        map->end = map->first + step < map->chunks ? map->first + step : map->chunks;
        failed = run_round(map);
        sf_engine_fini(&map->engine);
    }
    for (Py_ssize_t i = 0; i < map->chunks; i++)
        Py_CLEAR(map->extracted[i]);
    PyMem_Free(map->extracted);
    map->extracted = NULL;
    return failed;
}
