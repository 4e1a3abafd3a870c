/* map without extract and merge. See guided.h.
 *
 * A shared counter is the next argument that nobody has claimed. A worker claims a chunk by moving it on. With a
 * chunksize all chunks have that size. Without one each worker sizes its chunks, by guided self-scheduling bounded by
 * time:
 *
 *     what is left / (2 * workers)     so that no chunk is more than half of a worker's share of what is left, whatever
 *                                      its arguments take,
 *     at most a block                  what this worker computes between two sends, some milliseconds (worker.c): long
 *                                      arguments are claimed one by one, and each chunk is one message,
 *     at least an eighth of that       so that near the end claims and messages cost no more than the work between
 *                                      them; but no more than a worker's share of what is left, because the last
 *                                      arguments may be long ones.
 *
 * So workers end within a fraction of a block of each other, where no single argument takes longer. Chunks are claimed
 * in the order of the arguments. */
#include "py/workers/guided.h"

#include "core/os/pid.h"

#define LEAST_PART 8 /* of a block */

/* ---- in the worker ---- */

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

static uint64_t size_chunk(const struct sf_map *map, const struct sf_worker *worker, uint64_t left)
{
    if (map->chunk)
        return (uint64_t)map->chunk < left ? (uint64_t)map->chunk : left;
    uint64_t share = divide_up(left, (uint64_t)map->workers), size = divide_up(share, 2);
    uint64_t most = (uint64_t)worker->block, least = divide_up(most, LEAST_PART);
    least = least < share ? least : share;
    return size > most ? most : size < least ? least : size;
}

/* Claims a chunk, then notes the claim. Killed in between, the chunk is found missing in the end. */
static int claim_chunk(struct sf_worker *worker, struct sf_chunk *chunk)
{
    struct sf_map *map = sf_map_of(worker->engine);
    struct sf_engine_board *board = worker->engine->board;
    uint64_t count = (uint64_t)map->results.count, size;
    /* relaxed: what the chunk is made of was there before the fork */
    uint64_t first = atomic_load_explicit(&board->next, memory_order_relaxed);
    do {
        if (first >= count)
            return 0;
        size = size_chunk(map, worker, count - first);
    } while (!atomic_compare_exchange_weak_explicit(&board->next, &first, first + size, memory_order_relaxed,
                                                    memory_order_relaxed));
    uint64_t number =
        map->chunk ? first / (uint64_t)map->chunk : atomic_fetch_add_explicit(&board->chunks, 1, memory_order_relaxed);
    sf_map_begin_chunk(worker, number, (Py_ssize_t)first, (Py_ssize_t)(first + size), chunk);
    return 1;
}

/* ---- in the parent ---- */

/* Once something has failed, the arguments that nobody has claimed do not matter: those before it were claimed earlier.
 */
static void stop_counter(struct sf_engine *engine)
{
    const struct sf_results *results = &sf_map_of(engine)->results;
    if (results->failure && engine->owner == sf_pid_own()) /* `progress` may have called os.fork */
        atomic_store_explicit(&engine->board->next, (uint64_t)results->count, memory_order_relaxed);
}

static Py_ssize_t room_in_results(struct sf_engine *engine, uint64_t number, bool extracted)
{
    (void)extracted; /* nothing is */
    return sf_results_room(&sf_map_of(engine)->results, number);
}

/* Whether the result of this argument is the last one of a chunk of the one size. */
static bool ends_chunk(const struct sf_map *map, Py_ssize_t number)
{
    if (!map->chunk)
        return false;
    Py_ssize_t chunk = number / map->chunk, end = sf_map_chunk_end(map, chunk);
    return sf_results_first_missing(&map->results, chunk * map->chunk, end) == end;
}

