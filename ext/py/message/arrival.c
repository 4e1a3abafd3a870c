/* Messages in pieces, on the receiver's side. See arrival.h.
 *
 * The pieces of one message arrive in order. They are copied to where they will stay, so that the sender gets its room
 * in the ring back, and the message is opened once all are there. A message of one piece whose opening runs no code is
 * opened at once. */
#include "py/message/arrival.h"

#include "py/message/message.h"

static uint64_t label_of(struct sf_ring *ring, const struct sf_ring_slot *slot)
{
    uint64_t label;
    sf_ring_get(ring, slot, sizeof(struct sf_stream_head), &label, sizeof label);
    return label;
}

/* 0, or -1 with an exception. */
static int begin(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                 const struct sf_ring_slot *slot)
{
    if (head->offset == 0) {
        arrival->again = false; /* of a message that its source did not finish */
        return sf_incoming_begin(&arrival->incoming, label_of(ring, slot), head->total);
    }
    if (arrival->incoming.total)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "a piece of a message arrived without its first piece");
    return -1;
}

/* Copies a piece of `bytes` bytes, or what a call that failed has left of it. 1: the message is whole, 0: more pieces
 * follow, -1 with an exception. */
static int copy_piece(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                      const struct sf_ring_slot *slot, uint64_t bytes)
{
    struct sf_incoming *incoming = &arrival->incoming;
    bool begun = arrival->again && incoming->total;
    if (begun ? sf_incoming_advance(incoming, 0) : begin(arrival, ring, head, slot)) {
        arrival->again = true;
        return -1;
    }
    uint64_t done = sf_incoming_filled(incoming) - head->offset;
    arrival->again = sf_incoming_take(incoming, ring, slot, sizeof *head + done, bytes - done);
    if (arrival->again)
        return -1;
    return head->offset + bytes == head->total;
}

int sf_arrival_gather(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                      const struct sf_ring_slot *slot, uint64_t bytes)
{
    int whole = copy_piece(arrival, ring, head, slot, bytes);
    if (whole >= 0)
        sf_ring_release(ring, slot);
    return whole;
}

int sf_arrival_keep(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                    const struct sf_ring_slot *slot, uint64_t bytes, PyObject **object)
{
    if (bytes < head->total || sf_message_runs_code(label_of(ring, slot))) {
        int whole = sf_arrival_gather(arrival, ring, head, slot, bytes);
        return whole == 1 ? 2 : whole;
    }
    *object = sf_message_open(ring, slot, sizeof *head, false);
    if (!*object)
        return -1;
    sf_ring_release(ring, slot);
    return 1;
}

PyObject *sf_arrival_open(struct sf_arrival *arrival)
{
    return sf_incoming_open(&arrival->incoming);
}

PyObject *sf_arrival_open_singly(struct sf_arrival *arrival)
{
    return sf_incoming_open_singly(&arrival->incoming);
}

void sf_arrival_clear(struct sf_arrival *arrival)
{
    sf_incoming_clear(&arrival->incoming);
    arrival->again = false;
}
