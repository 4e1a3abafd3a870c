/* Where in a ring's memory its positions are.
 *
 * Positions are counts of bytes since the ring was made: head <= next <= tail. Mapped plainly they would go round all
 * of the ring's memory, however few bytes are in flight, and fresh pages cost ten times as much as warm ones. So a
 * layout uses only the first `soft` bytes, and grows when more are in flight:
 *
 *     plain:    [0 ......... soft)                    offset = position - base; after soft it goes on at 0
 *
 * More room may be needed while the bytes in flight already go round, so that the tail's place is before the head's
 * place h. Then the unused rest C of the memory is spliced into the layout in front of h:
 *
 *     memory:   [0 ... A ... h ... B ... soft ... C ... usable)
 *     spliced:   A -> C -> B -> A ...
 *
 * and taken out again when all that is in flight is in C. No byte in flight is ever moved: a message keeps its place,
 * and the way from one of its bytes to the next, from reserve to release, while the layout changes around it. So the
 * holder of a message may follow that way (sf_ring_layout_piece) without the lock. All other functions need the lock.
 *
 * Fresh pages. `touched` is a high-water mark: the memory behind it has no pages yet. When the bytes in flight reach
 * the layout's end, the layout grows up to the mark, and beyond it only if going round there would not give the room.
 * So no more memory gets pages than about twice what is in flight at most:
 *
 *     [0 ...... head ===== in flight ===== tail ... soft ... touched ........ enough ................ usable)
 *        free, warm                             warm           fresh            fresh, for many tiny messages
 *
 * A ring that is more than a quarter full may well become full. If it had gone round early, it would be spliced then,
 * and have more pages than one that grew to `enough`. That is what a full ring has in flight, unless its messages are
 * so small that their frames take most of it.
 *
 * Crash consistency. Growing is one store, after that of `touched`, which may be too high but never too low. Splicing
 * changes two or three words: they are written to the plan first, plan_soft last, then they are copied, and plan_soft
 * is cleared; sf_ring_layout_repair repeats the copying. Rewinding is done when nothing is in flight: then any mixture
 * of old and new words is a valid layout. */
#ifndef SF_CORE_RING_RING_LAYOUT_H
#define SF_CORE_RING_RING_LAYOUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SF_RING_LAYOUT_NO_SPLICE UINT64_MAX

/* In shared memory. Written under the ring's lock with relaxed stores: the lock orders them for all who take it. The
 * holder of a message may read old words; old and new ones agree on the way through its message (see ring_layout.c). */
struct sf_ring_layout {
    _Atomic uint64_t soft;    /* bytes of a plain layout; 8 <= soft <= usable */
    _Atomic uint64_t splice;  /* h, or SF_RING_LAYOUT_NO_SPLICE */
    uint64_t usable, enough;  /* bytes of memory, and of a full ring's messages; constant; enough <= usable */
    _Atomic uint64_t touched; /* bytes from the first one on that may have pages; soft <= touched <= usable */
    _Atomic uint64_t plan_base, plan_splice, plan_soft; /* to be copied if plan_soft is not 0 */
};

static inline uint64_t sf_ring_layout_get(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void sf_ring_layout_set(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

/* The end of the piece of memory that place x is in; *after is the place that follows the piece. */
static inline uint64_t sf_ring_layout_piece(const struct sf_ring_layout *layout, uint64_t x, uint64_t *after)
{
    uint64_t soft = sf_ring_layout_get(&layout->soft), splice = sf_ring_layout_get(&layout->splice);
    bool spliced = splice != SF_RING_LAYOUT_NO_SPLICE;
    if (spliced && x < splice) {
        *after = soft;
        return splice;
    }
    if (x < soft) {
        *after = 0;
        return soft;
    }
    *after = spliced ? splice : 0;
    return layout->usable;
}

/* The place `bytes` after place x. */
static inline uint64_t sf_ring_layout_walk(const struct sf_ring_layout *layout, uint64_t x, uint64_t bytes)
{
    uint64_t after, end;
    while (bytes >= (end = sf_ring_layout_piece(layout, x, &after)) - x) {
        bytes -= end - x;
        x = after;
    }
    return x + bytes;
}

/* The place of a position, which must be one of [head, tail]. */
static inline uint64_t sf_ring_layout_place(const struct sf_ring_layout *layout, uint64_t base, uint64_t position)
{
    uint64_t o = position - base, soft = sf_ring_layout_get(&layout->soft),
             splice = sf_ring_layout_get(&layout->splice);
    if (__builtin_expect(splice == SF_RING_LAYOUT_NO_SPLICE, 1))
        return o < soft ? o : o - soft;
    uint64_t rest = layout->usable - soft;
    if (o >= layout->usable)
        o -= layout->usable;
    return o < splice ? o : o < splice + rest ? soft + (o - splice) : o - rest;
}

/* What the layout has room for at the tail as it is, without growing or splicing. Before the bytes in flight go round
 * it counts only up to the layout's end. 0 of a spliced one, which is to be left as soon as the head has moved on. */
static inline uint64_t sf_ring_layout_room(const struct sf_ring_layout *layout, uint64_t base, uint64_t head,
                                           uint64_t tail)
{
    uint64_t soft = sf_ring_layout_get(&layout->soft), taken = tail - base <= soft ? tail - base : tail - head;
    bool spliced = sf_ring_layout_get(&layout->splice) != SF_RING_LAYOUT_NO_SPLICE;
    return taken < soft && !spliced ? soft - taken : 0;
}

/* Whether the invariants of ring_layout.c hold: under the lock, after any repair. For assert. */
bool sf_ring_layout_is_valid(const struct sf_ring_layout *layout, uint64_t base, uint64_t head, uint64_t tail);

/* A plain layout with nothing in flight; usable is a multiple of 8. `enough` may be more: then it is usable. */
void sf_ring_layout_init(struct sf_ring_layout *layout, uint64_t usable, uint64_t enough);

/* Nothing is in flight: the layout shrinks to its first size, and the tail's place is 0. */
void sf_ring_layout_rewind(struct sf_ring_layout *layout, _Atomic uint64_t *base, uint64_t tail);

/* The head has moved on: keeps head - base below the layout's size. */
void sf_ring_layout_advance(const struct sf_ring_layout *layout, _Atomic uint64_t *base, uint64_t head);

/* Makes room for `bytes` more at the tail. False, and nothing has changed: the ring has no such room. */
bool sf_ring_layout_make_room(struct sf_ring_layout *layout, _Atomic uint64_t *base, uint64_t head, uint64_t tail,
                              uint64_t bytes);

/* After the holder of the lock has died: completes a change that it planned, and makes the base fit its head. */
void sf_ring_layout_repair(struct sf_ring_layout *layout, _Atomic uint64_t *base, uint64_t head, uint64_t tail);

#endif