static void keep_results(struct sf_engine *engine, uint64_t number, PyObject *const *values, Py_ssize_t count)
{
    struct sf_map *map = sf_map_of(engine);
    sf_results_keep(&map->results, (Py_ssize_t)number, values, count);
    if (!map->results.progress)
        return;
    sf_map_tell(map, (Py_ssize_t)number, count, ends_chunk(map, (Py_ssize_t)number));
    stop_counter(engine); /* `progress` may have raised */
}

static void fail_argument(struct sf_engine *engine, uint64_t number)
{
    sf_results_fail(&sf_map_of(engine)->results, (Py_ssize_t)number);
    stop_counter(engine);
}

/* Those of the results of arguments [first, end) that are missing will never come. */
static void fail_by_death(struct sf_engine *engine, struct sf_worker *worker, uint64_t claim, Py_ssize_t first,
                          Py_ssize_t end)
{
    struct sf_map *map = sf_map_of(engine);
    sf_map_raise_death(map, worker, claim, "its results for", first, end);
    sf_results_fail(&map->results, sf_results_first_missing(&map->results, first, end));
    stop_counter(engine);
}

/* A worker whose exit status is not 0; the first worker if there is none. */
static struct sf_worker *find_failed(const struct sf_engine *engine)
{
    for (Py_ssize_t i = 0; i < engine->started; i++)
        if (engine->workers[i]->task.child.exit_status != 0)
            return engine->workers[i];
    return engine->workers[0];
}

static bool all_results_are_here(struct sf_engine *engine)
{
    struct sf_results *results = &sf_map_of(engine)->results;
    return sf_results_are_finished(results, results->count);
}

/* A chunk was claimed, and that was not noted: its arguments are missing, and nobody is left who works on them. */
static void fail_unnoted(struct sf_engine *engine)
{
    const struct sf_map *map = sf_map_of(engine);
    Py_ssize_t first = map->results.missing, end;
    if (map->chunk) {
        first -= first % map->chunk;
        end = sf_map_chunk_end(map, first / map->chunk);
    } else {
        end = first + sf_results_room(&map->results, (uint64_t)first);
    }
    fail_by_death(engine, find_failed(engine), SF_ENGINE_NO_CLAIM, first, end);
}

static void counting_worker_ended(struct sf_engine *engine, struct sf_worker *worker, uint64_t claim)
{
    const struct sf_engine_claim *entry = sf_worker_board(worker);
    struct sf_map *map = sf_map_of(engine);
    if (claim != SF_ENGINE_NO_CLAIM) { /* relaxed: its death orders it */
        Py_ssize_t first = (Py_ssize_t)atomic_load_explicit(&entry->first, memory_order_relaxed);
        Py_ssize_t end = (Py_ssize_t)atomic_load_explicit(&entry->end, memory_order_relaxed);
        if (sf_results_first_missing(&map->results, first, end) < end)
            fail_by_death(engine, worker, claim, first, end);
    }
    if (engine->alive == 0 && !all_results_are_here(engine))
        fail_unnoted(engine);
}

static const struct sf_job guided_job = {
    .kind = SF_TASK_MAP_WORKER,
    .run = sf_worker_run,
    .next_chunk = claim_chunk,
    .describe = sf_map_describe,
    .room = room_in_results,
    .keep = keep_results,
    .fail = fail_argument,
    .ended = counting_worker_ended,
    .advance = sf_map_ask,
    .is_finished = all_results_are_here,
};

int sf_guided_run(struct sf_map *map)
{
    struct sf_engine *engine = &map->engine;
    if (sf_engine_init(engine, &guided_job, map->workers))
        return -1;
    for (Py_ssize_t i = 0; i < map->workers; i++)
        if (sf_engine_start(engine))
            return -1;
    if (sf_engine_wait(engine))
        return -1;
    if (!map->chunk) /* relaxed: what the workers have sent orders it */
        map->chunks = (Py_ssize_t)atomic_load_explicit(&engine->board->chunks, memory_order_relaxed);
    return map->results.failure ? 0 : sf_engine_reap(engine);
}
