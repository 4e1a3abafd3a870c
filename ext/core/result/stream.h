/* Messages of any size over a small ring: cut into pieces that the receiver puts together while the sender goes on.
 * The way back from map workers and Generators: the ring stays small, so its pages stay warm, and the parent is there
 * to drain it. Each sender has a number (`source`); a source has one message under way at a time. */
#ifndef SF_CORE_RESULT_STREAM_H
#define SF_CORE_RESULT_STREAM_H

#include "core/ring/ring.h"

#include <sys/uio.h>

#define SF_STREAM_RING_BYTES (4u << 20)
#define SF_STREAM_PIECE_BYTES (1u << 20)

/* Travels in front of each piece. */
struct sf_stream_head {
    uint32_t source, tag; /* who, and the sender's word for what */
    uint64_t number;      /* the sender's: of the chunk, of the item */
    uint64_t total;       /* bytes of the whole message */
    uint64_t offset;      /* of this piece in it */
};

/* A message being sent: the caller fills head (offset 0, total: the sum of the parts), parts and count; the parts stay
 * as they are until all is sent. */
struct sf_stream_out {
    struct sf_stream_head head;
    const struct iovec *parts;
    int count;
    int part; /* the next byte to send stands here: the stream's own */
    uint64_t part_offset;
};

/* Sends as many pieces as there is room for. 0: all sent, -EAGAIN: wait for room and call again. */
int sf_stream_push(struct sf_ring *ring, struct sf_stream_out *out);

/* Takes the next piece: fills head and slot and *bytes of this piece. The caller copies by sf_stream_copy, then
 * sf_ring_release(ring, slot). 0, -EAGAIN: none there, -EBADMSG: not a piece. */
int sf_stream_pull(struct sf_ring *ring, struct sf_stream_head *head, struct sf_ring_slot *slot, uint64_t *bytes);

/* Copies bytes [from, from + bytes) of the pulled piece; `from` counts in the piece. */
void sf_stream_copy(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t from, void *to, uint64_t bytes);

#endif
