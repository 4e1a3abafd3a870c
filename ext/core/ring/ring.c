/* The ring's frames: what sending and receiving do to the shared memory. ring.h has the contract, ring_internal.h the
 * mapping, ring_layout.h where positions are in it, holders.h who holds it.
 *
 *     frame:     state | span | bytes | seq | the message, padded to 8       a layout may end between any two words
 *
 *     head ------------ next ------------ tail        positions: bytes since the ring was made
 *       claimed, or free  | the oldest that  | where the next frame
 *       behind others     | may be READY     | will begin
 *
 *     a frame's state:   WRITING --(publish)--> READY --(claim, locked)--> READING --(release)--> FREE
 *                           |                     ^                         |  |                   ^
 *                           |                     +------ RETURNING <-------+  |                   |
 *                           |                           (give_back)            |                   |
 *                           +----(abandon)-------------------------------------+--(died: locked)---+
 *
 * Invariants, when a process has just taken the lock, and when it drops it (positions_are_valid)
 * - head <= next <= tail, and tail - head <= usable: the frames in flight fit.
 * - counted is the sum of what the frames in flight count, and at most the limit.
 * - Positions, places and spans are multiples of 8; a place is below usable; a span is at least a frame's header.
 * - The frames from head to tail follow each other without a gap, each as long as its span.
 *
 * Who writes. Under the lock: head, next, tail, seq, base, counted, layout, the header words of a new frame, READY ->
 * READING, span and bytes of FREE frames, and the state of a dead process's frame. Without it: the holder of a message
 * publishes, abandons or releases it by one store of its state. The message's bytes are its holder's.
 *
 * Giving back. The frame may be before `next`, which only the owner of the lock may move. So give_back leaves the
 * position in `returned`, and the next owner of the lock moves `next` back to it. Until then the frame is RETURNING:
 * like a WRITING one it may become READY, so `next` does not pass it. `returned` is the least of several positions,
 * plus one; 0: there is none.
 *
 * A process may be killed at any instruction. What it did under the lock is then either visible or not:
 * - reserve: nobody sees the frame, because it is behind the tail, until the one store of the tail. seq may skip.
 * - claim: one store of the state. `next` is a hint that only lags: frames before it are READING or FREE, or come after
 *   `returned`.
 * - giving back: `returned` is set before the frame is READY, and `next` moves before `returned` is cleared.
 * - collecting: next moves first, then head, both over FREE frames only, so any mixture is a valid ring.
 * - merging FREE frames: one store of the first one's span. Its bytes are stored before: who dies in between leaves
 * frames that count too much until they are collected.
 * - counted is counted again, from the frames, by a process that takes the lock over from a dead one.
 * - the layout: see ring_layout.h. A process that takes the lock over from a dead one repairs the layout first.
 * A dead process's WRITING, READING and RETURNING frames do no harm until they are at the head and another process
 * needs the room: then they are freed (free_dead_head). No process waits for another one's frame: claim passes over
 * WRITING frames.
 *
 * Order. A thread reserves its second message after it has published the first, and claim holds the lock, so claim
 * sees the first as READY if it sees the second at all. In case a thread holds two messages at once, claim looks again
 * at the frames it passed. */
#include "core/ring/ring.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/os/debug.h"
#include "core/os/monotonic.h"
#include "core/ring/ring_frame.h"
#include "core/ring/ring_internal.h"
#include "core/ring/ring_trim.h"

#define HEAD_CHECK_NS 200000 /* a live process whose frame is in the way is looked up in /proc no more often */

/* --- the lock --- */

static bool is_holder_alive(const void *holders, uint32_t tag)
{
    return sf_holders_alive(holders, tag);
}

/* Locked. Whether the invariants above hold; they do, whichever process was killed and where. For assert. */
__attribute__((unused)) static bool positions_are_valid(const struct sf_ring *ring)
{
    const struct sf_ring_shared *s = ring->shared;
    uint64_t head = load_locked(&s->head), next = load_locked(&s->next), tail = load_locked(&s->tail),
             base = load_locked(&s->base);
    return head <= next && next <= tail && (head | next | tail) % 8 == 0 &&
           (head != tail || load_locked(&s->counted) == 0) && sf_ring_layout_is_valid(&s->layout, base, head, tail);
}

