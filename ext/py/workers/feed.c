/* Feeding workers. See feed.h. */
#include "py/workers/feed.h"

#include <assert.h>
#include <errno.h>

#include "core/os/monotonic.h"
#include "core/os/pid.h"
#include "core/os/shm.h"
#include "core/ring/ring_wait.h"
#include "py/base/errors.h"
#include "py/base/interruption.h"
#include "py/base/wait.h"

#define ALONE 1u /* a message's tag: it is one argument, not a list of them */

int sf_feed_init(struct sf_feed *feed, struct sf_ring *results)
{
    void *shared = NULL;
    int error = sf_shm_map(&shared, sizeof *feed->shared);
    feed->shared = shared;
    feed->results = results;
    return error ? error : sf_ring_new(&feed->ring, SF_STREAM_RING_BYTES);
}

/* ---- in the parent ---- */

static void drop_packed(struct sf_feed *feed)
{
    if (!feed->is_packed)
        return;
    feed->is_packed = false;
    sf_message_fini(&feed->message);
    Py_CLEAR(feed->items);
}

void sf_feed_fini(struct sf_feed *feed)
{
    drop_packed(feed);
    sf_ring_free(feed->ring);
    feed->ring = NULL;
    if (feed->shared)
        sf_shm_unmap(feed->shared, sizeof *feed->shared);
    feed->shared = NULL;
    sf_arrival_clear(&feed->arrival);
}

/* Packs all items. Steals them. 0, or -1 with an exception. */
static int pack_all(struct sf_feed *feed, uint64_t first, PyObject *items)
{
    bool alone = PyList_GET_SIZE(items) == 1; /* bytes alone need no pickling */
    feed->is_packed = true;
    feed->items = items;
    if (sf_message_pack(&feed->message, alone ? PyList_GET_ITEM(items, 0) : items)) {
        PyObject *raised = sf_take_raised();
        drop_packed(feed);
        sf_put_raised(raised);
        return -1;
    }
    feed->out =
        (struct sf_stream_out){.head = {.tag = alone ? ALONE : 0, .number = first, .total = feed->message.bytes},
                               .parts = feed->message.parts,
                               .count = feed->message.count};
    return 0;
}

Py_ssize_t sf_feed_pack(struct sf_feed *feed, uint64_t first, PyObject *items, bool *is_bad)
{
    assert(!feed->is_packed && PyList_GET_SIZE(items) > 0);
    Py_ssize_t all = PyList_GET_SIZE(items), good = 0;
    *is_bad = false;
    if (pack_all(feed, first, Py_NewRef(items)) == 0) {
        Py_DECREF(items);
        return all;
    }
    if (sf_interruption_is_raised()) {
        Py_DECREF(items);
        return 0;
    }
    PyObject *reason = sf_take_raised();
    while (good < all && sf_message_can_pack(PyList_GET_ITEM(items, good)))
        good++;
    *is_bad = good < all && !sf_interruption_is_raised();
    PyObject *failure = good < all ? sf_take_raised() : Py_NewRef(reason);
    PyObject *slice = *is_bad && good > 0 ? PyList_GetSlice(items, 0, good) : NULL;
    if (*is_bad && good > 0 && (!slice || pack_all(feed, first, slice))) {
        PyErr_Clear();
        *is_bad = false;
    }
    if (!*is_bad)
        good = 0;
    Py_DECREF(reason);
    Py_DECREF(items);
    sf_put_raised(failure);
    return good;
}

int sf_feed_push(struct sf_feed *feed)
{
    assert(feed->is_packed);
    int error = sf_stream_push(feed->ring, &feed->out);
    if (error == -EAGAIN) {
        /* seq_cst here and in let_parent_know: either we see the room that a worker has freed, or it sees wants_room */
        atomic_store(&feed->shared->wants_room, 1);
        error = sf_stream_push(feed->ring, &feed->out);
    }
    if (error != -EAGAIN)
        drop_packed(feed);
    return error;
}

