/* Feeding workers. See feed.h. */
#include "py/workers/feed.h"

#include <assert.h>
#include <errno.h>

#include "core/os/shm.h"
#include "core/ring/ring_wait.h"
#include "py/base/errors.h"
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

int sf_feed_pack(struct sf_feed *feed, uint64_t first, PyObject *items)
{
    assert(!feed->is_packed && PyList_GET_SIZE(items) > 0);
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

/* ---- in a worker ---- */

struct taking {
    struct sf_feed *feed;
    _Atomic uint64_t *claim;
    struct sf_stream_head head;
    PyObject *items;
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
            atomic_store_explicit(taking->claim, head->number, memory_order_relaxed); /* read after our death only */
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
        int whole = sf_arrival_take(&feed->arrival, feed->ring, head, &slot, bytes, &taking->items);
        let_parent_know(feed);
        if (whole)
            return whole > 0 ? 0 : SF_RAISED;
    }
    return error;
}

static int try_take(void *what)
{
    struct taking *taking = what;
    struct sf_feed *feed = taking->feed;
    taking->seen = sf_ring_events(feed->ring);
    if (!feed->has_turn)
        feed->has_turn = sf_ring_turn_take(feed->ring, &feed->shared->turn);
    int got = feed->has_turn ? take_pieces(taking) : -EAGAIN;
    if (got == -EAGAIN && feed->has_turn && !sf_arrival_is_under_way(&feed->arrival))
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

int sf_feed_take(struct sf_feed *feed, _Atomic uint64_t *claim, uint64_t *first, PyObject **items)
{
    struct taking taking = {.feed = feed, .claim = claim};
    struct sf_waiting waiting = {try_take, sleep_to_take, &taking, SF_WAIT_REQUEST, 0};
    int got = sf_wait(&waiting, true, SF_FOREVER);
    if (feed->has_turn && got != 0)
        give_turn(feed);
    *first = taking.head.number;
    *items = taking.items;
    if (got == 0 && taking.items && (taking.head.tag & ALONE)) {
        *items = PyList_New(1);
        if (*items)
            PyList_SET_ITEM(*items, 0, taking.items);
        else
            Py_DECREF(taking.items);
    }
    if (got == -ECANCELED || got == -EPIPE)
        return 0;
    if (got && got != SF_RAISED)
        sf_error(got, "cannot take arguments");
    return got ? -1 : 1;
}