/* Locked, with a valid layout. */
static void count_again(const struct sf_ring *ring)
{
    struct sf_ring_shared *s = ring->shared;
    uint64_t counted = 0;
    for (uint64_t p = load_locked(&s->head), tail = load_locked(&s->tail); p < tail;) {
        uint64_t x = place_of_position(ring, p);
        counted += count_at(ring, x);
        p += span_at(ring, x);
    }
    store_locked(&s->counted, counted);
}

/* Takes the lock, and repairs what its last owner left half-done if that one died with it. 0, -ETIMEDOUT or -EINTR. */
static int lock_ring(const struct sf_ring *ring, int64_t timeout_ns)
{
    struct sf_ring_shared *s = ring->shared;
    int taken = sf_lock_take(&s->lock, ring->tag, is_holder_alive, &s->holders, timeout_ns);
    if (__builtin_expect(taken < 0, 0))
        return taken;
    if (__builtin_expect(taken == SF_LOCK_TAKEN_OVER, 0)) {
        sf_ring_layout_repair(&s->layout, &s->base, load_locked(&s->head), load_locked(&s->tail));
        count_again(ring);
    }
    assert(positions_are_valid(ring));
    return 0;
}

static void unlock_ring(const struct sf_ring *ring)
{
    assert(positions_are_valid(ring));
    sf_lock_drop(&ring->shared->lock);
}

/* --- the frames in flight --- */

/* Locked. Moves the head over FREE frames, and rewinds if no frame is left. */
static void collect_free(struct sf_ring *ring)
{
    struct sf_ring_shared *s = ring->shared;
    uint64_t head = load_locked(&s->head), tail = load_locked(&s->tail), end = head, counts = 0;
    for (uint64_t x; end < tail && (x = place_of_position(ring, end), state_kind(load_state(ring, x)) == FREE);) {
        counts += count_at(ring, x);
        end += span_at(ring, x);
    }
    if (end != head) {
        store_locked(&s->counted, load_locked(&s->counted) - counts);
        if (load_locked(&s->next) < end)
            store_locked(&s->next, end);
        /* release: no process sees a head greater than next, even if we die here; partner: the lock's acquire */
        atomic_store_explicit(&s->head, end, memory_order_release);
        if (end != tail)
            sf_ring_layout_advance(&s->layout, &s->base, end);
    }
    if (end == tail && load_locked(&s->base) != tail) /* only a rewind puts the base at the tail */
        sf_ring_layout_rewind(&s->layout, &s->base, tail);
}

/* Locked. Makes two FREE frames, one behind the other, one. */
static void merge_free(const struct sf_ring *ring, uint64_t x, uint64_t behind)
{
    store_locked(frame_word(ring, x, BYTES), count_at(ring, x) + count_at(ring, behind) + ring->label_bytes);
    /* release: see the top of the file; partner: a process that takes the lock over */
    atomic_store_explicit(frame_word(ring, x, SPAN), span_at(ring, x) + span_at(ring, behind), memory_order_release);
}

/* Locked. Whether there is room for a frame of so many bytes that counts so much. */
static bool is_room(const struct sf_ring *ring, uint64_t span, uint64_t counts)
{
    const struct sf_ring_shared *s = ring->shared;
    return load_locked(&s->counted) + counts <= ring->limit &&
           span <= ring->usable - (load_locked(&s->tail) - load_locked(&s->head));
}

/* Locked. The first READY frame of [from, to), else `to`; *passed: a WRITING one was passed. Merges FREE frames on the
 * way: otherwise, behind a slow sender's frame, each call would walk again over all frames that were freed since. */
static uint64_t find_ready(struct sf_ring *ring, uint64_t from, uint64_t to, bool *passed)
{
    uint64_t before = UINT64_MAX; /* place of a FREE frame that ends at `from` */
    *passed = false;
    assert(from <= to);
    while (from < to) {
        uint64_t x = place_of_position(ring, from);
        enum frame_kind kind = state_kind(load_state(ring, x));
        if (kind == READY)
            return from;
        uint64_t span = span_at(ring, x);
        assert(span <= to - from);
        *passed |= kind == WRITING;
        if (kind != FREE)
            before = UINT64_MAX;
        else if (before == UINT64_MAX)
            before = x;
        else
            merge_free(ring, before, x);
        from += span;
    }
    return to;
}

