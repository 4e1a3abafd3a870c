/* The chunks of imap that are under way. See window.h. */
#include "py/workers/window.h"

#include <assert.h>

void sf_window_init(struct sf_window *window, bool is_ordered)
{
    *window = (struct sf_window){.current = -1, .is_ordered = is_ordered};
}

static void clear_chunk(struct sf_window_chunk *chunk)
{
    struct sf_window_chunk old = *chunk;
    *chunk = (struct sf_window_chunk){.used = false}; /* first, for what is dropped may call anything */
    for (Py_ssize_t i = old.taken; i < old.arrived; i++)
        Py_DECREF(old.values[i]);
    PyMem_Free(old.values);
    Py_XDECREF(old.failure);
}

void sf_window_fini(struct sf_window *window)
{
    for (Py_ssize_t i = 0; i < window->places; i++)
        clear_chunk(&window->chunks[i]);
    PyMem_Free(window->chunks);
    sf_window_init(window, window->is_ordered);
}

static struct sf_window_chunk *find_chunk(const struct sf_window *window, uint64_t number)
{
    for (Py_ssize_t i = 0; i < window->places; i++)
        if (window->chunks[i].used && window->chunks[i].number == number)
            return &window->chunks[i];
    return NULL;
}

/* A place that is free, or NULL with MemoryError. */
static struct sf_window_chunk *find_place(struct sf_window *window)
{
    for (Py_ssize_t i = 0; i < window->places; i++)
        if (!window->chunks[i].used)
            return &window->chunks[i];
    Py_ssize_t places = window->places ? window->places * 2 : 8;
    struct sf_window_chunk *chunks = PyMem_Realloc(window->chunks, (size_t)places * sizeof *chunks);
    if (!chunks) {
        PyErr_NoMemory();
        return NULL;
    }
    for (Py_ssize_t i = window->places; i < places; i++)
        chunks[i] = (struct sf_window_chunk){.used = false};
    Py_ssize_t first_new = window->places;
    window->chunks = chunks;
    window->places = places;
    return &chunks[first_new];
}

int sf_window_add(struct sf_window *window, uint64_t number, Py_ssize_t count)
{
    assert(!find_chunk(window, number));
    PyObject **values = PyMem_Calloc(count ? (size_t)count : 1, sizeof *values);
    struct sf_window_chunk *chunk = values ? find_place(window) : NULL;
    if (!values)
        PyErr_NoMemory();
    if (!chunk) {
        PyMem_Free(values);
        return -1;
    }
    *chunk = (struct sf_window_chunk){.used = true, .number = number, .count = count, .values = values};
    window->used++;
    return 0;
}

Py_ssize_t sf_window_room(const struct sf_window *window, uint64_t number, Py_ssize_t index)
{
    const struct sf_window_chunk *chunk = find_chunk(window, number);
    return chunk && !chunk->failure && chunk->arrived == index ? chunk->count - chunk->arrived : 0;
}

void sf_window_keep(struct sf_window *window, uint64_t number, PyObject *const *values, Py_ssize_t count)
{
    struct sf_window_chunk *chunk = find_chunk(window, number);
    assert(chunk && !chunk->failure && 0 < count && count <= chunk->count - chunk->arrived);
    if (chunk->arrived == 0)
        chunk->rank = window->ranks++;
    for (Py_ssize_t i = 0; i < count; i++)
        chunk->values[chunk->arrived++] = Py_NewRef(values[i]);
}

void sf_window_fail(struct sf_window *window, uint64_t number, PyObject *failure)
{
    struct sf_window_chunk *chunk = find_chunk(window, number);
    assert(chunk && !chunk->failure && failure);
    chunk->failure = failure;
    window->has_failed = true;
}

bool sf_window_misses(const struct sf_window *window, uint64_t number)
{
    const struct sf_window_chunk *chunk = find_chunk(window, number);
    return chunk && !chunk->failure && chunk->arrived < chunk->count;
}

uint64_t sf_window_earliest_missing(const struct sf_window *window)
{
    uint64_t earliest = UINT64_MAX;
    for (Py_ssize_t i = 0; i < window->places; i++) {
        const struct sf_window_chunk *chunk = &window->chunks[i];
        if (chunk->used && !chunk->failure && chunk->arrived < chunk->count && chunk->number < earliest)
            earliest = chunk->number;
    }
    return earliest;
}

static bool has_value(const struct sf_window_chunk *chunk)
{
    return chunk->used && chunk->taken < chunk->arrived;
}

static struct sf_window_chunk *next_in_order(const struct sf_window *window)
{
    struct sf_window_chunk *chunk = find_chunk(window, window->following);
    return chunk && (has_value(chunk) || chunk->failure) ? chunk : NULL;
}

/* The chunk whose results came first; a failure only when there are no results. */
static struct sf_window_chunk *next_that_came(const struct sf_window *window)
{
    struct sf_window_chunk *first = NULL, *failed = NULL;
    for (Py_ssize_t i = 0; i < window->places; i++) {
        struct sf_window_chunk *chunk = &window->chunks[i];
        if (has_value(chunk) && (!first || chunk->rank < first->rank))
            first = chunk;
        if (chunk->used && chunk->failure)
            failed = chunk;
    }
    return first ? first : failed;
}

bool sf_window_has_next(struct sf_window *window)
{
    if (window->current >= 0 && has_value(&window->chunks[window->current]))
        return true;
    struct sf_window_chunk *next = window->is_ordered ? next_in_order(window) : next_that_came(window);
    if (next)
        window->current = next - window->chunks;
    return next != NULL;
}

bool sf_window_begins_chunk(const struct sf_window *window)
{
    return window->chunks[window->current].taken == 0;
}

PyObject *sf_window_take(struct sf_window *window)
{
    assert(window->current >= 0);
    struct sf_window_chunk *chunk = &window->chunks[window->current];
    if (chunk->taken == chunk->arrived) {
        assert(chunk->failure);
        sf_put_raised(Py_NewRef(chunk->failure));
        return NULL;
    }
    PyObject *value = chunk->values[chunk->taken++];
    if (chunk->taken == chunk->count) {
        assert(!chunk->failure); /* for that there would be an argument more */
        clear_chunk(chunk);
        window->used--;
        window->current = -1;
        window->following++;
    }
    return value;
}

Py_ssize_t sf_window_ahead(const struct sf_window *window)
{
    return window->used - (window->current >= 0);
}

int sf_window_traverse(const struct sf_window *window, visitproc visit, void *arg)
{
    for (Py_ssize_t i = 0; i < window->places; i++) {
        const struct sf_window_chunk *chunk = &window->chunks[i];
        if (!chunk->used)
            continue;
        for (Py_ssize_t j = chunk->taken; j < chunk->arrived; j++)
            Py_VISIT(chunk->values[j]);
        Py_VISIT(chunk->failure);
    }
    return 0;
}
