/* The worker's half of the engine: takes chunks, computes, sends blocks of results. See engine.h.
 *
 * A block is as many results as take about BLOCK_NS to compute, so that the parent has something to do while the
 * workers compute, and neither is busy with many small messages. A large result travels alone: it needs no pickling
 * then. So does each result of a block that cannot be pickled whole: those before the bad one arrive, and the error
 * names it. If none is bad, what the pickling raised came from elsewhere, as from a signal handler: it takes the place
 * of the last one.
 */
#include "py/workers/engine.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>

#include "core/log/log.h"
#include "core/os/monotonic.h"
#include "py/base/errors.h"
#include "py/base/wait.h"
#include "py/message/departure.h"
#include "py/message/integers.h"
#include "py/message/offer.h"
#include "py/workers/block.h"
#include "py/workers/share.h"
#include "py/workers/timeout.h"

#define ALONE_BYTES (64 << 10)           /* of a result that travels alone, without being pickled */
#define BLOCK_MOST ((Py_ssize_t)1 << 16) /* items in a block */
#define BLOCK_NS INT64_C(2000000)        /* about how long a worker computes between two sends */
#define BLOCK_GROWTH 4                   /* a block is at most so many times the one before it */

/* Whether this process is one that f has forked from a worker: sf_child_is_self tells that too, by a system call. */
static bool is_copy, hears_forks;

static void note_copy(void)
{
    is_copy = true;
}

/* ---- walking over a chunk ---- */

static uint64_t argument_at(const struct sf_chunk *chunk)
{
    return chunk->offset + (uint64_t)chunk->at;
}

/* 0, or -1 with an exception: there is no iterator over a range. */
static int begin_chunk(struct sf_chunk *chunk)
{
    assert(chunk->at <= chunk->end);
    if (!PyRange_Check(chunk->items))
        return 0;
    PyObject *range = PySequence_GetSlice(chunk->items, chunk->at, chunk->end);
    chunk->iterator = range ? PyObject_GetIter(range) : NULL;
    Py_XDECREF(range);
    return chunk->iterator ? 0 : -1;
}

static void end_chunk(struct sf_chunk *chunk)
{
    Py_CLEAR(chunk->iterator);
    Py_CLEAR(chunk->items);
    Py_CLEAR(chunk->failure);
}

/* f of an item. NULL: raised. */
static PyObject *compute(const struct sf_engine *engine, PyObject *item)
{
    if (!engine->star)
        return PyObject_CallOneArg(engine->f, item);
    PyObject *arguments = PySequence_Tuple(item);
    PyObject *value = arguments ? PyObject_CallObject(engine->f, arguments) : NULL;
    Py_XDECREF(arguments);
    return value;
}

/* A new reference to an item, or to another number of the same value: each reference that is counted writes into the
 * item, and so copies the page that it is in. Not for a NaN, which may be looked for by `is`. */
static PyObject *reference_to(PyObject *item)
{
    int64_t integer;
    if (sf_integers_get(item, &integer))
        return PyLong_FromLongLong(integer);
    if (PyFloat_CheckExact(item) && PyFloat_AS_DOUBLE(item) == PyFloat_AS_DOUBLE(item))
        return PyFloat_FromDouble(PyFloat_AS_DOUBLE(item));
    return Py_NewRef(item);
}

/* f of the next item. NULL: raised. */
static PyObject *compute_next(const struct sf_worker *worker, struct sf_chunk *chunk)
{
    PyObject *item, *value;
    if (chunk->iterator)
        item = PyIter_Next(chunk->iterator);
    else if (PyTuple_Check(chunk->items))
        item = reference_to(PyTuple_GET_ITEM(chunk->items, chunk->at));
    else if (chunk->at < PyList_GET_SIZE(chunk->items))
        item = reference_to(PyList_GET_ITEM(chunk->items, chunk->at));
    else
        item = PyErr_Format(PyExc_RuntimeError, "args was made shorter while map ran: leave it alone until then");
    chunk->at++;
    if (!item)
        return NULL;
    if (worker->engine->timeout_ns)
        sf_timeout_begin(worker);
    value = compute(worker->engine, item);
    if (worker->engine->timeout_ns)
        sf_timeout_end(worker);
    Py_DECREF(item);
    return value;
}

/* ---- sending ---- */

/* Sends a packed message and drops it. 0, or -1 with an exception; without one in a copy of the worker, which the
 * pickling or a signal handler has made: the results are not its to send. */
static int send_message(struct sf_worker *worker, uint64_t first, uint32_t tag, struct sf_message *message)
{
    if (!sf_child_is_self(&worker->task.child)) {
        sf_message_fini(message);
        return -1;
    }
    struct sf_offering offering = {worker->engine->ring, worker->number, worker->engine->owner,
                                   &sf_worker_board(worker)->offer};
    int error = sf_offer_arrays(&offering, message);
    if (!error)
        error = sf_departure_send(worker->engine->ring, message, worker->number, tag, first, NULL);
    if (error && error != SF_RAISED && error != -ECHILD)
        sf_error(error, "cannot send results");
    sf_message_fini(message);
    return error ? -1 : 0;
}

