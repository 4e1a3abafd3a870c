/* Pieces of messages. See stream.h. A piece is one message of the ring: struct sf_stream_head, then bytes.
 *
 * Invariants, between two pieces: head.offset <= head.total; (part, part_offset) is where byte head.offset is. */
#include "core/result/stream.h"

#include <assert.h>
#include <errno.h>

/* Copies the next `bytes` bytes of the parts into the slot. */
static void put_parts(struct sf_ring *ring, const struct sf_ring_slot *slot, struct sf_stream_out *out, uint64_t bytes)
{
    uint64_t at = sizeof out->head;
    while (bytes) {
        assert(out->part < out->count && out->part_offset <= out->parts[out->part].iov_len);
        const struct iovec *part = &out->parts[out->part];
        uint64_t left = part->iov_len - out->part_offset, piece = left < bytes ? left : bytes;
        sf_ring_put(ring, slot, at, (const char *)part->iov_base + out->part_offset, piece);
        at += piece;
        bytes -= piece;
        out->part_offset += piece;
        if (out->part_offset == part->iov_len) {
            out->part++;
            out->part_offset = 0;
        }
    }
}

int sf_stream_push(struct sf_ring *ring, struct sf_stream_out *out)
{
    do {
        assert(out->head.offset <= out->head.total);
        uint64_t left = out->head.total - out->head.offset;
        uint64_t piece = left < SF_STREAM_PIECE_BYTES ? left : SF_STREAM_PIECE_BYTES;
        struct sf_ring_slot slot;
        int error = sf_ring_reserve(ring, sizeof out->head + piece, &slot);
        if (error)
            return error == -EBUSY ? -EAGAIN : error; /* a wait for room is a wait for the lock too */
        sf_ring_put(ring, &slot, 0, &out->head, sizeof out->head);
        put_parts(ring, &slot, out, piece);
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

void sf_stream_copy(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t from, void *to, uint64_t bytes)
{
    sf_ring_get(ring, slot, sizeof(struct sf_stream_head) + from, to, bytes);
}