void sf_feed_stop(struct sf_feed *feed)
{
    atomic_store_explicit(&feed->shared->stop, 1, memory_order_release); /* partner: try_take */
    sf_ring_wake_all(feed->ring);
}

void sf_feed_retire(struct sf_feed *feed)
{
    atomic_store_explicit(&feed->shared->generation, ++feed->generation,
                          memory_order_release); /* partner: is_retired */
    sf_ring_wake_all(feed->ring);
}

/* ---- in a worker ---- */

struct taking {
    struct sf_feed *feed;
    pid_t taker;
    struct sf_engine_claim *claim;
    struct sf_stream_head head;
    PyObject
        *opened;   /* the whole chunk, unless opening it runs code of the program: then it is kept in feed->arrival */
    uint32_t seen; /* the ring's events before the last look at it */
};

/* Room was freed: the parent may wait for it. */
static void let_parent_know(struct sf_feed *feed)
{
    _Atomic uint32_t *wants_room = &feed->shared->wants_room;
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(wants_room, memory_order_relaxed) && atomic_exchange(wants_room, 0))
        sf_ring_nudge(feed->results);
}

static void give_turn(struct sf_feed *feed)
{
    feed->has_turn = false;
    /* relaxed here and in take_pieces: sleeping on the ring's event, or being woken, orders it */
    atomic_store_explicit(&feed->shared->in_pieces, 0, memory_order_relaxed);
    sf_ring_turn_give(feed->ring, &feed->shared->turn);
}

/* Takes the pieces that are there. 0: the chunk is whole, -EAGAIN, SF_RAISED or -errno. */
static int take_pieces(struct taking *taking)
{
    struct sf_feed *feed = taking->feed;
    struct sf_stream_head *head = &taking->head;
    struct sf_ring_slot slot;
    uint64_t bytes;
    int error;
    while ((error = sf_stream_pull(feed->ring, head, &slot, &bytes)) == 0) {
        if (head->offset == 0) {
            sf_claim_take(taking->claim, head->number, sf_monotonic_ns()); /* before others have the turn: see crew.h */
            sf_arrival_clear(&feed->arrival);
        } else if (!sf_arrival_is_under_way(&feed->arrival)) { /* the rest of a chunk whose taker was killed */
            sf_ring_release(feed->ring, &slot);
            let_parent_know(feed);
            continue;
        }
        if (head->offset + bytes == head->total) /* what follows is for others */
            give_turn(feed);
        else if (head->offset == 0)
            atomic_store_explicit(&feed->shared->in_pieces, 1, memory_order_relaxed);
        int whole = sf_arrival_keep(&feed->arrival, feed->ring, head, &slot, bytes, &taking->opened);
        if (whole < 0) /* the worker ends by this exception */
            sf_ring_release(feed->ring, &slot);
        let_parent_know(feed);
        if (whole)
            return whole < 0 ? SF_RAISED : 0;
    }
    return error;
}

/* A signal handler may have called os.fork: the turn and the pieces are not the new process's. */
static bool is_taker(const struct taking *taking)
{
    return taking->taker == sf_pid_own();
}

/* Whether a worker takes nothing more. */
static bool is_retired(const struct sf_feed *feed)
{
    /* partner: sf_feed_retire */
    return atomic_load_explicit(&feed->shared->generation, memory_order_acquire) != feed->generation;
}

static int try_take(void *what)
{
    struct taking *taking = what;
    struct sf_feed *feed = taking->feed;
    if (!is_taker(taking))
        return SF_RAISED;
    taking->seen = sf_ring_events(feed->ring);
    if (is_retired(feed) && !sf_arrival_is_under_way(&feed->arrival))
        return -ECANCELED;
    if (!feed->has_turn)
        feed->has_turn = sf_ring_turn_take(feed->ring, &feed->shared->turn);
    int got = feed->has_turn ? take_pieces(taking) : -EAGAIN;
    bool none = got == -EAGAIN || got == -EBUSY;
    if (none && feed->has_turn && !sf_arrival_is_under_way(&feed->arrival))
        give_turn(feed); /* nothing has begun: do not keep others from it */
    if (got == -EAGAIN && atomic_load_explicit(&feed->shared->stop, memory_order_acquire)) /* partner: sf_feed_stop */
        return -ECANCELED;
    return got;
}

