/* snakefish.map and starmap: the arguments, the chunks, the results. See map.h. */
#include "py/workers/map.h"
#include "py/base/types.h"

#include "core/log/log.h"
#include "core/os/cpus.h"
#include "py/base/arguments.h"
#include "py/base/errors.h"

#include <stdio.h>

static Py_ssize_t end_of(const struct sf_map *map, Py_ssize_t chunk)
{
    Py_ssize_t end = (chunk + 1) * map->chunk;
    return end < map->count ? end : map->count;
}

int sf_map_walk_begin(const struct sf_map *map, Py_ssize_t chunk, struct sf_map_walk *walk)
{
    *walk = (struct sf_map_walk){.at = chunk * map->chunk, .end = end_of(map, chunk)};
    if (!PyRange_Check(map->items))
        return 0;
    PyObject *range = PySequence_GetSlice(map->items, walk->at, walk->end);
    walk->iterator = range ? PyObject_GetIter(range) : NULL;
    Py_XDECREF(range);
    return walk->iterator ? 0 : -1;
}

PyObject *sf_map_walk_next(const struct sf_map *map, struct sf_map_walk *walk)
{
    PyObject *item, *value;
    if (walk->iterator)
        item = PyIter_Next(walk->iterator);
    else if (PyTuple_Check(map->items))
        item = Py_NewRef(PyTuple_GET_ITEM(map->items, walk->at));
    else if (walk->at < PyList_GET_SIZE(map->items))
        item = Py_NewRef(PyList_GET_ITEM(map->items, walk->at));
    else
        item = PyErr_Format(PyExc_RuntimeError, "args was made shorter while map ran: leave it alone until then");
    walk->at++;
    if (!item)
        return NULL;
    if (map->star) {
        PyObject *arguments = PySequence_Tuple(item);
        value = arguments ? PyObject_CallObject(map->f, arguments) : NULL;
        Py_XDECREF(arguments);
    } else {
        value = PyObject_CallOneArg(map->f, item);
    }
    Py_DECREF(item);
    return value;
}

void sf_map_walk_end(struct sf_map_walk *walk)
{
    Py_CLEAR(walk->iterator);
}

PyObject *sf_map_compute(const struct sf_map *map, Py_ssize_t chunk)
{
    struct sf_map_walk walk;
    PyObject *list = sf_map_walk_begin(map, chunk, &walk) ? NULL : PyList_New(0);
    while (list && walk.at < walk.end) {
        PyObject *value = sf_map_walk_next(map, &walk);
        if (!value || PyList_Append(list, value))
            Py_CLEAR(list);
        Py_XDECREF(value);
    }
    sf_map_walk_end(&walk);
    return list;
}

void sf_map_fail(struct sf_map *map, Py_ssize_t chunk)
{
    PyObject *failure = sf_take_raised();
    if (chunk < map->failed_chunk) {
        map->failed_chunk = chunk;
        Py_XSETREF(map->failure, failure);
    } else {
        Py_XDECREF(failure);
    }
}

void sf_map_fail_by_death(struct sf_map *map, const struct sf_task *task, Py_ssize_t chunk)
{
    char what[SF_MAP_WHAT_BYTES];
    sf_map_describe(map, chunk, what);
    PyObject *fate = sf_error_fate(task->child.exit_status);
    PyObject *message = fate ? PyUnicode_FromFormat("%U (pid %d) %U before it had sent %s", task->name,
                                                    (int)task->child.pid, fate, what)
                             : NULL;
    PyObject *died =
        message ? sf_error_child_died(message, task->child.pid, task->child.exit_status, task->name, NULL) : NULL;
    Py_XDECREF(fate);
    Py_XDECREF(message);
    if (died)
        sf_put_raised(died);
    sf_map_fail(map, chunk);
}

/* A chunk of so many items is done. */
static void tell_progress(struct sf_map *map, Py_ssize_t items)
{
    map->done += items;
    if (!map->progress || map->failed_chunk < 0)
        return;
    PyObject *told = PyObject_CallFunction(map->progress, "nn", map->done, map->count);
    Py_XDECREF(told);
    if (!told)
        sf_map_fail(map, -1);
}

bool sf_map_is_whole(const struct sf_map *map, Py_ssize_t chunk)
{
    return map->arrived[chunk] == end_of(map, chunk) - chunk * map->chunk;
}

void sf_map_keep_one(struct sf_map *map, Py_ssize_t first, PyObject *value)
{
    Py_ssize_t chunk = first / map->chunk;
    PyList_SetItem(map->results, first, value);
    map->arrived[chunk]++;
    if (sf_map_is_whole(map, chunk))
        tell_progress(map, map->arrived[chunk]);
}

void sf_map_keep(struct sf_map *map, Py_ssize_t first, PyObject *list)
{
    Py_ssize_t chunk = first / map->chunk, count = PyList_CheckExact(list) ? PyList_GET_SIZE(list) : 0;
    bool fits = count > 0 && count <= end_of(map, chunk) - first;
    if (!fits) {
        PyErr_Format(PyExc_RuntimeError, "%zd results came back for argument %zd of chunk %zd", count, first, chunk);
        sf_map_fail(map, chunk);
    }
    for (Py_ssize_t i = 0; fits && i < count; i++)
        sf_map_keep_one(map, first + i, Py_NewRef(PyList_GET_ITEM(list, i)));
    Py_DECREF(list);
}

