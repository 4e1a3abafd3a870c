/* Messages in pieces, on the receiver's side. See arrival.h.
 *
 * The pieces of one message arrive in order. A message of one piece is opened at once. Pieces of a longer one are
 * copied to where they will stay, so that the sender gets its room in the ring back, and the message is opened once all
 * are there. */
#include "py/message/arrival.h"

#include "py/message/message.h"

/* Copies a piece of `bytes` bytes to its place. 0, or -1 with an exception. */
static int take_piece(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                      const struct sf_ring_slot *slot, uint64_t bytes)
{
    uint64_t at = sizeof *head;
    if (head->offset == 0) {
        uint64_t label;
        sf_arrival_clear(arrival); /* of a message that its source did not finish */
        sf_ring_get(ring, slot, at, &label, sizeof label);
        if (sf_incoming_begin(&arrival->incoming, label, head->total))
            return -1;
        at += sizeof label;
        bytes -= sizeof label;
    } else if (!sf_arrival_is_under_way(arrival)) {
        PyErr_SetString(PyExc_RuntimeError, "a piece of a message arrived without its first piece");
        return -1;
    }
    return sf_incoming_take(&arrival->incoming, ring, slot, at, bytes);
}

int sf_arrival_take(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                    const struct sf_ring_slot *slot, uint64_t bytes, PyObject **object)
{
    if (bytes == head->total) {
        *object = sf_message_open(ring, slot, sizeof *head, false);
        return 1;
    }
    int failed = take_piece(arrival, ring, head, slot, bytes);
    sf_ring_release(ring, slot);
    if (failed)
        return -1;
    if (head->offset + bytes < head->total)
        return 0;
    struct sf_incoming whole = arrival->incoming; /* what unpickling calls may come here again */
    arrival->incoming = (struct sf_incoming){.total = 0};
    *object = sf_incoming_open(&whole);
    sf_incoming_clear(&whole);
    return 1;
}

void sf_arrival_clear(struct sf_arrival *arrival)
{
    sf_incoming_clear(&arrival->incoming);
}
