/* Giving the memory of a drained ring back. See ring_trim.h. */
#include "core/ring/ring_trim.h"

#include <assert.h>

#include "core/os/debug.h"
#include "core/os/monotonic.h"
#include "core/os/shm.h"
#include "core/ring/ring_internal.h"

#define PIECE_BYTES (UINT64_C(32) << 20)

void sf_ring_trim_has_grown(struct sf_ring *ring)
{
    struct sf_ring_shared *s = ring->shared;
    if (atomic_load_explicit(&s->trim_at_ns, memory_order_relaxed))
        return;
    uint64_t bytes = sf_ring_layout_get(&s->layout.touched) - SF_RING_WARM_BYTES, most = SF_RING_TRIM_MOST_NS;
    uint64_t after_ns = bytes < most / SF_RING_TRIM_NS_PER_BYTE ? bytes * SF_RING_TRIM_NS_PER_BYTE : most;
    /* relaxed: a time, which orders nothing */
    atomic_store_explicit(&s->trim_at_ns, sf_monotonic_ns() + (int64_t)after_ns, memory_order_relaxed);
}

bool sf_ring_trim_is_due(const struct sf_ring *ring)
{
    int64_t at_ns = atomic_load_explicit(&ring->shared->trim_at_ns, memory_order_relaxed);
    return at_ns && sf_monotonic_ns() >= at_ns;
}

bool sf_ring_trim_piece(struct sf_ring *ring)
{
    struct sf_ring_shared *s = ring->shared;
    uint64_t touched = sf_ring_layout_get(&s->layout.touched), from = SF_RING_WARM_BYTES;
    assert(atomic_load_explicit(&s->head, memory_order_relaxed) ==
           atomic_load_explicit(&s->tail, memory_order_relaxed));
    assert(sf_ring_layout_get(&s->layout.soft) <= from); /* it is rewound */
    if (touched <= from)                                 /* another process was faster */
        return false;
    if (touched - from > PIECE_BYTES)
        from = (touched - PIECE_BYTES) / SF_SHM_PAGE_BYTES * SF_SHM_PAGE_BYTES;
    int error = sf_shm_give_back(ring->data + from, touched - from);
    if (error) /* an old kernel, or large pages: the memory stays */
        from = SF_RING_WARM_BYTES;
    sf_ring_layout_set(&s->layout.touched, from);
    if (from > SF_RING_WARM_BYTES)
        return true;
    atomic_store_explicit(&s->trim_at_ns, 0, memory_order_relaxed);
    sf_debug(SF_DEBUG_RING, "%p gave memory back", (void *)s);
    return false;
}
