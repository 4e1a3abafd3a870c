/* Messages in pieces, on the receiver's side. See arrival.h.
 *
 * The pieces of one message arrive in order. They are gathered in a new object, so that the sender gets its room in the
 * ring back, and opened once all are there. Where the message need not outlive a failure, one of a single piece is
 * opened in the ring. */
#include "py/message/arrival.h"

#include "core/log/log.h"
#include "core/os/shm.h"
#include "py/message/message.h"

#define UNLOCKED_BYTES (64u << 10) /* from here on a copy takes longer than to give up the interpreter lock */

static int begin_gathering(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                           const struct sf_ring_slot *slot)
{
    sf_stream_copy(ring, slot, 0, &arrival->head, sizeof arrival->head);
    sf_arrival_clear(arrival); /* of a message that its source did not finish */
    arrival->target = sf_message_gather(arrival->head, head->total, &arrival->skipped);
    return arrival->target ? 0 : -1;
}

/* Copies a piece of `bytes` bytes to its place. */
static void copy_piece(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                       const struct sf_ring_slot *slot, uint64_t bytes)
{
    uint64_t skipped = head->offset == 0 ? arrival->skipped : 0; /* of this piece */
    char *start = PyBytes_CheckExact(arrival->target) ? PyBytes_AS_STRING(arrival->target)
                                                      : PyByteArray_AS_STRING(arrival->target);
    char *to = start + head->offset + skipped - arrival->skipped;
    uint64_t from = sf_log_stretch_begin();
    if (bytes < UNLOCKED_BYTES) {
        sf_stream_copy(ring, slot, skipped, to, bytes - skipped);
    } else {
        Py_BEGIN_ALLOW_THREADS;
        if (head->offset == 0)
            sf_shm_will_fill(start, head->total - arrival->skipped);
        sf_stream_copy(ring, slot, skipped, to, bytes - skipped);
        Py_END_ALLOW_THREADS;
    }
    sf_log_stretch(SF_EVENT_COPIED, from, bytes - skipped);
}

int sf_arrival_gather(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                      const struct sf_ring_slot *slot, uint64_t bytes)
{
    if (head->offset == 0 && begin_gathering(arrival, ring, head, slot))
        return -1;
    if (!arrival->target) {
        PyErr_SetString(PyExc_RuntimeError, "a piece of a message arrived without its first piece");
        return -1;
    }
    copy_piece(arrival, ring, head, slot, bytes);
    sf_ring_release(ring, slot);
    return head->offset + bytes == head->total;
}

PyObject *sf_arrival_open(const struct sf_arrival *arrival)
{
    return sf_message_open_gathered(arrival->head, Py_NewRef(arrival->target));
}

int sf_arrival_take(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                    const struct sf_ring_slot *slot, uint64_t bytes, PyObject **object)
{
    if (bytes == head->total) {
        *object = sf_message_open(ring, slot, sizeof *head, false);
        return 1;
    }
    int whole = sf_arrival_gather(arrival, ring, head, slot, bytes);
    if (whole < 0)
        sf_ring_release(ring, slot);
    if (whole <= 0)
        return whole;
    PyObject *gathered = arrival->target;
    arrival->target = NULL;
    *object = sf_message_open_gathered(arrival->head, gathered);
    return 1;
}

void sf_arrival_clear(struct sf_arrival *arrival)
{
    Py_CLEAR(arrival->target);
}
