/* Messages of any size over a small ring: cut into pieces that the receiver puts together while the sender goes on.
 * The workers of map and imap and the children of Generators send their results this way, and imap feeds its workers
 * this way: the ring stays small, so its pages stay warm, and somebody is always there to empty it. Each sender has a
 * number (`source`), and sends one message at a time. */
#ifndef SF_CORE_RESULT_STREAM_H
#define SF_CORE_RESULT_STREAM_H

#include <stdint.h>
#include <sys/uio.h>

#include "core/ring/ring.h"

#define SF_STREAM_RING_BYTES (4u << 20)
#define SF_STREAM_PIECE_BYTES (1u << 20)

/* Is sent in front of each piece. */
struct sf_stream_head {
    uint32_t source; /* number of the sender */
    uint32_t tag;    /* what the message is, for the sender to say */
    uint64_t number; /* of the chunk or item, for the sender to say */
    uint64_t total;  /* bytes of the whole message */
    uint64_t offset; /* of this piece in it */
};

/* A message being sent. The caller fills head (offset 0, total: the sum of the parts), parts and count, and keeps the
 * parts as they are until all is sent. */
struct sf_stream_out {
    struct sf_stream_head head;
    const struct iovec *parts;
    int count;
    int part; /* part and part_offset, the stream's own: where the next byte to send is */
    uint64_t part_offset;
};

/* Sends as many pieces as there is room for. 0: all sent, -EAGAIN: wait for room and call again (no room, or the ring's
 * lock is held). */
int sf_stream_push(struct sf_ring *ring, struct sf_stream_out *out);

/* Takes the next piece: fills head, slot and *bytes, the bytes of this piece. The caller copies them by sf_stream_copy
 * and then calls sf_ring_release(ring, slot). 0, -EAGAIN: there is none, -EBUSY: the ring's lock is held, so that is
 * not known, -EBADMSG: not a piece, and it is released. */
int sf_stream_pull(struct sf_ring *ring, struct sf_stream_head *head, struct sf_ring_slot *slot, uint64_t *bytes);

/* Copies bytes [from, from + bytes) of the pulled piece, counted in the piece. */
void sf_stream_copy(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t from, void *to, uint64_t bytes);

#endif
