/* Opening what workers send. See receive.h. */
#include "py/workers/receive.h"

#include <assert.h>
#include <errno.h>

#include "py/base/errors.h"
#include "py/base/interruption.h"
#include "py/base/wait.h"
#include "py/message/offer.h"

static enum sf_tag tag_of(const struct sf_stream_head *head)
{
    return (enum sf_tag)(head->tag & ~(SF_ENGINE_ALONE | SF_ENGINE_EXTRACTED));
}

static struct sf_worker *sender_of(const struct sf_engine *engine)
{
    return engine->workers[engine->unopened.head.source];
}

void sf_receive_clear(struct sf_engine *engine)
{
    bool is_message = engine->unopened.state == SF_UNOPENED_MESSAGE;
    engine->unopened.state = SF_UNOPENED_NONE;
    if (is_message)
        sf_arrival_clear(&sender_of(engine)->arrival);
    Py_CLEAR(engine->unopened.opened);
}

void sf_receive_drop(struct sf_engine *engine)
{
    assert(engine->job->keeps_going);
    if (engine->unopened.state == SF_UNOPENED_PIECE) {
        sf_ring_release(engine->ring, &engine->unopened.slot);
        engine->unopened.state = SF_UNOPENED_NONE;
        sf_arrival_clear(&sender_of(engine)->arrival);
    }
    sf_receive_clear(engine);
}

/* For messages: what came with this number. The name of the worker belongs to the engine. */
static struct sf_outcome_origin describe(const struct sf_engine *engine, uint64_t number, char *what)
{
    const struct sf_worker *worker = sender_of(engine);
    engine->job->describe(engine, number, engine->unopened.head.tag & SF_ENGINE_EXTRACTED, what);
    return (struct sf_outcome_origin){worker->task.child.pid, 0, worker->task.name, what};
}

/* What came for this argument cannot be unpickled. Steals reason. */
static void fail_unpicklable(struct sf_engine *engine, uint64_t number, PyObject *reason)
{
    char what[SF_ENGINE_WHAT_BYTES];
    struct sf_outcome_origin origin = describe(engine, number, what);
    if (engine->job->raises_reason)
        sf_error_add_note(reason, PyUnicode_FromFormat("%s cannot be unpickled", what));
    sf_put_raised(reason);
    if (!engine->job->raises_reason)
        sf_outcome_open_message(SF_TAG_RETURNED, NULL, &origin); /* raises ChildDied */
    engine->job->fail(engine, number);
}

/* Hands on the results of a block at once: one by one they would cost more than to unpickle ints. */
static void keep_items(struct sf_engine *engine, uint64_t number, PyObject *list)
{
    Py_ssize_t count = PyList_GET_SIZE(list);
#ifdef PYPY_VERSION /* its lists are no arrays of objects */
    PyObject *some[64];
    for (Py_ssize_t i = 0, n; i < count; i += n) {
        for (n = 0; n < 64 && i + n < count; n++)
            some[n] = PyList_GET_ITEM(list, i + n);
        engine->job->keep(engine, number + (uint64_t)i, some, n);
    }
#else
    if (count)
        engine->job->keep(engine, number, ((PyListObject *)list)->ob_item, count);
#endif
}

/* Hands on the results of a block. Steals the list. Whether they were not more than can be. */
static bool keep_list(struct sf_engine *engine, PyObject *list)
{
    uint64_t number = engine->unopened.head.number;
    Py_ssize_t room = engine->job->room(engine, number, false);
    Py_ssize_t count = PyList_CheckExact(list) ? PyList_GET_SIZE(list) : room + 1;
    bool fits = count <= room;
    if (!fits) {
        PyErr_Format(PyExc_RuntimeError, "%zd results came back for %zd arguments from %llu on", count, room,
                     (unsigned long long)number);
        engine->job->fail(engine, number);
    } else {
        keep_items(engine, number, list);
    }
    Py_DECREF(list);
    return fits;
}

static void keep_value(struct sf_engine *engine, PyObject *value)
{
    const struct sf_stream_head *head = &engine->unopened.head;
    if (head->tag & SF_ENGINE_EXTRACTED) {
        engine->job->extracted(engine, head->number, value);
    } else if (head->tag & SF_ENGINE_ALONE) {
        engine->job->keep(engine, head->number, &value, 1);
        Py_DECREF(value);
    } else {
        keep_list(engine, value);
    }
}

/* A list could not be unpickled as a whole, for this reason, which is stolen. 0, or SF_RAISED: *done says whether the
 * message was taken nevertheless. */
static int open_list_again(struct sf_engine *engine, PyObject *reason, bool *done)
{
    uint64_t number = engine->unopened.head.number;
    PyObject *both = sf_arrival_open_singly(&sender_of(engine)->arrival), *items, *failure;
    if (!both || !PyArg_ParseTuple(both, "O!O", &PyList_Type, &items, &failure)) {
        *done = !sf_interruption_is_raised();
        Py_XDECREF(both);
        if (!*done) {
            Py_DECREF(reason);
            return SF_RAISED;
        }
        PyErr_Clear();
        fail_unpicklable(engine, number, reason);
        return 0;
    }
    Py_ssize_t count = PyList_GET_SIZE(items);
    *done = true;
    bool fits = keep_list(engine, Py_NewRef(items));
    if (fits && failure != Py_None)
        fail_unpicklable(engine, number + (uint64_t)count, Py_NewRef(failure));
    bool came_again = failure != Py_None;
    Py_DECREF(both);
    if (came_again || !fits) {
        Py_DECREF(reason);
        return 0;
    }
    sf_put_raised(reason);
    return SF_RAISED;
}