/* Locked. Moves `next` back to the first message that was given back, if there is one. Returns next. */
static uint64_t take_returned(const struct sf_ring *ring)
{
    struct sf_ring_shared *s = ring->shared;
    uint64_t next = load_locked(&s->next), returned;
    /* acquire: partner is lower_returned */
    while ((returned = atomic_load_explicit(&s->returned, memory_order_acquire)) != 0) {
        if (returned - 1 < next && returned - 1 >= load_locked(&s->head)) {
            next = returned - 1;
            atomic_store_explicit(&s->next, next, memory_order_release);
        }
        /* Only if nobody has lowered it meanwhile. release: who sees it cleared sees next; partner: has_message */
        atomic_compare_exchange_strong_explicit(&s->returned, &returned, 0, memory_order_acq_rel, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst); /* before frames are looked at; partner: lower_returned */
    }
    return next;
}

/* Locked. Moves `next` to the first frame that is, or may become, READY. */
static uint64_t advance_next(struct sf_ring *ring)
{
    struct sf_ring_shared *s = ring->shared;
    uint64_t old = take_returned(ring), tail = load_locked(&s->tail), next = old;
    while (next < tail) {
        uint64_t x = place_of_position(ring, next);
        enum frame_kind kind = state_kind(load_state(ring, x));
        if (kind == READY || kind == WRITING || kind == RETURNING)
            break;
        next += span_at(ring, x);
    }
    if (next != old)
        store_locked(&s->next, next);
    return next;
}

/* Frees the frame at the head if its holder is dead: of dead processes' frames it is the only one that can give room.
 * `check`: asks /proc even if that was done a moment ago (a pid that no longer exists is noticed in any case). 0: there
 * may be more room now, -EAGAIN, or as lock_ring. */
static int free_dead_head(struct sf_ring *ring, bool check, int64_t timeout_ns)
{
    struct sf_ring_shared *s = ring->shared;
    int error = lock_ring(ring, timeout_ns);
    if (error)
        return error;
    uint64_t head = load_locked(&s->head);
    uint64_t state = head < load_locked(&s->tail) ? load_state(ring, place_of_position(ring, head)) : 0;
    unlock_ring(ring);
    enum frame_kind kind = state_kind(state);
    uint32_t tag = (uint32_t)state;
    if (!is_in_hand(kind) || tag == ring->tag)
        return -EAGAIN;
    if (sf_holders_exists(&s->holders, tag)) {
        int64_t now = sf_monotonic_ns();
        if (!check && now - atomic_load_explicit(&ring->head_checked_ns, memory_order_relaxed) < HEAD_CHECK_NS)
            return -EAGAIN;
        atomic_store_explicit(&ring->head_checked_ns, now, memory_order_relaxed);
        if (sf_holders_alive(&s->holders, tag))
            return -EAGAIN;
    }
    error = lock_ring(ring, timeout_ns);
    if (error)
        return error;
    /* Only if it is the same frame in the same state: its holder may have finished it before it died. If it is the
     * same, no other process can change it, because only its holder may, and that one is dead. */
    bool same = load_locked(&s->head) == head && head < load_locked(&s->tail) &&
                load_state(ring, place_of_position(ring, head)) == state;
    if (same)
        set_state(ring, place_of_position(ring, head), FREE);
    unlock_ring(ring);
    if (same)
        sf_debug(SF_DEBUG_RING, "%p recovered a message that a dead process was %s", (void *)s,
                 kind == WRITING ? "writing" : "reading");
    /* a peek: another process may have been faster */
    return same || atomic_load_explicit(&s->head, memory_order_relaxed) != head ? 0 : -EAGAIN;
}

/* --- sending and receiving --- */

static bool can_ever_fit(const struct sf_ring *ring, uint64_t bytes)
{
    return bytes <= ring->usable - SF_RING_FRAME_BYTES && count_of(ring, bytes) <= ring->limit;
}

