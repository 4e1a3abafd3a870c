/* The results of a map call. See results.h. */
#include "py/workers/results.h"

#include <assert.h>
#include <stdio.h>

int sf_results_init(struct sf_results *results)
{
    assert(results->count > 0 && results->chunk > 0 && results->chunks > 0);
    results->failed_chunk = results->chunks;
    results->list = PyList_New(results->count);
    results->arrived = PyMem_Calloc((size_t)results->chunks, sizeof *results->arrived);
    if (results->list)
        PyObject_GC_UnTrack(results->list); /* nobody may find it while it has holes */
    else
        return -1;
    if (results->extracts)
        results->extracted = PyMem_Calloc((size_t)results->chunks, sizeof *results->extracted);
    if (results->arrived && (!results->extracts || results->extracted))
        return 0;
    PyErr_NoMemory();
    return -1;
}

void sf_results_fini(struct sf_results *results)
{
    if (results->list)
        PyObject_GC_Track(results->list);
    Py_CLEAR(results->list);
    Py_CLEAR(results->failure);
    PyMem_Free(results->arrived);
    results->arrived = NULL;
    for (Py_ssize_t i = 0; results->extracted && i < results->chunks; i++)
        Py_CLEAR(results->extracted[i]);
    PyMem_Free(results->extracted);
    results->extracted = NULL;
}

PyObject *sf_results_finish(struct sf_results *results)
{
    if (results->failure) {
        sf_put_raised(Py_NewRef(results->failure));
        return NULL;
    }
    assert(results->done == results->count);
    return Py_NewRef(results->list);
}

Py_ssize_t sf_results_chunk_end(const struct sf_results *results, Py_ssize_t chunk)
{
    Py_ssize_t end = (chunk + 1) * results->chunk;
    return end < results->count ? end : results->count;
}

Py_ssize_t sf_results_room(const struct sf_results *results, uint64_t number)
{
    if (number >= (uint64_t)results->count)
        return 0;
    Py_ssize_t chunk = (Py_ssize_t)number / results->chunk;
    bool is_next = (Py_ssize_t)number == chunk * results->chunk + results->arrived[chunk];
    return is_next ? sf_results_chunk_end(results, chunk) - (Py_ssize_t)number : 0;
}

static Py_ssize_t chunk_count(const struct sf_results *results, Py_ssize_t chunk)
{
    return sf_results_chunk_end(results, chunk) - chunk * results->chunk;
}

bool sf_results_has_chunk(const struct sf_results *results, Py_ssize_t chunk)
{
    return results->arrived[chunk] == chunk_count(results, chunk) + results->extracts;
}

bool sf_results_misses_extracted(const struct sf_results *results, Py_ssize_t chunk)
{
    return results->extracts && results->arrived[chunk] == chunk_count(results, chunk);
}

bool sf_results_are_finished(struct sf_results *results, Py_ssize_t end)
{
    end = results->failed_chunk < end ? results->failed_chunk : end;
    while (results->missing < end && sf_results_has_chunk(results, results->missing))
        results->missing++;
    return results->missing >= end;
}

void sf_results_fail(struct sf_results *results, Py_ssize_t chunk)
{
    PyObject *failure = sf_take_raised();
    assert(failure);
    if (chunk < results->failed_chunk) {
        results->failed_chunk = chunk;
        Py_XSETREF(results->failure, failure);
    } else {
        Py_XDECREF(failure);
    }
}

/* So many more things of the chunk are here. */
static void count_arrivals(struct sf_results *results, Py_ssize_t chunk, Py_ssize_t things)
{
    results->arrived[chunk] += things;
    if (!sf_results_has_chunk(results, chunk))
        return;
    results->done += chunk_count(results, chunk);
    if (!results->progress || results->failed_chunk < 0)
        return;
    PyObject *returned = PyObject_CallFunction(results->progress, "nn", results->done, results->count);
    Py_XDECREF(returned);
    if (!returned)
        sf_results_fail(results, -1);
}

void sf_results_keep(struct sf_results *results, Py_ssize_t number, PyObject *const *values, Py_ssize_t count)
{
    assert(0 < count && count <= sf_results_room(results, (uint64_t)number)); /* in order, each once */
    for (Py_ssize_t i = 0; i < count; i++)
        PyList_SET_ITEM(results->list, number + i, Py_NewRef(values[i]));
    count_arrivals(results, number / results->chunk, count);
}

void sf_results_keep_extracted(struct sf_results *results, Py_ssize_t chunk, PyObject *value)
{
    assert(sf_results_misses_extracted(results, chunk));
    results->extracted[chunk] = value;
    count_arrivals(results, chunk, 1);
}

PyObject *sf_results_take_extracted(struct sf_results *results, Py_ssize_t chunk)
{
    assert(sf_results_has_chunk(results, chunk) && results->extracted[chunk]);
    PyObject *value = results->extracted[chunk];
    results->extracted[chunk] = NULL;
    return value;
}

void sf_results_describe_chunk(const struct sf_results *results, Py_ssize_t chunk, char *what)
{
    snprintf(what, 80, "chunk %lld, arguments %lld to %lld", (long long)chunk, (long long)(chunk * results->chunk),
             (long long)sf_results_chunk_end(results, chunk) - 1);
}
