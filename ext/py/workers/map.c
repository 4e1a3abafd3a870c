/* snakefish.map and starmap: the arguments, and workers that take chunks of them from a shared counter as they become
 * free. The arguments are not copied: workers inherit them. With extract and merge it is merge.c that runs. */
#include "py/workers/map_call.h"

#include <stdio.h>

#include "core/log/log.h"
#include "core/os/cpus.h"
#include "py/base/arguments.h"
#include "py/base/errors.h"
#include "py/base/types.h"
#include "py/workers/merge.h"

/* ---- in the worker ---- */

/* Claims by adding to the counter, then notes the claim. Killed in between, the chunk is found missing in the end. */
static int next_by_counter(struct sf_worker *worker, struct sf_chunk *chunk)
{
    struct sf_map *map = sf_map_of(worker->engine);
    /* relaxed: what the chunk is made of was there before the fork */
    uint64_t number = atomic_fetch_add_explicit(&worker->engine->board->next, 1, memory_order_relaxed);
    if (number >= (uint64_t)map->results.chunks)
        return 0;
    sf_map_chunk(map, (Py_ssize_t)number, chunk);
    atomic_store_explicit(sf_worker_claim(worker), (uint64_t)chunk->at, memory_order_relaxed);
    return 1;
}

static void describe_result(const struct sf_engine *engine, uint64_t number, bool several, char *what)
{
    const struct sf_map *map = sf_map_of(engine);
    char chunk[80];
    sf_results_describe_chunk(&map->results, (Py_ssize_t)number / map->results.chunk, chunk);
    snprintf(what, SF_ENGINE_WHAT_BYTES,
             several ? "its results from argument %llu on, of %s" : "its result for argument %llu, of %s",
             (unsigned long long)number, chunk);
}

/* ---- in the parent ---- */

static Py_ssize_t room_for_results(struct sf_engine *engine, uint64_t number)
{
    return sf_results_room(&sf_map_of(engine)->results, number);
}

/* Once something has failed, the chunks that nobody has claimed do not matter: those before it were claimed earlier. */
static void stop_counter(struct sf_engine *engine)
{
    const struct sf_results *results = &sf_map_of(engine)->results;
    if (results->failure)
        atomic_store_explicit(&engine->board->next, (uint64_t)results->chunks, memory_order_relaxed);
}

static void keep_result(struct sf_engine *engine, uint64_t number, PyObject *value)
{
    sf_results_keep(&sf_map_of(engine)->results, (Py_ssize_t)number, value);
    stop_counter(engine); /* `progress` may have raised */
}

static void fail_argument(struct sf_engine *engine, uint64_t number)
{
    struct sf_results *results = &sf_map_of(engine)->results;
    sf_results_fail(results, (Py_ssize_t)number / results->chunk);
    stop_counter(engine);
}