static int sleep_to_take(void *what, int64_t timeout_ns)
{
    struct taking *taking = what;
    struct sf_feed *feed = taking->feed;
    if (feed->has_turn || !sf_ring_turn_is_taken(&feed->shared->turn))
        return sf_ring_wait_event(feed->ring, taking->seen, timeout_ns);
    /* We may have been woken for a piece that only the owner of the turn can take: wake it in our place. */
    if (atomic_load_explicit(&feed->shared->in_pieces, memory_order_relaxed))
        sf_ring_nudge(feed->ring);
    return sf_ring_turn_wait(feed->ring, &feed->shared->turn, timeout_ns);
}

static PyObject *list_of(PyObject *item)
{
    PyObject *list = PyList_New(1);
    if (list)
        PyList_SET_ITEM(list, 0, item);
    else
        Py_DECREF(item);
    return list;
}

/* The chunk did not open, for this reason, which is stolen. As open_taken. */
static PyObject *open_again(struct taking *taking, PyObject *reason, PyObject **failure)
{
    struct sf_arrival *arrival = &taking->feed->arrival;
    PyObject *items = NULL, *raised = NULL, *both;
    assert(reason);
    if (taking->head.tag & ALONE) {
        PyObject *item = sf_arrival_open(arrival);
        both = item ? Py_BuildValue("([N]O)", item, Py_None) : Py_BuildValue("([]N)", sf_take_raised());
    } else {
        both = sf_arrival_open_singly(arrival);
    }
    if (both && PyArg_ParseTuple(both, "O!O", &PyList_Type, &items, &raised))
        Py_INCREF(items);
    PyErr_Clear();
    if (!items) /* it was interrupted again */
        items = PyList_New(0);
    else if (raised == Py_None) /* the reason is not about an argument */
        items = PyList_SetSlice(items, PyList_GET_SIZE(items) - 1, PY_SSIZE_T_MAX, NULL) ? NULL : items;
    else
        sf_error_add_note(raised, taking->feed->are_tasks
                                      ? PyUnicode_FromString("the task cannot be unpickled in the worker")
                                      : PyUnicode_FromFormat("argument %llu cannot be unpickled in the worker",
                                                             (unsigned long long)taking->head.number +
                                                                 (unsigned long long)PyList_GET_SIZE(items)));
    *failure = Py_NewRef(raised && raised != Py_None ? raised : reason);
    Py_DECREF(reason);
    Py_XDECREF(both);
    return items;
}

/* Opens the chunk that was taken: the list, or what is before the argument that *failure takes the place of. What is
 * not about an argument takes the place of the last one. NULL with an exception. */
static PyObject *open_taken(struct taking *taking, PyObject **failure)
{
    PyObject *opened = taking->opened ? taking->opened : sf_arrival_open(&taking->feed->arrival);
    if (!opened)
        return open_again(taking, sf_take_raised(), failure);
    return taking->head.tag & ALONE ? list_of(opened) : opened;
}

int sf_feed_take(struct sf_feed *feed, struct sf_engine_claim *claim, uint64_t *first, PyObject **items,
                 PyObject **failure)
{
    struct taking taking = {.feed = feed, .taker = sf_pid_own(), .claim = claim};
    struct sf_waiting waiting = {try_take, sleep_to_take, &taking, SF_WAIT_WORK, 0};
    int got = sf_wait(&waiting, true, SF_FOREVER);
    if (!is_taker(&taking))
        return -1;
    if (feed->has_turn && got != 0)
        give_turn(feed);
    *first = taking.head.number;
    if (got == 0) {
        *items = open_taken(&taking, failure);
        sf_arrival_clear(&feed->arrival);
        return *items ? 1 : -1;
    }
    if (got == -ECANCELED || got == -EPIPE)
        return 0;
    if (got && got != SF_RAISED)
        sf_error(got, "cannot take arguments");
    return -1;
}