int sf_worker_send(struct sf_worker *worker, uint64_t number, bool extracted, PyObject *value, enum sf_tag *tag)
{
    struct sf_message message;
    char what[SF_ENGINE_WHAT_BYTES];
    int exit_status;
    worker->engine->job->describe(worker->engine, number, extracted, what);
    *tag = sf_outcome_pack_message(value, what, &message, &exit_status);
    return send_message(worker, number, *tag | (extracted ? SF_ENGINE_EXTRACTED : SF_ENGINE_ALONE), &message);
}

/* Sends what was raised instead of a result, which is the current exception. 0: do not go on, or -1 with another one.
 */
static int send_raised(struct sf_worker *worker, uint64_t number)
{
    enum sf_tag tag;
    return sf_worker_send(worker, number, false, NULL, &tag);
}

/* Sends results [from, to) of a list one by one, up to the first that cannot be pickled. first: the number of the
 * list's first argument. 1: all are sent, 0: one was not, and the parent knows why, -1: an exception. */
static int send_each(struct sf_worker *worker, uint64_t first, PyObject *list, Py_ssize_t from, Py_ssize_t to)
{
    enum sf_tag tag = SF_TAG_RETURNED;
    for (Py_ssize_t i = from; i < to && tag == SF_TAG_RETURNED; i++)
        if (sf_worker_send(worker, first + (uint64_t)i, false, PyList_GET_ITEM(list, i), &tag))
            return -1;
    return tag == SF_TAG_RETURNED;
}

/* Sends a list of results, which may be empty. Result as of send_each. */
static int send_list(struct sf_worker *worker, uint64_t first, PyObject *list)
{
    struct sf_message message;
    Py_ssize_t count = PyList_GET_SIZE(list);
    if (count < 2)
        return send_each(worker, first, list, 0, count);
    uint64_t from = sf_log_stretch_begin();
    if (sf_message_pack(&message, list) == 0) {
        sf_log_stretch(SF_EVENT_PICKLED, from, message.bytes);
        return send_message(worker, first, SF_TAG_RETURNED, &message) ? -1 : 1;
    }
    PyObject *reason = sf_take_raised();
    sf_message_fini(&message);
    int go_on = send_each(worker, first, list, 0, count - 1);
    bool is_memory = PyErr_GivenExceptionMatches(reason, PyExc_MemoryError); /* one by one they may need less */
    if (go_on > 0 && !is_memory && sf_message_can_pack(PyList_GET_ITEM(list, count - 1))) {
        sf_put_raised(reason);
        return send_raised(worker, first + (uint64_t)count - 1);
    }
    PyErr_Clear();
    Py_DECREF(reason);
    return go_on > 0 ? send_each(worker, first, list, count - 1, count) : go_on;
}

/* Sends a block's results. Result as of send_each. */
static int send_block(struct sf_worker *worker, uint64_t first, struct sf_block *block)
{
    struct sf_message message;
    if (sf_block_pack(block, &message))
        return send_message(worker, first, SF_TAG_RETURNED, &message) ? -1 : 1;
    PyObject *list = sf_block_list(block);
    return list ? send_list(worker, first, list) : -1;
}

/* ---- working ---- */

static struct sf_block results; /* of the block that this process is at */

static bool is_large(PyObject *value)
{
    return (PyBytes_CheckExact(value) && PyBytes_GET_SIZE(value) >= ALONE_BYTES) ||
           (PyByteArray_CheckExact(value) && PyByteArray_GET_SIZE(value) >= ALONE_BYTES);
}

/* Computes a block's results: fewer where one is large, which is left in *large, where the parent asks
 * for what there is, or where f has forked, and this is the copy. 0, or -1: raised. */
static int compute_block(struct sf_worker *worker, struct sf_chunk *chunk, PyObject **large)
{
    const _Atomic uint32_t *asks = &worker->engine->board->asked;
    uint32_t asked = atomic_load_explicit(asks, memory_order_relaxed); /* it orders nothing */
    _Atomic uint64_t *claim = sf_worker_claim(worker);
    Py_ssize_t left = worker->engine->job->sends_whole ? chunk->end : worker->block;
    do {
        atomic_store_explicit(claim, argument_at(chunk), memory_order_relaxed); /* read after our death only */
        PyObject *value = compute_next(worker, chunk);
        if (!value)
            return -1;
        if (is_large(value)) {
            *large = value;
            return 0;
        }
        if (sf_block_add(&results, value))
            return -1;
        if (is_copy || atomic_load_explicit(asks, memory_order_relaxed) != asked)
            break;
    } while (--left > 0 && chunk->at < chunk->end);
    return 0;
}

/* Computes the next block and sends it. 1: go on, 0: something failed, and that was sent, -1: an exception that ends
 * the worker, or this process is a fork of it. */
