/* How a ring's lap grows, is spliced and rewound. All under the ring's lock; lap.h has the picture.
 *
 * Invariants (plain: size = soft; spliced: size = usable)
 * - head - base < size and tail - head <= size, so a position is at most two laps from base; between a store of the
 *   head and sf_lap_advance it may be three, which only sf_lap_repair can meet.
 * - soft, h, usable, every position and every place of a frame are multiples of 8.
 *
 * Why who holds a message may walk without the lock: walking depends on soft and splice only.
 * - A message that crosses no end of a piece when it is reserved is within [x, end] of every lap that comes while
 * it is in flight: growing moves soft away from it, h is the head's place and so never inside a message, and
 *   unsplicing leaves soft at or behind the tail.
 * - A message that crosses soft makes the bytes in flight go round, so soft cannot grow; splicing leaves "soft,
 * then 0" as it is. One that crosses h or usable is partly outside C, so there is no unsplicing.
 * - A mixed view arises in unsplicing alone, where all in flight stands in C, behind the old soft: (old h, new
 * soft) ends C's part at the new soft, (none, old soft) at usable, both at or behind the message's end. */
#include "lap.h"

#define SOFT_FIRST UINT64_C(65536) /* a few L1 caches: enough for a stream of small messages */
#define SOFT_STEP UINT64_C(4096)

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t lap_size(const struct sf_lap *lap)
{
    return sf_lap_get(&lap->splice) == SF_LAP_NO_SPLICE ? sf_lap_get(&lap->soft) : lap->usable;
}

/* At least `bytes`, whole steps, no more than there is. */
static uint64_t soft_for(const struct sf_lap *lap, uint64_t bytes)
{
    return bytes >= lap->usable - least(lap->usable, SOFT_STEP) ? lap->usable
                                                                : (bytes + SOFT_STEP - 1) / SOFT_STEP * SOFT_STEP;
}

static void copy_plan(struct sf_lap *lap, _Atomic uint64_t *base)
{
    sf_lap_set(base, sf_lap_get(&lap->plan_base));
    sf_lap_set(&lap->soft, sf_lap_get(&lap->plan_soft));
    sf_lap_set(&lap->splice, sf_lap_get(&lap->plan_splice));
    /* release: the copies stand before the plan is forgotten; partner: sf_lap_repair */
    atomic_store_explicit(&lap->planned, 0, memory_order_release);
}

static void change(struct sf_lap *lap, _Atomic uint64_t *base, uint64_t new_base, uint64_t soft, uint64_t splice)
{
    sf_lap_set(&lap->plan_base, new_base);
    sf_lap_set(&lap->plan_soft, soft);
    sf_lap_set(&lap->plan_splice, splice);
    /* release: the plan is whole when it counts; partner: sf_lap_repair */
    atomic_store_explicit(&lap->planned, 1, memory_order_release);
    /* The copies must not overtake the store above. */
    atomic_thread_fence(memory_order_seq_cst);
    copy_plan(lap, base);
}

void sf_lap_init(struct sf_lap *lap, uint64_t usable)
{
    lap->usable = usable;
    sf_lap_set(&lap->soft, least(usable, SOFT_FIRST));
    sf_lap_set(&lap->splice, SF_LAP_NO_SPLICE);
    sf_lap_set(&lap->planned, 0);
}

void sf_lap_rewind(struct sf_lap *lap, _Atomic uint64_t *base, uint64_t tail)
{
    uint64_t first = least(lap->usable, SOFT_FIRST);
    if (sf_lap_get(&lap->splice) != SF_LAP_NO_SPLICE)
        sf_lap_set(&lap->splice, SF_LAP_NO_SPLICE);
    if (sf_lap_get(&lap->soft) != first) /* looked at first: readers share this line */
        sf_lap_set(&lap->soft, first);
    sf_lap_set(base, tail);
}

void sf_lap_advance(const struct sf_lap *lap, _Atomic uint64_t *base, uint64_t head)
{
    uint64_t size = lap_size(lap), old = sf_lap_get(base);
    if (head - old >= size)
        sf_lap_set(base, old + (head - old) / size * size);
}

static void splice(struct sf_lap *lap, _Atomic uint64_t *base, uint64_t head)
{
    uint64_t soft = sf_lap_get(&lap->soft), old = sf_lap_get(base);
    change(lap, base, old - (lap->usable - soft), soft, head - old);
}

/* Takes C out of the lap by making it a part of a plain one, if all in flight stands in it. */
static void unsplice(struct sf_lap *lap, _Atomic uint64_t *base, uint64_t head, uint64_t tail)
{
    uint64_t old = sf_lap_get(base), h = sf_lap_get(&lap->splice), soft = sf_lap_get(&lap->soft);
    if (head - old < h || tail - old > h + (lap->usable - soft))
        return;
    uint64_t new_base = old + h - soft;
    change(lap, base, new_base, soft_for(lap, tail - new_base), SF_LAP_NO_SPLICE);
}

bool sf_lap_make_room(struct sf_lap *lap, _Atomic uint64_t *base, uint64_t head, uint64_t tail, uint64_t bytes)
{
    uint64_t needed = tail - head + bytes;
    if (needed > lap->usable)
        return false;
    if (sf_lap_get(&lap->splice) != SF_LAP_NO_SPLICE) {
        unsplice(lap, base, head, tail);
        if (sf_lap_get(&lap->splice) != SF_LAP_NO_SPLICE)
            return true;
    }
    uint64_t soft = sf_lap_get(&lap->soft), o = tail - sf_lap_get(base);
    if (o > soft) { /* in flight: goes round */
        if (needed > soft)
            splice(lap, base, head);
        return true;
    }
    /* At the lap's end going round is right if the lap is large for what is in flight, because growing later, in
     * the middle of the lap, means splicing; else the lap grows. */
    if (o + bytes > soft && needed > soft / 2 && soft < lap->usable)
        sf_lap_set(&lap->soft, soft_for(lap, o + bytes > 2 * soft ? o + bytes : 2 * soft));
    return true;
}

void sf_lap_repair(struct sf_lap *lap, _Atomic uint64_t *base, uint64_t head, uint64_t tail)
{
    if (atomic_load_explicit(&lap->planned, memory_order_acquire)) /* partners: change, copy_plan */
        copy_plan(lap, base);
    if (head == tail)
        sf_lap_rewind(lap, base, tail);
    sf_lap_advance(lap, base, head);
}
