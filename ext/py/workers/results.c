/* The results of a map call. See results.h. */
#include "py/workers/results.h"

#include <assert.h>

#include "core/os/monotonic.h"

#define WORD_BITS 64

int sf_results_init(struct sf_results *results)
{
    assert(results->count > 0);
    results->failed = results->count;
    results->list = PyList_New(results->count);
    if (!results->list)
        return -1;
    PyObject_GC_UnTrack(results->list); /* nobody may find it while it has holes */
    results->here = PyMem_Calloc(((size_t)results->count + WORD_BITS - 1) / WORD_BITS, sizeof *results->here);
    if (!results->here)
        PyErr_NoMemory();
    return results->here ? 0 : -1;
}

void sf_results_fini(struct sf_results *results)
{
    if (results->list)
        PyObject_GC_Track(results->list);
    Py_CLEAR(results->list);
    Py_CLEAR(results->failure);
    PyMem_Free(results->here);
    results->here = NULL;
}

/* ---- which are here ---- */

/* The first of [from, end) that is here, or that is missing; `end` if there is none. */
static Py_ssize_t find(const struct sf_results *results, Py_ssize_t from, Py_ssize_t end, bool is_here)
{
    while (from < end) {
        uint64_t word = results->here[from / WORD_BITS];
        word = (is_here ? word : ~word) >> (from % WORD_BITS);
        if (word) {
            from += __builtin_ctzll(word);
            return from < end ? from : end;
        }
        from += WORD_BITS - from % WORD_BITS;
    }
    return end;
}

static void set_here(struct sf_results *results, Py_ssize_t from, Py_ssize_t end)
{
    while (from < end) {
        Py_ssize_t bit = from % WORD_BITS, left = end - from;
        uint64_t bits = left < WORD_BITS ? (UINT64_C(1) << left) - 1 : UINT64_MAX;
        results->here[from / WORD_BITS] |= bits << bit;
        from += WORD_BITS - bit;
    }
}

Py_ssize_t sf_results_room(const struct sf_results *results, uint64_t number)
{
    if (results->failed < 0 || number >= (uint64_t)results->failed)
        return 0;
    return find(results, (Py_ssize_t)number, results->failed, true) - (Py_ssize_t)number;
}

Py_ssize_t sf_results_first_missing(const struct sf_results *results, Py_ssize_t from, Py_ssize_t end)
{
    return find(results, from, end, false);
}

bool sf_results_are_finished(struct sf_results *results, Py_ssize_t end)
{
    end = results->failed < end ? results->failed : end;
    if (results->missing < end)
        results->missing = find(results, results->missing, end, false);
    return results->missing >= end;
}

/* ---- what comes ---- */

void sf_results_fail(struct sf_results *results, Py_ssize_t number)
{
    PyObject *failure = sf_take_raised();
    assert(failure);
    if (number < results->failed) {
        results->failed = number;
        Py_XSETREF(results->failure, failure);
    } else {
        Py_XDECREF(failure);
    }
}

void sf_results_keep(struct sf_results *results, Py_ssize_t number, PyObject *const *values, Py_ssize_t count)
{
    assert(0 < count && count <= sf_results_room(results, (uint64_t)number)); /* each once */
    for (Py_ssize_t i = 0; i < count; i++)
        PyList_SET_ITEM(results->list, number + i, Py_NewRef(values[i]));
    set_here(results, number, number + count);
}

void sf_results_tell(struct sf_results *results)
{
    if (!results->progress || results->failed < 0)
        return;
    results->told_ns = sf_monotonic_ns();
    PyObject *returned = PyObject_CallFunction(results->progress, "nn", results->done, results->count);
    Py_XDECREF(returned);
    if (!returned)
        sf_results_fail(results, -1);
}

PyObject *sf_results_finish(struct sf_results *results)
{
    if (results->failure) {
        sf_put_raised(Py_NewRef(results->failure));
        return NULL;
    }
    assert(find(results, 0, results->count, false) == results->count);
    return Py_NewRef(results->list);
}
