/* The bytes of a message, which its holder reads and writes without the lock: their places do not change. */
#include <assert.h>
#include <string.h>

#include "core/ring/ring.h"
#include "core/ring/ring_internal.h"

static inline void *find_run(const struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t offset,
                             uint64_t *run)
{
    const struct sf_ring_layout *layout = &ring->shared->layout;
    uint64_t after, x = sf_ring_layout_walk(layout, slot->place, SF_RING_FRAME_BYTES + offset);
    uint64_t piece = sf_ring_layout_piece(layout, x, &after) - x, rest = slot->bytes - offset;
    *run = piece < rest ? piece : rest;
    return ring->data + x;
}

void *sf_ring_at(const struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t offset, uint64_t *run)
{
    return find_run(ring, slot, offset, run);
}

void sf_ring_put(const struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t offset, const void *from,
                 uint64_t bytes)
{
    const unsigned char *source = from;
    assert(offset + bytes <= slot->bytes);
    while (bytes) {
        uint64_t run;
        void *to = find_run(ring, slot, offset, &run);
        run = run < bytes ? run : bytes;
        memcpy(to, source, run);
        source += run, offset += run, bytes -= run;
    }
}

void sf_ring_get(const struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t offset, void *to, uint64_t bytes)
{
    unsigned char *target = to;
    assert(offset + bytes <= slot->bytes);
    while (bytes) {
        uint64_t run;
        const void *from = find_run(ring, slot, offset, &run);
        run = run < bytes ? run : bytes;
        memcpy(target, from, run);
        target += run, offset += run, bytes -= run;
    }
}