static int work_block(struct sf_worker *worker, struct sf_chunk *chunk)
{
    uint64_t first = argument_at(chunk);
    if (!sf_child_is_self(&worker->task.child)) /* freeing the block before this one forked */
        return -1;
    PyObject *large = NULL, *raised = NULL;
    int failed = compute_block(worker, chunk, &large);
    if (!sf_child_is_self(&worker->task.child)) { /* f forked, and both came back: the results are not ours to send */
        Py_XDECREF(large);
        return -1;
    }
    /* The parent sees SystemExit by the exit status; the block is lost, as when the worker is killed. */
    if (failed && PyErr_ExceptionMatches(PyExc_SystemExit))
        return -1;
    if (failed)
        raised = sf_take_raised();
    enum sf_tag tag = SF_TAG_RETURNED;
    uint64_t after = first + (uint64_t)sf_block_count(&results);
    int go_on = send_block(worker, first, &results);
    if (go_on > 0 && large)
        go_on = sf_worker_send(worker, after, false, large, &tag) ? -1 : tag == SF_TAG_RETURNED;
    if (go_on > 0 && raised) {
        sf_put_raised(raised);
        raised = NULL;
        go_on = send_raised(worker, after);
    }
    Py_XDECREF(raised);
    Py_XDECREF(large);
    sf_block_clear(&results);
    return go_on;
}

/* After `count` results in so many ns, sending them included: how many are to go together? Grows step by step, because
 * the next arguments may take longer, and only by blocks that were whole; shrinks at once. */
static void adapt_block(struct sf_worker *worker, Py_ssize_t count, int64_t took_ns)
{
    if (took_ns > BLOCK_NS * 2) {
        int64_t fit = count * BLOCK_NS / took_ns;
        worker->block = fit < 1 ? 1 : fit < worker->block ? (Py_ssize_t)fit : worker->block;
    } else if (took_ns < BLOCK_NS / 2 && count >= worker->block) {
        Py_ssize_t factor = took_ns < BLOCK_NS / 2 / BLOCK_GROWTH ? BLOCK_GROWTH : 2;
        worker->block = worker->block * factor < BLOCK_MOST ? worker->block * factor : BLOCK_MOST;
    }
}

/* Works through a chunk. Result as of work_block. */
static int work_chunk(struct sf_worker *worker, struct sf_chunk *chunk)
{
    worker->chunks++;
    if (begin_chunk(chunk))
        return send_raised(worker, argument_at(chunk));
    uint64_t size = (uint64_t)(chunk->arguments ? chunk->arguments : chunk->end - chunk->at);
    sf_log_write(SF_EVENT_CHUNK, SF_PHASE_BEGIN, worker->task.child.task, chunk->number, size);
    int go_on = 1;
    while (go_on > 0 && chunk->at < chunk->end) {
        int64_t began_ns = sf_monotonic_ns();
        Py_ssize_t first = chunk->at;
        go_on = work_block(worker, chunk);
        adapt_block(worker, chunk->at - first, sf_monotonic_ns() - began_ns);
    }
    if (go_on > 0 && chunk->failure) {
        sf_put_raised(Py_NewRef(chunk->failure));
        go_on = send_raised(worker, argument_at(chunk));
    }
    if (go_on > 0 && worker->engine->job->after_chunk && worker->engine->job->after_chunk(worker, chunk))
        go_on = -1;
    if (sf_child_is_self(&worker->task.child))
        sf_log_write(SF_EVENT_CHUNK, SF_PHASE_END, worker->task.child.task, chunk->number, size);
    return go_on;
}

/* Takes a chunk and works through it. 1: go on, 0: there is none, or something failed that ends the worker, and that
 * was sent; -1: an exception that ends the worker, or this process is a copy of it. */
static int work_next_chunk(struct sf_worker *worker)
{
    const struct sf_child *child = &worker->task.child;
    struct sf_chunk chunk = {.items = NULL};
    int go_on = worker->engine->job->next_chunk(worker, &chunk);
    if (go_on > 0) {
        go_on = sf_child_is_self(child) ? work_chunk(worker, &chunk) : -1; /* unpickling arguments may have forked */
        if (go_on == 0 && worker->engine->job->goes_on)
            go_on = 1;
    }
    end_chunk(&chunk);
    if (!sf_child_is_self(child)) /* so may freeing them, and the results */
        return -1;
    if (go_on >= 0) /* else the parent reads this claim after our death */
        atomic_store_explicit(sf_worker_claim(worker), SF_ENGINE_NO_CLAIM, memory_order_relaxed);
    return go_on;
}

/* 0, or -1 with an exception. */
static int begin_worker(const struct sf_worker *worker)
{
    int error = hears_forks ? 0 : pthread_atfork(NULL, NULL, note_copy);
    if (error) {
        sf_error(-error, "cannot start a worker");
        return -1;
    }
    hears_forks = true;
    is_copy = false; /* of the worker that has forked this one, as what is in the block */
    sf_block_forget(&results);
    return sf_share_take(worker);
}

PyObject *sf_worker_run(struct sf_task *task)
{
    struct sf_worker *worker = sf_worker_of(task);
    int go_on = 1;
    if (begin_worker(worker))
        return NULL;
    while (go_on > 0)
        go_on = work_next_chunk(worker);
    if (go_on < 0)
        return NULL;
    atomic_store_explicit(&worker->engine->board->claims[worker->number].has_finished, true, memory_order_relaxed);
    Py_RETURN_NONE;
}
