/* snakefish.map and starmap: the call, its arguments, and which way it runs: guided.c, or with extract and merge
 * merge.c. The arguments are not copied: workers inherit them. */
#include "py/workers/map_call.h"

#include <stdio.h>
#include <string.h>

#include "core/log/log.h"
#include "core/os/cpus.h"
#include "py/base/arguments.h"
#include "py/base/errors.h"
#include "py/base/types.h"
#include "py/workers/call_arguments.h"
#include "py/workers/guided.h"
#include "py/workers/merge.h"
#include "py/workers/share.h"
#include "py/workers/timeout.h"

static void log_map(const struct sf_map *map, uint32_t number)
{
    static const char name[] = "map";
    uint32_t text = sf_log_text(name, sizeof name - 1);
    sf_log_write(SF_EVENT_TASK, SF_PHASE_INSTANT, number, text, SF_TASK_MAP);
    sf_log_write(SF_EVENT_MAP, SF_PHASE_BEGIN, number, (uint64_t)map->chunks, (uint64_t)map->workers);
}

static PyObject *run_map(struct sf_map *map)
{
    struct sf_results *results = &map->results;
    uint32_t number = sf_log_next_task();
    PyObject *all = NULL;
    if (sf_log_enabled())
        log_map(map, number);
    int failed = sf_results_init(results);
    if (!failed && results->progress && map->chunk &&
        !(map->counted = PyMem_Calloc((size_t)map->chunks, sizeof(Py_ssize_t)))) {
        PyErr_NoMemory();
        failed = -1;
    }
    if (!failed)
        failed = map->extraction ? sf_merge_run(map) : sf_guided_run(map);
    sf_engine_fini(&map->engine);
    sf_log_write(SF_EVENT_MAP, SF_PHASE_END, number, (uint64_t)map->chunks, (uint64_t)map->workers);
    if (!failed)
        all = sf_results_finish(results);
    sf_results_fini(results);
    PyMem_Free(map->counted);
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

/* Whether the positional arguments are the form with extract and merge. None may be extract, or concurrency. */
static bool has_extract(PyObject *args)
{
    Py_ssize_t count = PyTuple_GET_SIZE(args);
    if (count < 4 || PyTuple_GET_ITEM(args, 2) != Py_None)
        return count > 2 && PyCallable_Check(PyTuple_GET_ITEM(args, 2));
    return PyTuple_GET_ITEM(args, 3) == Py_None || PyCallable_Check(PyTuple_GET_ITEM(args, 3));
}

/* Chunks of `chunk` arguments for at most `concurrency` workers. 0: the workers cut them, or with extract and merge an
 * even split. */
static void split_arguments(struct sf_map *map, int64_t concurrency, int64_t chunk)
{
    Py_ssize_t count = map->results.count;
    if (!chunk && map->extraction)
        chunk = count / concurrency + (count % concurrency != 0);
    map->chunk = chunk < count ? (Py_ssize_t)chunk : count;
    map->chunks = map->chunk ? count / map->chunk + (count % map->chunk != 0) : 0;
    Py_ssize_t most = map->chunk ? map->chunks : count;
    map->workers = concurrency < most ? (Py_ssize_t)concurrency : most;
    map->engine.together = map->workers;
}

/* Whether the third positional argument can be concurrency or extract. If not: false, with TypeError. */
static bool is_third(PyObject *args)
{
    PyObject *third = PyTuple_GET_SIZE(args) > 2 ? PyTuple_GET_ITEM(args, 2) : Py_None;
    if (third == Py_None || PyIndex_Check(third) || PyCallable_Check(third))
        return true;
    PyErr_Format(PyExc_TypeError, "the third argument is concurrency, an int, or extract, a callable, not %.200s%s",
                 Py_TYPE(third)->tp_name, PyFloat_Check(third) ? ": write // instead of /, or int(...)" : "");
    return false;
}

/* What a call gives, as it is; all borrowed. */
struct arguments {
    PyObject *f, *iterable, *concurrency, *chunksize, *progress, *rounds, *timeout, *blas_threads;
    struct sf_extraction_call extraction;
};

/* Both forms: extract and merge may come before concurrency. 0, or -1 with TypeError. */
static int parse(const char *function, PyObject *args, PyObject *kwargs, struct arguments *to)
{
    static char *plain[] = {"f",           "args",        "concurrency", "chunksize", "extract",      "merge",
                            "progress",    "rounds",      "globals",     "timeout",   "blas_threads", "share",
                            "on_conflict", "share_check", NULL};
    static char *merging[] = {"f",           "args",        "extract", "merge",   "concurrency",  "chunksize",
                              "progress",    "rounds",      "globals", "timeout", "blas_threads", "share",
                              "on_conflict", "share_check", NULL};
    struct sf_extraction_call *back = &to->extraction;
    bool is_star = strcmp(function, "starmap") == 0;
    if (!sf_argument_knows_keywords(function, is_star ? "starmap(f, args)" : "map(f, args)", plain, kwargs) ||
        !sf_call_has_one_iterable(function, "starmap(f, zip(a_values, b_values))", args) || !is_third(args))
        return -1;
    int parsed =
        has_extract(args)
            ? PyArg_ParseTupleAndKeywords(args, kwargs, is_star ? "OO|OOOO$OOOOOOOO:starmap" : "OO|OOOO$OOOOOOOO:map",
                                          merging, &to->f, &to->iterable, &back->extract, &back->merge,
                                          &to->concurrency, &to->chunksize, &to->progress, &to->rounds, &back->globals,
                                          &to->timeout, &to->blas_threads, &back->share, &back->on_conflict,
                                          &back->share_check)
            : PyArg_ParseTupleAndKeywords(args, kwargs, is_star ? "OO|OO$OOOOOOOOOO:starmap" : "OO|OO$OOOOOOOOOO:map",
                                          plain, &to->f, &to->iterable, &to->concurrency, &to->chunksize,
                                          &back->extract, &back->merge, &to->progress, &to->rounds, &back->globals,
                                          &to->timeout, &to->blas_threads, &back->share, &back->on_conflict,
                                          &back->share_check);
    return parsed ? 0 : -1;
}

/* What comes back from the chunks, and rounds. 0, or -1 with an exception. */
static int read_merging(const struct arguments *given, struct sf_map *map)
{
    if (sf_extraction_new(&map->extraction, given->f, NULL, &given->extraction))
        return -1;
    int rounds = PyObject_IsTrue(given->rounds);
    map->rounds = rounds > 0;
    if (map->rounds && !map->extraction) {
        PyErr_SetString(PyExc_ValueError,
                        "rounds=True needs share, or extract and merge, which pass something on from one "
                        "round to the next");
        return -1;
    }
    return rounds < 0 ? -1 : 0;
}

/* Checks and reads the arguments of a call. 0, or -1 with an exception. */
static int read_arguments(const char *function, PyObject *args, PyObject *kwargs, struct sf_map *map,
                          struct arguments *given)
{
    int64_t concurrency = 0, chunk = 0;
    if (parse(function, args, kwargs, given) || !sf_call_is_callable(given->f, given->iterable) ||
        read_merging(given, map) ||
        sf_call_integer(given->concurrency, "concurrency", 0, "0: one for each CPU", &concurrency) ||
        sf_call_integer(given->chunksize, "chunksize", 0, "0: the processes decide", &chunk) ||
        sf_timeout_read(given->timeout, &map->engine.timeout_ns) || sf_share_read(given->blas_threads, &map->engine))
        return -1;
    map->engine.f = given->f;
    /* No copy of what children can read where it is: a reference to each item would touch each item's page, here
     * before the fork and once more, page by page copied, after it. */
    PyObject *iterable = given->iterable;
    map->items = PyRange_Check(iterable) || PyTuple_CheckExact(iterable) || PyList_CheckExact(iterable)
                     ? Py_NewRef(iterable)
                     : sf_argument_list(iterable, "args");
    map->results.count = map->items ? PySequence_Size(map->items) : -1;
    if (map->results.count < 0)
        return -1;
    split_arguments(map, concurrency ? concurrency : sf_cpus_share(), chunk);
    return 0;
}

static PyObject *map_or_starmap(const char *function, PyObject *args, PyObject *kwargs)
{
    if (sf_call_has_executor(kwargs))
        return sf_call_on_executor(function, args, kwargs);
    struct sf_map map = {.engine = {.star = strcmp(function, "starmap") == 0}};
    struct arguments given = {.rounds = Py_False};
    PyObject *all = NULL, *bar;
    if (read_arguments(function, args, kwargs, &map, &given) == 0 &&
        open_progress(given.progress, map.results.count, &map.results.progress, &bar) == 0)
        all = close_progress(bar, map.results.count ? run_map(&map) : PyList_New(0));
    Py_XDECREF(map.items);
    sf_extraction_free(map.extraction);
    return all;
}

static PyObject *map_function(PyObject *module, PyObject *args, PyObject *kwargs)
{
    (void)module;
    return map_or_starmap("map", args, kwargs);
}

static PyObject *starmap_function(PyObject *module, PyObject *args, PyObject *kwargs)
{
    (void)module;
    return map_or_starmap("starmap", args, kwargs);
}

#define MAP_DOC                                                                                                        \
    "concurrency: how many processes at a time, 0 or None: cpu_count(), in a worker its share of the CPUs.\n"          \
    "chunksize: arguments a process takes at once. Without extract and merge the processes take chunks as they "       \
    "become\n"                                                                                                         \
    "free. 0 or None: some milliseconds of work at once, and at most what is left / (2 * concurrency) arguments, "     \
    "near\n"                                                                                                           \
    "the end up to twice that; with extract and merge an even split. A list is read where it is, in the processes "    \
    "as\n"                                                                                                             \
    "here: change it when map has returned.\n\n"                                                                       \
    "With extract and merge each chunk has a process of its own, forked from the globals as they are at the call. "    \
    "There\n"                                                                                                          \
    "extract(globals) is called after the chunk; merge(globals, extracted) is called here for each chunk in the "      \
    "order of\n"                                                                                                       \
    "args: the same result at any concurrency. Both get the globals() of the code that calls map, or the dict "        \
    "`globals`. As\n"                                                                                                  \
    "positional arguments they come before concurrency.\n\n"                                                           \
    "share: names of globals, or {name: rule}: what f changes in them is merged here, as of Thread; each chunk has "   \
    "a\n"                                                                                                              \
    "process of its own, and the merges are in the order of args. If one raises Conflict, all are taken back.\n"       \
    "on_conflict, share_check, and merge without extract: as of Thread.\n\n"                                           \
    "rounds=True, with share or with extract and merge: processes are forked in rounds, one for each of "              \
    "`concurrency`\n"                                                                                                  \
    "chunks. What a round has changed or extracted is merged at its end, in the order of args, so the next round "     \
    "sees it, and no more than that is "                                                                               \
    "kept.\n"                                                                                                          \
    "The default chunksize makes one round of all: give one.\n\n"                                                      \
    "progress: True shows a bar on stderr (tqdm's where it is installed), if that is a terminal or a notebook; or a "  \
    "callable,\n"                                                                                                      \
    "which is called here as progress(done, total), in arguments: after each chunk, and in long ones several times\n"  \
    "a second, as long as arguments are done. What it raises ends the map.\n\n"                                        \
    "timeout: seconds that f may take for one argument. A process that takes longer is killed, and TimeoutError,\n"    \
    "which names the argument, is what that argument raised. What f has started itself goes on.\n\n"                   \
    "blas_threads: how many threads BLAS and OpenMP have in each process, 0: its share of the CPUs, None: as here.\n"  \
    "It needs the package threadpoolctl. Where that is not installed, set OMP_NUM_THREADS and OPENBLAS_NUM_THREADS\n"  \
    "before the program starts.\n\n"                                                                                   \
    "Blocks until all is done. Raises the exception of the earliest failing argument, with the child's traceback as\n" \
    "__cause__ (ChildDied when a process was killed), after the other processes are ended. Then nothing is merged; "   \
    "with\n"                                                                                                           \
    "rounds=True all rounds before that one are merged, and nothing of that one.\n\n"                                  \
    "executor: the chunks are tasks of this concurrent.futures.Executor: ProcessPoolExecutor, loky's, Dask's "         \
    "(client.get_executor()),\n"                                                                                       \
    "MPIPoolExecutor, ... There f is what pickle, or cloudpickle where it is installed, makes of it. local=n: each "   \
    "of its workers\n"                                                                                                 \
    "shares a chunk among n processes that it forks (0: one for each CPU there)."

PyMethodDef sf_map_functions[] = {
    {"map", (PyCFunction)(void (*)(void))map_function, METH_VARARGS | METH_KEYWORDS,
     "map(f, args, concurrency=0, chunksize=0, *, extract=None, merge=None, progress=None,"
     " rounds=False, globals=None, executor=None, local=None,"
     " timeout=None, blas_threads=None, share=None, on_conflict=None, share_check=False)\n--\n\n"
     "[f(x) for x in args], in forked processes; f may be a lambda or a closure.\n\n" MAP_DOC},
    {"starmap", (PyCFunction)(void (*)(void))starmap_function, METH_VARARGS | METH_KEYWORDS,
     "starmap(f, args, concurrency=0, chunksize=0, *, extract=None, merge=None, progress=None,"
     " rounds=False, globals=None, executor=None, local=None,"
     " timeout=None, blas_threads=None, share=None, on_conflict=None, share_check=False)\n--\n\n"
     "[f(*x) for x in args], in forked processes; f may be a lambda or a closure.\n\n" MAP_DOC},
    {NULL, NULL, 0, NULL},
};
