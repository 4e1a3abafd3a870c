/* How a ring's layout grows, is spliced and rewound. All of it under the ring's lock; ring_layout.h has the picture.
 *
 * Invariants (size is soft of a plain layout, usable of a spliced one)
 * - head - base < size and tail - head <= size, so a position is less than two rounds of the layout from base. Only
 *   between a store of the head and sf_ring_layout_advance it may be three: only sf_ring_layout_repair can meet that.
 * - With nothing in flight head - base may also be size itself: that is place 0 as well.
 * - soft, h, usable, every position and every place of a frame are multiples of 8.
 * - No message in flight has bytes at or behind touched. soft and touched are whole steps, or usable.
 *
 * Why the holder of a message may walk it without the lock: walking depends on soft and splice only.
 * - A message that crosses no end of a piece when it is reserved stays within one piece of every layout that comes
 *   while it is in flight: growing moves soft away from it; h is the head's place, so it is never inside a message; and
 *   unsplicing leaves soft at or behind the tail.
 * - A message that crosses soft makes the bytes in flight go round, so soft cannot grow; splicing leaves "after soft
 *   comes 0" as it is. A message that crosses h or usable is partly outside C, so the layout is not unspliced.
 * - The holder may see one word of a change and not yet the other only in unsplicing. Then all in flight is in C,
 *   behind the old soft. Old h and new soft end the piece at the new soft, no h and old soft end it at usable; both
 *   are at or behind the message's end. */
#include "core/ring/ring_layout.h"

#include <assert.h>

#include "core/os/shm.h"

