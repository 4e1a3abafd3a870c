/* Pieces of messages. See stream.h. A piece is one message of the ring: struct sf_stream_head, then bytes. */
#include "core/stream.h"

#include <errno.h>

int sf_stream_push(struct sf_ring *ring, struct sf_stream_out *out)
{
    do {
        uint64_t left = out->head.total - out->head.offset;
        uint64_t piece = left < SF_STREAM_PIECE_BYTES ? left : SF_STREAM_PIECE_BYTES;
        struct sf_ring_slot slot;
        int error = sf_ring_reserve(ring, sizeof out->head + piece, &slot);
        if (error)
            return error;
        sf_ring_put(ring, &slot, 0, &out->head, sizeof out->head);
        sf_ring_put(ring, &slot, sizeof out->head, out->data + out->head.offset, piece);
        sf_ring_publish(ring, &slot);
        out->head.offset += piece;
    } while (out->head.offset < out->head.total);
    return 0;
}

int sf_stream_pull(struct sf_ring *ring, struct sf_stream_head *head, struct sf_ring_slot *slot, uint64_t *bytes)
{
    int error = sf_ring_claim(ring, slot);
    if (error)
        return error;
    if (slot->bytes >= sizeof *head) {
        sf_ring_get(ring, slot, 0, head, sizeof *head);
        *bytes = slot->bytes - sizeof *head;
        if (head->offset <= head->total && *bytes <= head->total - head->offset)
            return 0;
    }
    sf_ring_release(ring, slot);
    return -EBADMSG;
}

void sf_stream_copy(struct sf_ring *ring, const struct sf_stream_head *head, const struct sf_ring_slot *slot,
                    char *message)
{
    sf_ring_get(ring, slot, sizeof *head, message + head->offset, slot->bytes - sizeof *head);
}