int sf_ring_reserve(struct sf_ring *ring, uint64_t bytes, struct sf_ring_slot *out)
{
    struct sf_ring_shared *s = ring->shared;
    if (!can_ever_fit(ring, bytes))
        return -EMSGSIZE;
    uint64_t span = span_for(bytes), counts = count_of(ring, bytes);
    for (;;) {
        if (lock_ring(ring, SF_RING_PATIENCE_NS))
            return -EBUSY;
        uint64_t tail = load_locked(&s->tail);
        /* Looking at the head's frame takes its cache line from the receivers. It pays in two cases: all messages are
         * claimed, so that the ring may soon be rewound, or there is no room. */
        if (load_locked(&s->next) == tail || !is_room(ring, span, counts) ||
            sf_ring_layout_room(&s->layout, load_locked(&s->base), load_locked(&s->head), tail) < span)
            collect_free(ring);
        if (__builtin_expect(is_room(ring, span, counts), 1)) {
            if (!sf_ring_layout_make_room(&s->layout, &s->base, load_locked(&s->head), tail, span))
                assert(false); /* is_room has looked */
            if (sf_ring_layout_get(&s->layout.touched) > SF_RING_WARM_BYTES)
                sf_ring_trim_has_grown(ring);
            uint64_t x = place_of_position(ring, tail), seq = load_locked(&s->seq) + 1;
            struct frame_header header = frame_header_at(ring, x);
            store_locked(header.state, state_of(WRITING, ring->tag));
            store_locked(header.span, span);
            store_locked(header.bytes, bytes);
            store_locked(header.seq, seq);
            store_locked(&s->seq, seq);
            store_locked(&s->counted, load_locked(&s->counted) + counts);
            /* release: others see the tail only after the whole frame; partners: peeks, and a process that takes the
             * lock over if we die here */
            atomic_store_explicit(&s->tail, tail + span, memory_order_release);
            unlock_ring(ring);
            *out = (struct sf_ring_slot){.place = x, .position = tail, .bytes = bytes, .seq = seq, .holder = ring->tag};
            return 0;
        }
        unlock_ring(ring);
        int error = free_dead_head(ring, false, SF_RING_PATIENCE_NS);
        if (error)
            return error == -EAGAIN ? error : -EBUSY;
    }
}

bool sf_ring_is_holder(const struct sf_ring *ring, const struct sf_ring_slot *slot)
{
    return slot->holder == ring->tag;
}

void sf_ring_publish(struct sf_ring *ring, const struct sf_ring_slot *slot)
{
    if (!sf_ring_is_holder(ring, slot))
        return;
    assert(load_state(ring, slot->place) == state_of(WRITING, ring->tag));
    set_state(ring, slot->place, READY);
    sf_eventcount_notify_one(&ring->shared->message_event);
}

/* Gives memory back if the ring is drained and that is due: piece by piece, so that nobody waits long for the lock. */
static void trim_if_due(struct sf_ring *ring)
{
    struct sf_ring_shared *s = ring->shared;
    if (__builtin_expect(sf_ring_layout_get(&s->layout.touched) <= SF_RING_WARM_BYTES, 1))
        return;
    /* peeks: a wrong answer only makes it earlier or later */
    bool more = load_locked(&s->next) == load_locked(&s->tail) && sf_ring_trim_is_due(ring);
    while (more && lock_ring(ring, 0) == 0) { /* else it is done later */
        collect_free(ring);
        more = load_locked(&s->head) == load_locked(&s->tail) && sf_ring_trim_piece(ring);
        unlock_ring(ring);
    }
}

static void give_room_back(struct sf_ring *ring, const struct sf_ring_slot *slot)
{
    set_state(ring, slot->place, FREE);
    sf_eventcount_notify_all(&ring->shared->room_event);
}

void sf_ring_abandon(struct sf_ring *ring, const struct sf_ring_slot *slot)
{
    if (!sf_ring_is_holder(ring, slot))
        return;
    assert(load_state(ring, slot->place) == state_of(WRITING, ring->tag));
    give_room_back(ring, slot);
}

int sf_ring_claim(struct sf_ring *ring, struct sf_ring_slot *out)
{
    struct sf_ring_shared *s = ring->shared;
    bool passed;
    if (lock_ring(ring, SF_RING_PATIENCE_NS))
        return -EBUSY;
    uint64_t next = advance_next(ring), tail = load_locked(&s->tail), found = find_ready(ring, next, tail, &passed);
    if (found == tail) {
        unlock_ring(ring);
        trim_if_due(ring);
        return -EAGAIN;
    }
    for (uint64_t earlier; passed && (earlier = find_ready(ring, next, found, &passed)) != found;)
        found = earlier;
    uint64_t x = place_of_position(ring, found);
    struct frame_header header = frame_header_at(ring, x);
    *out = (struct sf_ring_slot){.place = x,
                                 .position = found,
                                 .bytes = load_locked(header.bytes),
                                 .seq = load_locked(header.seq),
                                 .holder = ring->tag};
    store_locked(header.state, state_of(READING, ring->tag));
    if (found == next)
        /* release: a process that sees next behind the frame sees its new state; partner: the acquire of the lock */
        atomic_store_explicit(&s->next, next + load_locked(header.span), memory_order_release);
    unlock_ring(ring);
    return 0;
}