static int open_value_again(struct sf_engine *engine, PyObject *reason, bool *done)
{
    PyObject *value = sf_arrival_open(&sender_of(engine)->arrival);
    *done = value || !sf_interruption_is_raised();
    if (!*done) {
        Py_DECREF(reason);
        return SF_RAISED;
    }
    if (!value) {
        PyErr_Clear();
        fail_unpicklable(engine, engine->unopened.head.number, reason);
        return 0;
    }
    keep_value(engine, value);
    sf_put_raised(reason);
    return SF_RAISED;
}

/* What f returned. 0, or SF_RAISED; *done: as of open_list_again. */
static int open_returned(struct sf_engine *engine, bool *done)
{
    PyObject *value =
        engine->unopened.opened ? Py_NewRef(engine->unopened.opened) : sf_arrival_open(&sender_of(engine)->arrival);
    if (value) {
        *done = true;
        keep_value(engine, value);
        return 0;
    }
    if (sf_interruption_is_raised())
        return SF_RAISED;
    PyObject *reason = sf_take_raised();
    bool is_list = !(engine->unopened.head.tag & (SF_ENGINE_ALONE | SF_ENGINE_EXTRACTED));
    return is_list ? open_list_again(engine, reason, done) : open_value_again(engine, reason, done);
}

/* What f raised, or why its result could not be sent. As open_returned. */
static int open_failure(struct sf_engine *engine, bool *done)
{
    char what[SF_ENGINE_WHAT_BYTES];
    bool interrupted;
    uint64_t number = engine->unopened.head.number;
    struct sf_outcome_origin origin = describe(engine, number, what);
    PyObject *bytes =
        engine->unopened.opened ? Py_NewRef(engine->unopened.opened) : sf_arrival_open(&sender_of(engine)->arrival);
    PyObject *value = bytes ? sf_outcome_open(tag_of(&engine->unopened.head), bytes, &origin, &interrupted) : NULL;
    Py_XDECREF(value); /* there is none: it raises */
    if (!bytes || interrupted) {
        Py_XDECREF(bytes);
        return SF_RAISED;
    }
    Py_DECREF(bytes);
    *done = true;
    engine->job->fail(engine, number);
    return 0;
}

/* Opens the unopened message. 0, SF_RAISED, or -ECANCELED: see receive.h. */
static int open_whole(struct sf_engine *engine)
{
    const struct sf_stream_head *head = &engine->unopened.head;
    bool is_awaited = engine->job->room(engine, head->number, head->tag & SF_ENGINE_EXTRACTED) > 0;
    bool done = !is_awaited; /* its chunk has failed meanwhile */
    int got = 0;
    if (is_awaited && engine->lent && (!engine->unopened.opened || tag_of(head) != SF_TAG_RETURNED))
        return -ECANCELED;
    if (is_awaited && tag_of(head) == SF_TAG_RETURNED)
        got = open_returned(engine, &done);
    else if (is_awaited)
        got = open_failure(engine, &done);
    if (done)
        sf_receive_clear(engine);
    return got;
}

/* An array that goes ahead of its message. */
static void take_offer(struct sf_engine *engine)
{
    struct sf_unopened *piece = &engine->unopened;
    struct sf_worker *worker = sender_of(engine);
    struct sf_buffer_offer offer = {.bytes = 0}; /* such an offer is refused */
    if (piece->bytes == sizeof offer)
        sf_stream_copy(engine->ring, &piece->slot, 0, &offer, sizeof offer);
    sf_ring_release(engine->ring, &piece->slot);
    piece->state = SF_UNOPENED_NONE;
    sf_taken_add(&worker->arrival.incoming.taken, &offer, piece->head.number, worker->task.child.pid,
                 &sf_worker_board(worker)->offer);
}

/* Copies the pulled piece, and opens the message if it is whole. 0 or SF_RAISED. */
static int take_piece(struct sf_engine *engine)
{
    struct sf_unopened *piece = &engine->unopened;
    if (piece->head.tag == SF_OFFER_TAG) {
        take_offer(engine);
        return 0;
    }
    if (engine->job->keeps_going && piece->head.offset > 0 && !sf_arrival_is_under_way(&sender_of(engine)->arrival)) {
        sf_ring_release(engine->ring, &piece->slot); /* the rest of what was dropped */
        piece->state = SF_UNOPENED_NONE;
        return 0;
    }
    int whole = sf_arrival_keep(&sender_of(engine)->arrival, engine->ring, &piece->head, &piece->slot, piece->bytes,
                                &piece->opened);
    if (whole < 0)
        return SF_RAISED;
    piece->state = whole ? SF_UNOPENED_MESSAGE : SF_UNOPENED_NONE;
    return whole ? open_whole(engine) : 0;
}

int sf_receive_piece(struct sf_engine *engine)
{
    struct sf_unopened *next = &engine->unopened;
    if (!sf_engine_is_ours(engine))
        return SF_RAISED;
    if (next->state == SF_UNOPENED_MESSAGE)
        return open_whole(engine);
    if (next->state == SF_UNOPENED_PIECE)
        return take_piece(engine);
    int error = sf_stream_pull(engine->ring, &next->head, &next->slot, &next->bytes);
    if (error)
        return error;
    if (next->head.source >= (uint32_t)engine->started) {
        sf_ring_release(engine->ring, &next->slot);
        return -EBADMSG;
    }
    next->state = SF_UNOPENED_PIECE;
    return take_piece(engine);
}
