/* Messages in pieces, on the receiver's side. See arrival.h.
 *
 * The pieces of one message arrive in order. A message of one piece is opened in the ring. Pieces of a longer one are
 * gathered in a new object, so that the sender gets its room in the ring back, and opened once all are there. So is a
 * message that has to be kept until it could be opened. */
#include "py/message/arrival.h"

#include "core/log/log.h"
#include "core/os/shm.h"
#include "py/message/message.h"
#include "py/trace/stretch.h"

/* From this size on a copy takes longer than releasing the interpreter lock and taking it again. */
#define UNLOCKED_BYTES (64u << 10)

static int begin_gathering(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                           const struct sf_ring_slot *slot)
{
    sf_stream_copy(ring, slot, 0, &arrival->head, sizeof arrival->head);
    sf_arrival_clear(arrival); /* of a message that its source did not finish */
    arrival->target = sf_message_gather(arrival->head, head->total, &arrival->skipped);
    return arrival->target ? 0 : -1;
}

/* Copies a piece of `bytes` bytes to its place. */
static void gather(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                   const struct sf_ring_slot *slot, uint64_t bytes)
{
    uint64_t skipped = head->offset == 0 ? arrival->skipped : 0; /* of this piece */
    char *start = PyBytes_CheckExact(arrival->target) ? PyBytes_AS_STRING(arrival->target)
                                                      : PyByteArray_AS_STRING(arrival->target);
    char *to = start + head->offset + skipped - arrival->skipped;
    uint64_t from = sf_stretch_begin(bytes);
    PyThreadState *unlocked = bytes >= UNLOCKED_BYTES ? PyEval_SaveThread() : NULL;
    if (head->offset == 0)
        sf_shm_will_fill(start, head->total - arrival->skipped);
    sf_stream_copy(ring, slot, skipped, to, bytes - skipped);
    if (unlocked)
        PyEval_RestoreThread(unlocked);
    sf_log_stretch(SF_EVENT_COPIED, from, bytes - skipped);
}

/* Takes a piece and releases its slot. 1: now the message is whole, 0: more pieces follow, -1 with an exception. */
static int take_piece(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                      const struct sf_ring_slot *slot, uint64_t bytes)
{
    int failed = head->offset == 0 ? begin_gathering(arrival, ring, head, slot) : 0;
    if (!failed && !arrival->target) {
        PyErr_SetString(PyExc_RuntimeError, "a piece of a message arrived without its first piece");
        failed = -1;
    }
    if (!failed)
        gather(arrival, ring, head, slot, bytes);
    sf_ring_release(ring, slot);
    return failed ? -1 : head->offset + bytes == head->total;
}

int sf_arrival_take(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                    const struct sf_ring_slot *slot, uint64_t bytes, PyObject **object)
{
    if (bytes == head->total) {
        *object = sf_message_open(ring, slot, sizeof *head, false);
        return 1;
    }
    int whole = take_piece(arrival, ring, head, slot, bytes);
    if (whole <= 0)
        return whole;
    PyObject *gathered = arrival->target;
    arrival->target = NULL;
    *object = sf_message_open_gathered(arrival->head, gathered);
    return 1;
}

int sf_arrival_keep(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                    const struct sf_ring_slot *slot, uint64_t bytes, PyObject **object)
{
    uint64_t start;
    if (bytes == head->total) {
        sf_stream_copy(ring, slot, 0, &start, sizeof start);
        if (!sf_message_runs_code(start)) {
            *object = sf_message_open(ring, slot, sizeof *head, false);
            return 1;
        }
    }
    int whole = take_piece(arrival, ring, head, slot, bytes);
    return whole == 1 ? 2 : whole;
}

PyObject *sf_arrival_open(const struct sf_arrival *arrival)
{
    return sf_message_open_gathered(arrival->head, Py_NewRef(arrival->target));
}

PyObject *sf_arrival_open_singly(const struct sf_arrival *arrival)
{
    return sf_message_open_singly(arrival->head, arrival->target);
}

void sf_arrival_clear(struct sf_arrival *arrival)
{
    Py_CLEAR(arrival->target);
}
