/* The frames of a ring in its memory: their header words and states, for ring.c, which says who may change them. */
#ifndef SF_CORE_RING_RING_FRAME_H
#define SF_CORE_RING_RING_FRAME_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/ring/ring_handle.h"
#include "core/ring/ring_internal.h"

enum frame_kind { FREE = 0, WRITING, READY, READING, RETURNING };
enum { STATE, SPAN, BYTES, SEQ, HEADER_WORDS };
static_assert(HEADER_WORDS * 8 == SF_RING_FRAME_BYTES, "frame header");

static inline uint64_t load_locked(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed); /* ordered by the lock */
}

static inline void store_locked(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed); /* ordered by the lock */
}

static inline uint64_t span_for(uint64_t bytes)
{
    return SF_RING_FRAME_BYTES + (bytes + 7) / 8 * 8;
}

/* What a message of so many bytes counts towards the limit. */
static inline uint64_t count_of(const struct sf_ring *ring, uint64_t bytes)
{
    return bytes > ring->label_bytes ? bytes - ring->label_bytes : 1;
}

/* A header word of the frame at place x. Places are multiples of 8, so no word stands across an end. */
static inline _Atomic uint64_t *frame_word(const struct sf_ring *ring, uint64_t x, unsigned word)
{
    uint64_t after, offset = word * 8;
    if (word && __builtin_expect(sf_ring_layout_piece(&ring->shared->layout, x, &after) - x <= offset, 0))
        x = sf_ring_layout_walk(&ring->shared->layout, x, offset);
    else
        x += offset;
    return (_Atomic uint64_t *)(ring->data + x);
}

/* All header words of a frame. */
struct frame_header {
    _Atomic uint64_t *state, *span, *bytes, *seq;
};

static inline struct frame_header frame_header_at(const struct sf_ring *ring, uint64_t x)
{
    uint64_t after;
    _Atomic uint64_t *first = frame_word(ring, x, STATE);
    if (__builtin_expect(sf_ring_layout_piece(&ring->shared->layout, x, &after) - x >= SF_RING_FRAME_BYTES, 1))
        return (struct frame_header){first, first + SPAN, first + BYTES, first + SEQ};
    return (struct frame_header){first, frame_word(ring, x, SPAN), frame_word(ring, x, BYTES),
                                 frame_word(ring, x, SEQ)};
}

static inline uint64_t state_of(enum frame_kind kind, uint32_t tag)
{
    return (uint64_t)kind << 32 | tag;
}

static inline enum frame_kind state_kind(uint64_t state)
{
    return (enum frame_kind)(state >> 32);
}

/* Whether a frame of this kind is its holder's to change. */
static inline bool is_in_hand(enum frame_kind kind)
{
    return kind == WRITING || kind == READING || kind == RETURNING;
}

static inline uint64_t load_state(const struct sf_ring *ring, uint64_t x)
{
    return atomic_load_explicit(frame_word(ring, x, STATE), memory_order_acquire); /* partner: set_state */
}

/* The holder's last store to its message: everything it wrote (read) stands before it. */
static inline void set_state(const struct sf_ring *ring, uint64_t x, enum frame_kind kind)
{
    atomic_store_explicit(frame_word(ring, x, STATE), state_of(kind, ring->tag), memory_order_release);
}

static inline uint64_t place_of_position(const struct sf_ring *ring, uint64_t position)
{
    uint64_t x = sf_ring_layout_place(&ring->shared->layout, load_locked(&ring->shared->base), position);
    assert(x < ring->usable && x % 8 == 0);
    return x;
}

static inline uint64_t span_at(const struct sf_ring *ring, uint64_t x)
{
    uint64_t span = load_locked(frame_word(ring, x, SPAN));
    assert(span >= SF_RING_FRAME_BYTES && span % 8 == 0 && span <= ring->usable);
    return span;
}

static inline uint64_t count_at(const struct sf_ring *ring, uint64_t x)
{
    return count_of(ring, load_locked(frame_word(ring, x, BYTES)));
}

#endif