void sf_ring_release(struct sf_ring *ring, const struct sf_ring_slot *slot)
{
    if (!sf_ring_is_holder(ring, slot))
        return;
    assert(load_state(ring, slot->place) == state_of(READING, ring->tag));
    give_room_back(ring, slot);
    trim_if_due(ring);
}

/* Lock-free. Lowers s->returned to the position, so that the next claim begins there. */
static void lower_returned(struct sf_ring_shared *s, uint64_t position)
{
    /* The frame is RETURNING for all before `returned` is looked at; partner: the fence in take_returned. Else we could
     * see a position that is just being taken, while who takes it sees our frame still READING, and passes it. */
    atomic_thread_fence(memory_order_seq_cst);
    uint64_t wanted = position + 1, seen = atomic_load_explicit(&s->returned, memory_order_relaxed);
    /* release, and acquire in take_returned: a process that sees the position sees the frame RETURNING */
    while ((seen == 0 || seen > wanted) && !atomic_compare_exchange_weak_explicit(
                                               &s->returned, &seen, wanted, memory_order_release, memory_order_relaxed))
        ;
}

void sf_ring_give_back(struct sf_ring *ring, const struct sf_ring_slot *slot)
{
    if (!sf_ring_is_holder(ring, slot))
        return;
    assert(load_state(ring, slot->place) == state_of(READING, ring->tag));
    set_state(ring, slot->place, RETURNING);
    store_locked(frame_word(ring, slot->place, SEQ),
                 0); /* its holder's, as its bytes are; partner: the store of READY */
    lower_returned(ring->shared, slot->position);
    set_state(ring, slot->place, READY);
    sf_eventcount_notify_one(&ring->shared->message_event);
}

/* --- looking without taking --- */

int sf_ring_has_message(struct sf_ring *ring, int64_t timeout_ns)
{
    struct sf_ring_shared *s = ring->shared;
    /* A peek. next passes no message, and tail is read after it: so if they are equal, the ring was empty. A message
     * whose event we have read was reserved before, so its tail is seen here. One that was given back is seen in
     * `returned`, or it is cleared, and then we see that next was moved back. */
    bool returned = atomic_load_explicit(&s->returned, memory_order_acquire) != 0; /* partner: take_returned */
    uint64_t next = atomic_load_explicit(&s->next, memory_order_acquire);
    if (!returned && next == atomic_load_explicit(&s->tail, memory_order_acquire))
        return -EAGAIN;
    bool passed;
    int error = lock_ring(ring, timeout_ns);
    if (error)
        return error;
    next = advance_next(ring);
    bool found = find_ready(ring, next, load_locked(&s->tail), &passed) != load_locked(&s->tail);
    unlock_ring(ring);
    return found ? 0 : -EAGAIN;
}

int sf_ring_has_room(struct sf_ring *ring, uint64_t bytes, bool check, int64_t timeout_ns)
{
    if (!can_ever_fit(ring, bytes))
        return 0; /* sf_ring_reserve says what is wrong */
    for (;;) {
        int error = lock_ring(ring, timeout_ns);
        if (error)
            return error;
        collect_free(ring);
        bool room = is_room(ring, span_for(bytes), count_of(ring, bytes));
        unlock_ring(ring);
        if (room)
            return 0;
        error = free_dead_head(ring, check, timeout_ns);
        if (error)
            return error;
    }
}

int sf_ring_length(const struct sf_ring *ring, uint64_t *length)
{
    struct sf_ring_shared *s = ring->shared;
    *length = 0;
    if (lock_ring(ring, SF_RING_PATIENCE_NS))
        return -EBUSY;
    uint64_t tail = load_locked(&s->tail);
    for (uint64_t p = take_returned(ring); p < tail;) {
        uint64_t x = place_of_position(ring, p);
        *length += state_kind(load_state(ring, x)) == READY;
        p += span_at(ring, x);
    }
    unlock_ring(ring);
    return 0;
}