void sf_map_describe(const struct sf_map *map, Py_ssize_t chunk, char *what)
{
    Py_ssize_t first = chunk * map->chunk, last = first + map->chunk - 1;
    last = last < map->count ? last : map->count - 1;
    snprintf(what, SF_MAP_WHAT_BYTES, "its result for chunk %lld, arguments %lld to %lld", (long long)chunk,
             (long long)first, (long long)last);
}

static void log_begin(const struct sf_map *map, uint32_t number)
{
    static const char name[] = "map";
    uint32_t text = sf_log_text(name, sizeof name - 1);
    sf_log_write(SF_EVENT_TASK, SF_PHASE_INSTANT, number, text, SF_TASK_MAP);
    sf_log_write(SF_EVENT_MAP, SF_PHASE_BEGIN, number, (uint64_t)map->chunks, (uint64_t)map->workers);
}

static PyObject *run(struct sf_map *map)
{
    uint32_t number = sf_log_next_task();
    PyObject *all = NULL;
    map->failed_chunk = map->chunks;
    map->results = PyList_New(map->count);
    map->arrived = PyMem_Calloc((size_t)map->chunks, sizeof *map->arrived);
    if (sf_log_enabled())
        log_begin(map, number);
    int failed = -1;
    if (map->results)
        PyObject_GC_UnTrack(map->results); /* nobody may find it while it has holes */
    if (!map->arrived)
        PyErr_NoMemory();
    else if (map->results)
        failed = map->extract == Py_None ? sf_map_by_counter(map) : sf_map_by_merge(map);
    sf_log_write(SF_EVENT_MAP, SF_PHASE_END, number, (uint64_t)map->chunks, (uint64_t)map->workers);
    if (!failed && map->failure)
        sf_put_raised(Py_NewRef(map->failure));
    else if (!failed)
        all = Py_NewRef(map->results);
    if (map->results)
        PyObject_GC_Track(map->results);
    Py_XDECREF(map->results);
    Py_CLEAR(map->failure);
    PyMem_Free(map->arrived);
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

static PyObject *map_or_starmap(PyObject *args, PyObject *kwargs, bool star)
{
    static char *plain[] = {"f", "args", "concurrency", "chunksize", "extract", "merge", "progress", NULL};
    static char *merging[] = {"f", "args", "extract", "merge", "concurrency", "chunksize", "progress", NULL};
    struct sf_map map = {.star = star, .extract = Py_None, .merge = Py_None};
    PyObject *iterable, *concurrency_object = NULL, *chunk_object = NULL, *progress = NULL, *bar;
    int64_t concurrency = 0, chunk = 0;
    int parsed = has_extract(args)
                     ? PyArg_ParseTupleAndKeywords(args, kwargs, star ? "OO|OOOO$O:starmap" : "OO|OOOO$O:map", merging,
                                                   &map.f, &iterable, &map.extract, &map.merge, &concurrency_object,
                                                   &chunk_object, &progress)
                     : PyArg_ParseTupleAndKeywords(args, kwargs, star ? "OO|OO$OOO:starmap" : "OO|OO$OOO:map", plain,
                                                   &map.f, &iterable, &concurrency_object, &chunk_object, &map.extract,
                                                   &map.merge, &progress);
    if (!parsed || !sf_argument_is_callable(map.f, "f", false) ||
        !sf_argument_is_callable(map.extract, "extract", true) || !sf_argument_is_callable(map.merge, "merge", true))
        return NULL;
    if ((map.extract == Py_None) != (map.merge == Py_None))
        return PyErr_Format(PyExc_ValueError, "extract and merge go together: give both or neither");
    if (sf_argument_integer(concurrency_object, "concurrency", 0, "0: one for each CPU", &concurrency) ||
        sf_argument_integer(chunk_object, "chunksize", 0, "0: an even split", &chunk))
        return NULL;
    /* No copy of what children can read where it is: a reference to each item would touch each item's page, here
     * before the fork and once more, page by page copied, after it. */
    map.items = PyRange_Check(iterable) || PyTuple_CheckExact(iterable) || PyList_CheckExact(iterable)
                    ? Py_NewRef(iterable)
                    : sf_argument_list(iterable, "args");
    map.count = map.items ? PySequence_Size(map.items) : -1;
    if (map.count < 0) {
        Py_XDECREF(map.items);
        return NULL;
    }
    concurrency = concurrency ? concurrency : sf_cpus_count();
    map.chunk = chunk ? chunk : map.count / concurrency + (map.count % concurrency != 0);
    map.chunk = map.chunk < map.count ? map.chunk : map.count;
    map.chunks = map.chunk ? map.count / map.chunk + (map.count % map.chunk != 0) : 0;
    map.workers = concurrency < map.chunks ? concurrency : map.chunks;
    PyObject *all = NULL;
    if (open_progress(progress, map.count, &map.progress, &bar) == 0)
        all = close_progress(bar, map.chunks ? run(&map) : PyList_New(0));
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