#define SOFT_FIRST UINT64_C(65536) /* a few L1 caches: enough for a stream of small messages */
#define SOFT_STEP ((uint64_t)SF_SHM_PAGE_BYTES)

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t greater(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

bool sf_ring_layout_is_valid(const struct sf_ring_layout *layout, uint64_t base, uint64_t head, uint64_t tail)
{
    uint64_t soft = sf_ring_layout_get(&layout->soft), splice = sf_ring_layout_get(&layout->splice);
    uint64_t size = splice == SF_RING_LAYOUT_NO_SPLICE ? soft : layout->usable;
    return 8 <= soft && soft <= layout->usable && (soft | layout->usable | base) % 8 == 0 &&
           (splice == SF_RING_LAYOUT_NO_SPLICE || (splice <= soft && splice % 8 == 0)) &&
           soft <= sf_ring_layout_get(&layout->touched) && sf_ring_layout_get(&layout->touched) <= layout->usable &&
           (head - base < size || (head == tail && head - base == size)) && tail - head <= size &&
           sf_ring_layout_get(&layout->plan_soft) == 0;
}

static uint64_t layout_size(const struct sf_ring_layout *layout)
{
    return sf_ring_layout_get(&layout->splice) == SF_RING_LAYOUT_NO_SPLICE ? sf_ring_layout_get(&layout->soft)
                                                                           : layout->usable;
}

/* The least size of at least `bytes` in whole steps, or usable if less than a step would be left. */
static uint64_t soft_for(const struct sf_ring_layout *layout, uint64_t bytes)
{
    return bytes >= layout->usable - lesser(layout->usable, SOFT_STEP)
               ? layout->usable
               : (bytes + SOFT_STEP - 1) / SOFT_STEP * SOFT_STEP;
}

/* To be called before that much is used, so that who dies in between leaves it too high, not too low. */
static void touch(struct sf_ring_layout *layout, uint64_t bytes)
{
    if (sf_ring_layout_get(&layout->touched) < bytes)
        sf_ring_layout_set(&layout->touched, bytes);
}

/* The same for a message at the tail of a spliced layout. A tail that is in B has passed all of C. */
static void touch_rest(struct sf_ring_layout *layout, uint64_t base, uint64_t tail, uint64_t bytes)
{
    uint64_t h = sf_ring_layout_get(&layout->splice), soft = sf_ring_layout_get(&layout->soft), o = tail - base,
             end = (o < layout->usable ? o : o - layout->usable) + bytes;
    uint64_t reach = end <= h ? soft : lesser(soft + (end - h), layout->usable);
    if (sf_ring_layout_get(&layout->touched) < reach) /* rarely: readers share this line */
        touch(layout, soft_for(layout, reach + SOFT_FIRST));
}

static void copy_plan(struct sf_ring_layout *layout, _Atomic uint64_t *base)
{
    sf_ring_layout_set(base, sf_ring_layout_get(&layout->plan_base));
    sf_ring_layout_set(&layout->soft, sf_ring_layout_get(&layout->plan_soft));
    sf_ring_layout_set(&layout->splice, sf_ring_layout_get(&layout->plan_splice));
    /* release: the plan is dropped after the copies are made; partner: sf_ring_layout_repair */
    atomic_store_explicit(&layout->plan_soft, 0, memory_order_release);
}

static void change_by_plan(struct sf_ring_layout *layout, _Atomic uint64_t *base, uint64_t new_base, uint64_t soft,
                           uint64_t splice)
{
    sf_ring_layout_set(&layout->plan_base, new_base);
    sf_ring_layout_set(&layout->plan_splice, splice);
    /* release: the plan is whole when it counts; partner: sf_ring_layout_repair */
    atomic_store_explicit(&layout->plan_soft, soft, memory_order_release);
    /* The copies must not overtake the store above. */
    atomic_thread_fence(memory_order_seq_cst);
    copy_plan(layout, base);
}

void sf_ring_layout_init(struct sf_ring_layout *layout, uint64_t usable, uint64_t enough)
{
    assert(usable >= 8 && usable % 8 == 0);
    layout->usable = usable;
    layout->enough = lesser(enough, usable);
    sf_ring_layout_set(&layout->soft, lesser(usable, SOFT_FIRST));
    sf_ring_layout_set(&layout->touched, lesser(usable, SOFT_FIRST));
    sf_ring_layout_set(&layout->splice, SF_RING_LAYOUT_NO_SPLICE);
    sf_ring_layout_set(&layout->plan_soft, 0);
}

void sf_ring_layout_rewind(struct sf_ring_layout *layout, _Atomic uint64_t *base, uint64_t tail)
{
    uint64_t first = lesser(layout->usable, SOFT_FIRST);
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

static void splice_rest(struct sf_ring_layout *layout, _Atomic uint64_t *base, uint64_t head)
{
    uint64_t soft = sf_ring_layout_get(&layout->soft), old = sf_ring_layout_get(base);
    change_by_plan(layout, base, old - (layout->usable - soft), soft, head - old);
}

/* Makes the layout plain again, with C at its end, if all that is in flight is in C. */
static void unsplice_rest(struct sf_ring_layout *layout, _Atomic uint64_t *base, uint64_t head, uint64_t tail)
{
    uint64_t old = sf_ring_layout_get(base), h = sf_ring_layout_get(&layout->splice),
             soft = sf_ring_layout_get(&layout->soft);
    if (head - old < h || tail - old > h + (layout->usable - soft))
        return;
    uint64_t new_base = old + h - soft, new_soft = soft_for(layout, tail - new_base);
    touch(layout, new_soft);
    change_by_plan(layout, base, new_base, new_soft, SF_RING_LAYOUT_NO_SPLICE);
}

/* The bytes in flight would reach `end`, behind soft, and are `needed` then, more than half of soft. Grows the layout
 * to `end`, or less far if they have room when they go round: at the high-water mark, where all before is warm, or in a
 * ring that is likely to be filled where it is large enough for ever. */
static void grow(struct sf_ring_layout *layout, uint64_t needed, uint64_t end)
{
    uint64_t soft = sf_ring_layout_get(&layout->soft), round_at = sf_ring_layout_get(&layout->touched),
             grown = greater(end, soft + soft / 8); /* some more at once than a small message needs */
    if (needed > layout->enough / 4)
        round_at = greater(round_at, layout->enough);
    if (needed <= round_at)
        grown = lesser(grown, round_at);
    grown = soft_for(layout, grown);
    touch(layout, grown);
    sf_ring_layout_set(&layout->soft, grown);
}

bool sf_ring_layout_make_room(struct sf_ring_layout *layout, _Atomic uint64_t *base, uint64_t head, uint64_t tail,
                              uint64_t bytes)
{
    assert(bytes % 8 == 0 && sf_ring_layout_is_valid(layout, sf_ring_layout_get(base), head, tail));
    uint64_t needed = tail - head + bytes;
    if (needed > layout->usable)
        return false;
    if (sf_ring_layout_get(&layout->splice) != SF_RING_LAYOUT_NO_SPLICE) {
        unsplice_rest(layout, base, head, tail);
        if (sf_ring_layout_get(&layout->splice) != SF_RING_LAYOUT_NO_SPLICE) {
            touch_rest(layout, sf_ring_layout_get(base), tail, bytes);
            return true;
        }
    }
    uint64_t soft = sf_ring_layout_get(&layout->soft), o = tail - sf_ring_layout_get(base);
    if (o > soft) { /* what is in flight goes round */
        if (needed > soft) {
            splice_rest(layout, base, head);
            touch_rest(layout, sf_ring_layout_get(base), tail, bytes);
        }
        return true;
    }
    /* The bytes reach the layout's end. If it is large compared with what is in flight, go round. Else grow now,
     * because after going round the layout can only be spliced. */
    if (o + bytes > soft && needed > soft / 2 && soft < layout->usable)
        grow(layout, needed, o + bytes);
    return true;
}

void sf_ring_layout_repair(struct sf_ring_layout *layout, _Atomic uint64_t *base, uint64_t head, uint64_t tail)
{
    if (atomic_load_explicit(&layout->plan_soft, memory_order_acquire)) /* partners: change_by_plan, copy_plan */
        copy_plan(layout, base);
    if (head == tail)
        sf_ring_layout_rewind(layout, base, tail);
    sf_ring_layout_advance(layout, base, head);
    assert(sf_ring_layout_is_valid(layout, sf_ring_layout_get(base), head, tail));
}
