/* How a ring's layout grows, is spliced and rewound. All under the ring's lock; layout.h has the picture.
 *
 * Invariants (plain: size = soft; spliced: size = usable)
 * - head - base < size and tail - head <= size, so a position is at most two laps from base; between a store of the
 *   head and sf_ring_layout_advance it may be three, which only sf_ring_layout_repair can meet.
 * - soft, h, usable, every position and every place of a frame are multiples of 8.
 *
 * Why who holds a message may walk without the lock: walking depends on soft and splice only.
 * - A message that crosses no end of a piece when it is reserved is within [x, end] of every layout that comes while
 * it is in flight: growing moves soft away from it, h is the head's place and so never inside a message, and
 *   unsplicing leaves soft at or behind the tail.
 * - A message that crosses soft makes the bytes in flight go round, so soft cannot grow; splicing leaves "soft,
 * then 0" as it is. One that crosses h or usable is partly outside C, so there is no unsplicing.
 * - A mixed view arises in unsplicing alone, where all in flight stands in C, behind the old soft: (old h, new
 * soft) ends C's part at the new soft, (none, old soft) at usable, both at or behind the message's end. */
#include "core/ring/ring_layout.h"

#define SOFT_FIRST UINT64_C(65536) /* a few L1 caches: enough for a stream of small messages */
#define SOFT_STEP UINT64_C(4096)

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t layout_size(const struct sf_ring_layout *layout)
{
    return sf_ring_layout_get(&layout->splice) == SF_RING_LAYOUT_NO_SPLICE ? sf_ring_layout_get(&layout->soft)
                                                                           : layout->usable;
}

/* At least `bytes`, whole steps, no more than there is. */
static uint64_t soft_for(const struct sf_ring_layout *layout, uint64_t bytes)
{
    return bytes >= layout->usable - least(layout->usable, SOFT_STEP) ? layout->usable
                                                                      : (bytes + SOFT_STEP - 1) / SOFT_STEP * SOFT_STEP;
}

static void copy_plan(struct sf_ring_layout *layout, _Atomic uint64_t *base)
{
    sf_ring_layout_set(base, sf_ring_layout_get(&layout->plan_base));
    sf_ring_layout_set(&layout->soft, sf_ring_layout_get(&layout->plan_soft));
    sf_ring_layout_set(&layout->splice, sf_ring_layout_get(&layout->plan_splice));
    /* release: the copies stand before the plan is forgotten; partner: sf_ring_layout_repair */
    atomic_store_explicit(&layout->planned, 0, memory_order_release);
}

static void change(struct sf_ring_layout *layout, _Atomic uint64_t *base, uint64_t new_base, uint64_t soft,
                   uint64_t splice)
{
    sf_ring_layout_set(&layout->plan_base, new_base);
    sf_ring_layout_set(&layout->plan_soft, soft);
    sf_ring_layout_set(&layout->plan_splice, splice);
    /* release: the plan is whole when it counts; partner: sf_ring_layout_repair */
    atomic_store_explicit(&layout->planned, 1, memory_order_release);
    /* The copies must not overtake the store above. */
    atomic_thread_fence(memory_order_seq_cst);
    copy_plan(layout, base);
}

void sf_ring_layout_init(struct sf_ring_layout *layout, uint64_t usable)
{
    layout->usable = usable;
    sf_ring_layout_set(&layout->soft, least(usable, SOFT_FIRST));
    sf_ring_layout_set(&layout->splice, SF_RING_LAYOUT_NO_SPLICE);
    sf_ring_layout_set(&layout->planned, 0);
}

void sf_ring_layout_rewind(struct sf_ring_layout *layout, _Atomic uint64_t *base, uint64_t tail)
{
    uint64_t first = least(layout->usable, SOFT_FIRST);
    if (sf_ring_layout_get(&layout->splice) != SF_RING_LAYOUT_NO_SPLICE)
        sf_ring_layout_set(&layout->splice, SF_RING_LAYOUT_NO_SPLICE);
    if (sf_ring_layout_get(&layout->soft) != first) /* looked at first: readers share this line */
        sf_ring_layout_set(&layout->soft, first);
    sf_ring_layout_set(base, tail);
}

void sf_ring_layout_advance(const struct sf_ring_layout *layout, _Atomic uint64_t *base, uint64_t head)
{
    uint64_t size = layout_size(layout), old = sf_ring_layout_get(base);
    if (head - old >= size)
        sf_ring_layout_set(base, old + (head - old) / size * size);
}

static void splice(struct sf_ring_layout *layout, _Atomic uint64_t *base, uint64_t head)
{
    uint64_t soft = sf_ring_layout_get(&layout->soft), old = sf_ring_layout_get(base);
    change(layout, base, old - (layout->usable - soft), soft, head - old);
}

/* Takes C out of the layout by making it a part of a plain one, if all in flight stands in it. */
static void unsplice(struct sf_ring_layout *layout, _Atomic uint64_t *base, uint64_t head, uint64_t tail)
{
    uint64_t old = sf_ring_layout_get(base), h = sf_ring_layout_get(&layout->splice),
             soft = sf_ring_layout_get(&layout->soft);
    if (head - old < h || tail - old > h + (layout->usable - soft))
        return;
    uint64_t new_base = old + h - soft;
    change(layout, base, new_base, soft_for(layout, tail - new_base), SF_RING_LAYOUT_NO_SPLICE);
}

bool sf_ring_layout_make_room(struct sf_ring_layout *layout, _Atomic uint64_t *base, uint64_t head, uint64_t tail,
                              uint64_t bytes)
{
    uint64_t needed = tail - head + bytes;
    if (needed > layout->usable)
        return false;
    if (sf_ring_layout_get(&layout->splice) != SF_RING_LAYOUT_NO_SPLICE) {
        unsplice(layout, base, head, tail);
        if (sf_ring_layout_get(&layout->splice) != SF_RING_LAYOUT_NO_SPLICE)
            return true;
    }
    uint64_t soft = sf_ring_layout_get(&layout->soft), o = tail - sf_ring_layout_get(base);
    if (o > soft) { /* in flight: goes round */
        if (needed > soft)
            splice(layout, base, head);
        return true;
    }
    /* At the layout's end going round is right if the layout is large for what is in flight, because growing later, in
     * the middle of the layout, means splicing; else the layout grows. */
    if (o + bytes > soft && needed > soft / 2 && soft < layout->usable)
        sf_ring_layout_set(&layout->soft, soft_for(layout, o + bytes > 2 * soft ? o + bytes : 2 * soft));
    return true;
}

void sf_ring_layout_repair(struct sf_ring_layout *layout, _Atomic uint64_t *base, uint64_t head, uint64_t tail)
{
    if (atomic_load_explicit(&layout->planned, memory_order_acquire)) /* partners: change, copy_plan */
        copy_plan(layout, base);
    if (head == tail)
        sf_ring_layout_rewind(layout, base, tail);
    sf_ring_layout_advance(layout, base, head);
}