static void fail_by_death(struct sf_engine *engine, struct sf_worker *worker, uint64_t claim, Py_ssize_t chunk)
{
    sf_map_raise_death(sf_map_of(engine), worker, claim, chunk);
    sf_results_fail(&sf_map_of(engine)->results, chunk);
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

static void counting_worker_ended(struct sf_engine *engine, struct sf_worker *worker, uint64_t claim)
{
    struct sf_results *results = &sf_map_of(engine)->results;
    if (claim != SF_ENGINE_NO_CLAIM && !sf_results_has_chunk(results, (Py_ssize_t)claim / results->chunk))
        fail_by_death(engine, worker, claim, (Py_ssize_t)claim / results->chunk);
    if (engine->alive == 0 && !sf_results_are_finished(results)) /* a chunk was claimed, and the claim not noted */
        fail_by_death(engine, find_failed(engine), SF_ENGINE_NO_CLAIM, results->missing);
}

static bool all_results_are_here(struct sf_engine *engine)
{
    return sf_results_are_finished(&sf_map_of(engine)->results);
}

static const struct sf_job counter_job = {
    .next_chunk = next_by_counter,
    .run = sf_worker_run,
    .describe = describe_result,
    .room = room_for_results,
    .keep = keep_result,
    .fail = fail_argument,
    .ended = counting_worker_ended,
    .is_finished = all_results_are_here,
    .uses_ring = true,
};

static int run_by_counter(struct sf_map *map)
{
    struct sf_engine *engine = &map->engine;
    if (sf_engine_init(engine, &counter_job, map->workers))
        return -1;
    for (Py_ssize_t i = 0; i < map->workers; i++)
        if (sf_engine_start(engine))
            return -1;
    if (sf_engine_wait(engine))
        return -1;
    return map->results.failure ? 0 : sf_engine_reap(engine);
}

static void log_map(const struct sf_map *map, uint32_t number)
{
    static const char name[] = "map";
    uint32_t text = sf_log_text(name, sizeof name - 1);
    sf_log_write(SF_EVENT_TASK, SF_PHASE_INSTANT, number, text, SF_TASK_MAP);
    sf_log_write(SF_EVENT_MAP, SF_PHASE_BEGIN, number, (uint64_t)map->results.chunks, (uint64_t)map->workers);
}

static PyObject *run_map(struct sf_map *map)
{
    struct sf_results *results = &map->results;
    uint32_t number = sf_log_next_task();
    PyObject *all = NULL;
    if (sf_log_enabled())
        log_map(map, number);
    int failed = sf_results_init(results);
    if (!failed)
        failed = map->engine.extract ? sf_merge_run(map) : run_by_counter(map);
    sf_engine_fini(&map->engine);
    sf_log_write(SF_EVENT_MAP, SF_PHASE_END, number, (uint64_t)results->chunks, (uint64_t)map->workers);
    if (!failed)
        all = sf_results_finish(results);
    sf_results_fini(results);
    return all;
}

/* The argument `progress` as what is called: NULL for nothing; a bar is one of snakefish._progress, and has to be
 * closed. 0, or -1 with an exception. */
static int open_progress(PyObject *progress, Py_ssize_t count, PyObject **callable, PyObject **bar)
{
    *callable = *bar = NULL;
    if (!progress || progress == Py_None || progress == Py_False)
        return 0;
    if (progress != Py_True) {
        *callable = progress;
        if (PyCallable_Check(progress))
            return 0;
        PyErr_Format(PyExc_TypeError, "progress must be a bool, None or a callable(done, total), not %.200s",
                     Py_TYPE(progress)->tp_name);
        return -1;
    }
    PyObject *module = PyImport_ImportModule("snakefish._progress");
    *bar = module ? PyObject_CallMethod(module, "bar", "n", count) : NULL;
    Py_XDECREF(module);
    if (*bar == Py_None)
        Py_CLEAR(*bar); /* nobody would see it */
    else if (!*bar)
        return -1;
    *callable = *bar;
    return 0;
}

/* Closes the bar, also after an exception, which stays. Steals both; returns all, or NULL. */
static PyObject *close_progress(PyObject *bar, PyObject *all)
{
    if (!bar)
        return all;
    PyObject *raised = sf_take_raised(), *closed = PyObject_CallMethod(bar, "close", NULL);
    Py_DECREF(bar);
    if (!closed)
        Py_CLEAR(all);
    Py_XDECREF(closed);
    if (raised) {
        PyErr_Clear();
        sf_put_raised(raised);
    }
    return all;
}

/* Whether the third positional argument makes it the form with extract and merge. */
static bool has_extract(PyObject *args)
{
    return PyTuple_GET_SIZE(args) > 2 && !PyIndex_Check(PyTuple_GET_ITEM(args, 2));
}

/* Chunks of `chunk` arguments, 0: an even split, for at most `concurrency` workers. */
static void split_arguments(struct sf_map *map, int64_t concurrency, int64_t chunk)
{
    struct sf_results *results = &map->results;
    Py_ssize_t count = results->count;
    results->chunk = chunk ? chunk : count / concurrency + (count % concurrency != 0);
    results->chunk = results->chunk < count ? results->chunk : count;
    results->chunks = results->chunk ? count / results->chunk + (count % results->chunk != 0) : 0;
    map->workers = concurrency < results->chunks ? concurrency : results->chunks;
}

static PyObject *map_or_starmap(PyObject *args, PyObject *kwargs, bool star)
{
    static char *plain[] = {"f", "args", "concurrency", "chunksize", "extract", "merge", "progress", NULL};
    static char *merging[] = {"f", "args", "extract", "merge", "concurrency", "chunksize", "progress", NULL};
    struct sf_map map = {.engine = {.star = star}};
    struct sf_engine *engine = &map.engine;
    struct sf_results *results = &map.results;
    PyObject *iterable, *extract = Py_None, *merge = Py_None, *concurrency_object = NULL, *chunk_object = NULL;
    PyObject *progress = NULL, *bar;
    int64_t concurrency = 0, chunk = 0;
    int parsed =
        has_extract(args)
            ? PyArg_ParseTupleAndKeywords(args, kwargs, star ? "OO|OOOO$O:starmap" : "OO|OOOO$O:map", merging,
                                          &engine->f, &iterable, &extract, &merge, &concurrency_object, &chunk_object,
                                          &progress)
            : PyArg_ParseTupleAndKeywords(args, kwargs, star ? "OO|OO$OOO:starmap" : "OO|OO$OOO:map", plain, &engine->f,
                                          &iterable, &concurrency_object, &chunk_object, &extract, &merge, &progress);
    if (!parsed || !sf_argument_is_callable(engine->f, "f", false) ||
        !sf_argument_is_callable(extract, "extract", true) || !sf_argument_is_callable(merge, "merge", true))
        return NULL;
    if ((extract == Py_None) != (merge == Py_None))
        return PyErr_Format(PyExc_ValueError, "extract and merge go together: give both or neither");
    if (sf_argument_integer(concurrency_object, "concurrency", 0, "0: one for each CPU", &concurrency) ||
        sf_argument_integer(chunk_object, "chunksize", 0, "0: an even split", &chunk))
        return NULL;
    engine->extract = extract == Py_None ? NULL : extract;
    engine->merge = merge == Py_None ? NULL : merge;
    /* No copy of what children can read where it is: a reference to each item would touch each item's page, here
     * before the fork and once more, page by page copied, after it. */
    map.items = PyRange_Check(iterable) || PyTuple_CheckExact(iterable) || PyList_CheckExact(iterable)
                    ? Py_NewRef(iterable)
                    : sf_argument_list(iterable, "args");
    results->count = map.items ? PySequence_Size(map.items) : -1;
    if (results->count < 0) {
        Py_XDECREF(map.items);
        return NULL;
    }
    split_arguments(&map, concurrency ? concurrency : sf_cpus_count(), chunk);
    PyObject *all = NULL;
    if (open_progress(progress, results->count, &results->progress, &bar) == 0)
        all = close_progress(bar, results->chunks ? run_map(&map) : PyList_New(0));
    Py_DECREF(map.items);
    return all;
}

static PyObject *map_function(PyObject *module, PyObject *args, PyObject *kwargs)
{
    (void)module;
    return map_or_starmap(args, kwargs, false);
}

static PyObject *starmap_function(PyObject *module, PyObject *args, PyObject *kwargs)
{
    (void)module;
    return map_or_starmap(args, kwargs, true);
}

#define MAP_DOC                                                                                                        \
    "concurrency: how many processes at a time, 0: cpu_count(). chunksize: arguments a process takes at once, 0: "     \
    "an\n"                                                                                                             \
    "even split. Without extract and merge the processes take chunks as they become free. With them each chunk "       \
    "has a\n"                                                                                                          \
    "process of its own, forked from the globals as they are at the call, and merge runs here for each chunk in "      \
    "the\n"                                                                                                            \
    "order of args: the same result at any concurrency. As positional arguments extract and merge come before\n"       \
    "concurrency. A list is read where it is, in the processes as here: change it when map has returned.\n\n"          \
    "progress: True shows a bar on stderr (tqdm's where it is installed), if that is a terminal; or a callable, "      \
    "which\n"                                                                                                          \
    "is called here as progress(done, total) after each chunk, in arguments; what it raises ends the map.\n\n"         \
    "Blocks until all is done. Raises the exception of the earliest failing argument, with the child's traceback "     \
    "as\n"                                                                                                             \
    "__cause__ (ChildDied when a process was killed), after the other processes are ended; then nothing is "           \
    "merged."

PyMethodDef sf_map_functions[] = {
    {"map", (PyCFunction)(void (*)(void))map_function, METH_VARARGS | METH_KEYWORDS,
     "map(f, args, concurrency=0, chunksize=0, *, extract=None, merge=None, progress=None)\n--\n\n"
     "[f(x) for x in args], in forked processes; f may be a lambda or a closure.\n\n" MAP_DOC},
    {"starmap", (PyCFunction)(void (*)(void))starmap_function, METH_VARARGS | METH_KEYWORDS,
     "starmap(f, args, concurrency=0, chunksize=0, *, extract=None, merge=None, progress=None)\n--\n\n"
     "[f(*x) for x in args], in forked processes; f may be a lambda or a closure.\n\n" MAP_DOC},
    {NULL, NULL, 0, NULL},
};
