/* A crew's worker. See crew_worker.h. */
#include "py/workers/crew_worker.h"

#include <unistd.h>

#include "core/ring/ring_wait.h"

/* 1, 0: it raised, and that was sent, or -1 with an exception that ends the worker. */
static int prepare_worker(struct sf_crew *crew, struct sf_worker *worker)
{
    crew->prepared = true;
    PyObject *done = crew->prepare ? PyObject_CallNoArgs(crew->prepare) : Py_NewRef(Py_None);
    if (!sf_child_is_self(&worker->task.child)) {
        Py_XDECREF(done);
        return -1;
    }
    enum sf_tag tag;
    int failed = done ? 0 : sf_worker_send(worker, SF_CREW_PREPARATION, false, NULL, &tag);
    int go_on = failed ? -1 : done != NULL;
    Py_XDECREF(done);
    return go_on;
}

/* The claim is cleared: stays here while the parent is about to kill this worker for what it has just done. */
static void await_doom(const struct sf_worker *worker)
{
    atomic_thread_fence(memory_order_seq_cst); /* partner: sf_crew_doom */
    while (atomic_load_explicit(&sf_worker_board(worker)->doomed, memory_order_relaxed))
        usleep(1000);
}

/* An item is a call, or the calls of some arguments of Executor.map (chunk_item in _executor_functions.py). */
static Py_ssize_t count_arguments(PyObject *item)
{
    enum { BEHIND_ARGUMENTS = 2, ITEMS_AT = 3 };
    if (PyList_CheckExact(item))
        return PyList_GET_SIZE(item) - BEHIND_ARGUMENTS;
    PyObject *items =
        PyTuple_CheckExact(item) && PyTuple_GET_SIZE(item) > ITEMS_AT ? PyTuple_GET_ITEM(item, ITEMS_AT) : NULL;
    Py_ssize_t size = items && (PyList_CheckExact(items) || PyRange_Check(items)) ? PyObject_Size(items) : 1;
    if (size < 0)
        PyErr_Clear();
    return size > 0 ? size : 1;
}

int sf_crew_worker_next(struct sf_worker *worker, struct sf_chunk *chunk)
{
    struct sf_crew *crew = sf_crew_of(worker->engine);
    int prepared = crew->prepared ? 1 : prepare_worker(crew, worker);
    if (prepared <= 0)
        return prepared;
    await_doom(worker);
    if (crew->tasks_per_worker && worker->chunks >= crew->tasks_per_worker)
        return 0;
    int got = sf_feed_take(&crew->feed, sf_worker_board(worker), &chunk->offset, &chunk->items, &chunk->failure);
    if (got <= 0)
        return got;
    if (chunk->failure && PyList_Append(chunk->items, chunk->failure)) /* there are no items before it */
        return -1;
    Py_CLEAR(chunk->failure);
    chunk->end = PyList_GET_SIZE(chunk->items);
    chunk->number = chunk->offset;
    chunk->arguments = count_arguments(PyList_GET_ITEM(chunk->items, 0));
    return 1;
}

PyObject *sf_crew_worker_run(struct sf_task *task)
{
    struct sf_worker *worker = sf_worker_of(task);
    PyObject *done = sf_worker_run(task);
    if (done && sf_child_is_self(&task->child))
        sf_ring_nudge(worker->engine->ring); /* the parent waits for its end: see awaits_end */
    return done;
}
