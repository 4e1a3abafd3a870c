/* The ring's frames: what sending and receiving do to the shared memory. ring.h has the contract, ring_internal.h
 * the mapping, layout.h where positions stand in it, holders.h who holds it.
 *
 *     frame:     state | span | bytes | seq | the message, padded to 8       a layout may end between any two words
 *
 *     head ------------ next ------------ tail        positions: bytes since the ring was made
 *       claimed, or free  | the oldest that  | the next frame's place
 *       behind others     | may be READY     |
 *
 *     a frame's state:   WRITING --(publish)--> READY --(claim, locked)--> READING --(release)--> FREE
 *                           +-------------------(abandon; or its owner died: locked)----------------^
 *
 * Who writes. Under the lock: head, next, tail, seq, base, layout, the header words of a new frame, READY -> READING,
 * span of FREE frames, and the state of a dead process's frame. Without it: the holder of a message publishes,
 * abandons or releases it by one store of its state. The messages' bytes are their holder's.
 *
 * A process may be killed at any instruction; what it did under the lock is then either visible or not:
 * - reserve: the frame stands behind the tail, in no one's sight, until the one store of the tail. seq may skip.
 * - claim: one store of the state. `next` is a hint that only lags: frames behind it are READING or FREE.
 * - collecting: next moves first, then head; both over FREE frames only, so any mixture is a valid ring.
 * - merging FREE frames: one store of the first one's span.
 * - the layout: layout.h. Who takes the lock over from the dead calls sf_ring_layout_repair before all else.
 * A dead process's WRITING and READING frames do no harm until they stand at the head and somebody needs the room:
 * they are freed then (recover). Nobody else's frame is ever waited for: claim passes over WRITING ones.
 *
 * Order. A thread reserves its second message after it has published the first, and claim holds the lock, so it
 * sees the first READY if it sees the second at all. Should a thread hold two at once, claim looks again at what it
 * passed.
 *
 * Sleeping until something comes, and waking who sleeps, is ring_wait.c. */
#include "core/ring/ring.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/os/debug.h"
#include "core/ring/ring_internal.h"

enum kind { FREE = 0, WRITING, READY, READING };
enum { STATE, SPAN, BYTES, SEQ, HEADER_WORDS };
static_assert(HEADER_WORDS * 8 == SF_RING_FRAME_BYTES, "frame header");

#define RECHECK_NS 200000u /* a live process that is in the way is looked up in /proc no more often */

static uint64_t get(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed); /* ordered by the lock */
}

static void set(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed); /* ordered by the lock */
}

/* --- frames --- */

static uint64_t frame_span(uint64_t bytes)
{
    return SF_RING_FRAME_BYTES + (bytes + 7) / 8 * 8;
}

/* A header word of the frame at place x. Places are multiples of 8, so no word stands across an end. */
static _Atomic uint64_t *word_at(const struct sf_ring *ring, uint64_t x, unsigned word)
{
    return (_Atomic uint64_t *)(ring->data + (word ? sf_ring_layout_walk(&ring->shared->layout, x, word * 8) : x));
}

static uint64_t state_of(enum kind kind, uint32_t tag)
{
    return (uint64_t)kind << 32 | tag;
}

static enum kind state_kind(uint64_t state)
{
    return (enum kind)(state >> 32);
}

static uint64_t load_state(const struct sf_ring *ring, uint64_t x)
{
    return atomic_load_explicit(word_at(ring, x, STATE), memory_order_acquire); /* partner: finish */
}

/* The holder's last store to its message: everything it wrote (read) stands before it. */
static void finish(const struct sf_ring *ring, uint64_t x, enum kind kind)
{
    atomic_store_explicit(word_at(ring, x, STATE), state_of(kind, ring->tag), memory_order_release);
}

static uint64_t place(const struct sf_ring *ring, uint64_t position)
{
    return sf_ring_layout_place(&ring->shared->layout, get(&ring->shared->base), position);
}

static uint64_t span_at(const struct sf_ring *ring, uint64_t x)
{
    return get(word_at(ring, x, SPAN));
}

/* The lock; and what its owner left half-done, if that died. */
static void take(const struct sf_ring *ring)
{
    struct sf_ring_shared *s = ring->shared;
    if (__builtin_expect(sf_lock_take(&s->lock, &s->holders, ring->tag), 0))
        sf_ring_layout_repair(&s->layout, &s->base, get(&s->head), get(&s->tail));
}

static void drop(const struct sf_ring *ring)
{
    sf_lock_drop(&ring->shared->lock);
}

/* Locked. Moves the head over what is free, and rewinds if nothing is left. */
static void collect(struct sf_ring *ring)
{
    struct sf_ring_shared *s = ring->shared;
    uint64_t head = get(&s->head), tail = get(&s->tail), end = head;
    for (uint64_t x; end < tail && (x = place(ring, end), state_kind(load_state(ring, x)) == FREE);)
        end += span_at(ring, x);
    if (end != head) {
        if (get(&s->next) < end)
            set(&s->next, end);
        /* release: next is never seen behind head, also by who takes over; partner: the acquire of the lock */
        atomic_store_explicit(&s->head, end, memory_order_release);
        sf_ring_layout_advance(&s->layout, &s->base, end);
    }
    if (end == tail && get(&s->base) != tail)
        sf_ring_layout_rewind(&s->layout, &s->base, tail);
}

/* Locked. The first READY frame of [from, to), else `to`; whether a WRITING one was passed. Merges free frames on
 * the way, so that a slow sender at the front makes nobody walk over all that overtook it again and again. */
static uint64_t find_ready(struct sf_ring *ring, uint64_t from, uint64_t to, bool *passed)
{
    uint64_t before = UINT64_MAX; /* place of a FREE frame that ends at `from` */
    *passed = false;
    while (from < to) {
        uint64_t x = place(ring, from), span = span_at(ring, x);
        enum kind kind = state_kind(load_state(ring, x));
        if (kind == READY)
            return from;
        *passed |= kind == WRITING;
        if (kind != FREE)
            before = UINT64_MAX;
        else if (before == UINT64_MAX)
            before = x;
        else
            set(word_at(ring, before, SPAN), span_at(ring, before) + span);
        from += span;
    }
    return to;
}

/* Locked. Moves `next` on to the first frame that is, or may become, READY. */
static uint64_t advance_next(struct sf_ring *ring)
{
    struct sf_ring_shared *s = ring->shared;
    uint64_t old = get(&s->next), tail = get(&s->tail), next = old;
    while (next < tail) {
        uint64_t x = place(ring, next);
        enum kind kind = state_kind(load_state(ring, x));
        if (kind == READY || kind == WRITING)
            break;
        next += span_at(ring, x);
    }
    if (next != old)
        set(&s->next, next);
    return next;
}

/* Frees the frame at the head if its holder is dead: the only one whose room can come back so. `thorough` asks
 * /proc also if that was done a moment ago (what is not a zombie is found out in any case). Whether it did. */
static bool recover(struct sf_ring *ring, bool thorough)
{
    struct sf_ring_shared *s = ring->shared;
    take(ring);
    uint64_t head = get(&s->head), state = head < get(&s->tail) ? load_state(ring, place(ring, head)) : 0;
    drop(ring);
    enum kind kind = state_kind(state);
    uint32_t tag = (uint32_t)state;
    if ((kind != WRITING && kind != READING) || tag == ring->tag)
        return false;
    if (sf_holders_exists(&s->holders, tag)) {
        uint64_t now = sf_ring_now_ns();
        if (!thorough && now - get(&ring->rechecked_ns) < RECHECK_NS)
            return false;
        set(&ring->rechecked_ns, now);
        if (sf_holders_alive(&s->holders, tag))
            return false;
    }
    take(ring);
    /* The same frame in the same state: a tag is used by one process only, which is dead. */
    bool mine = get(&s->head) == head && head < get(&s->tail) && load_state(ring, place(ring, head)) == state;
    if (mine)
        finish(ring, place(ring, head), FREE);
    drop(ring);
    if (mine)
        sf_debug(SF_DEBUG_RING, "%p recovered a message that a dead process was %s", (void *)s,
                 kind == WRITING ? "writing" : "reading");
    return mine || get(&s->head) != head; /* a peek: somebody else may have been faster */
}

/* --- sending and receiving --- */

int sf_ring_reserve(struct sf_ring *ring, uint64_t bytes, struct sf_ring_slot *out)
{
    struct sf_ring_shared *s = ring->shared;
    if (bytes > ring->usable - SF_RING_FRAME_BYTES)
        return -EMSGSIZE;
    uint64_t span = frame_span(bytes);
    for (;;) {
        take(ring);
        uint64_t tail = get(&s->tail);
        /* Looking at the head's frame takes its cache line from the receivers: only when it pays, because all has
         * been claimed, so that rewinding is near, or the layout has no room. */
        if (get(&s->next) == tail || sf_ring_layout_room(&s->layout, get(&s->base), get(&s->head), tail) < span)
            collect(ring);
        if (__builtin_expect(sf_ring_layout_make_room(&s->layout, &s->base, get(&s->head), tail, span), 1)) {
            uint64_t x = place(ring, tail), seq = get(&s->seq) + 1;
            set(word_at(ring, x, STATE), state_of(WRITING, ring->tag));
            set(word_at(ring, x, SPAN), span);
            set(word_at(ring, x, BYTES), bytes);
            set(word_at(ring, x, SEQ), seq);
            set(&s->seq, seq);
            /* release: the frame is whole when it comes in sight; partners: peeks, and takers after our death */
            atomic_store_explicit(&s->tail, tail + span, memory_order_release);
            drop(ring);
            *out = (struct sf_ring_slot){.position = x, .bytes = bytes, .seq = seq};
            return 0;
        }
        drop(ring);
        if (!recover(ring, false))
            return -EAGAIN;
    }
}

void sf_ring_publish(struct sf_ring *ring, const struct sf_ring_slot *slot)
{
    finish(ring, slot->position, READY);
    sf_ring_announce_message(ring->shared);
}

void sf_ring_abandon(struct sf_ring *ring, const struct sf_ring_slot *slot)
{
    sf_ring_release(ring, slot);
}

int sf_ring_claim(struct sf_ring *ring, struct sf_ring_slot *out)
{
    struct sf_ring_shared *s = ring->shared;
    bool passed;
    take(ring);
    uint64_t next = advance_next(ring), tail = get(&s->tail), found = find_ready(ring, next, tail, &passed);
    if (found == tail) {
        drop(ring);
        return -EAGAIN;
    }
    for (uint64_t earlier; passed && (earlier = find_ready(ring, next, found, &passed)) != found;)
        found = earlier;
    uint64_t x = place(ring, found);
    *out =
        (struct sf_ring_slot){.position = x, .bytes = get(word_at(ring, x, BYTES)), .seq = get(word_at(ring, x, SEQ))};
    set(word_at(ring, x, STATE), state_of(READING, ring->tag));
    if (found == next)
        /* release: who sees next beyond the frame sees its state changed; partner: the acquire of the lock */
        atomic_store_explicit(&s->next, next + span_at(ring, x), memory_order_release);
    drop(ring);
    return 0;
}

void sf_ring_release(struct sf_ring *ring, const struct sf_ring_slot *slot)
{
    finish(ring, slot->position, FREE);
    sf_ring_announce_to_all(&ring->shared->room_event);
}

/* --- the message's bytes --- */

void *sf_ring_at(const struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t offset, uint64_t *run)
{
    const struct sf_ring_layout *layout = &ring->shared->layout;
    uint64_t after, x = sf_ring_layout_walk(layout, slot->position, SF_RING_FRAME_BYTES + offset);
    uint64_t piece = sf_ring_layout_piece(layout, x, &after) - x, rest = slot->bytes - offset;
    *run = piece < rest ? piece : rest;
    return ring->data + x;
}

void sf_ring_put(const struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t offset, const void *from,
                 uint64_t bytes)
{
    const unsigned char *source = from;
    while (bytes) {
        uint64_t run;
        void *to = sf_ring_at(ring, slot, offset, &run);
        run = run < bytes ? run : bytes;
        memcpy(to, source, run);
        source += run, offset += run, bytes -= run;
    }
}

void sf_ring_get(const struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t offset, void *to, uint64_t bytes)
{
    unsigned char *target = to;
    while (bytes) {
        uint64_t run;
        const void *from = sf_ring_at(ring, slot, offset, &run);
        run = run < bytes ? run : bytes;
        memcpy(target, from, run);
        target += run, offset += run, bytes -= run;
    }
}

/* --- looking --- */

bool sf_ring_has_message(struct sf_ring *ring)
{
    struct sf_ring_shared *s = ring->shared;
    /* A peek. next only grows and never passes a message; tail is read later, so equal means empty. A message whose
     * event was counted has its tail in sight, by the acquire of the event. */
    uint64_t next = atomic_load_explicit(&s->next, memory_order_acquire);
    if (next == atomic_load_explicit(&s->tail, memory_order_acquire))
        return false;
    bool passed;
    take(ring);
    next = advance_next(ring);
    bool found = find_ready(ring, next, get(&s->tail), &passed) != get(&s->tail);
    drop(ring);
    return found;
}

bool sf_ring_has_room(struct sf_ring *ring, uint64_t bytes, bool thorough)
{
    struct sf_ring_shared *s = ring->shared;
    if (bytes > ring->usable - SF_RING_FRAME_BYTES)
        return true; /* sf_ring_reserve says what is wrong */
    for (;;) {
        take(ring);
        collect(ring);
        bool room = get(&s->tail) - get(&s->head) + frame_span(bytes) <= ring->usable;
        drop(ring);
        if (room)
            return true;
        if (!recover(ring, thorough))
            return false;
    }
}

uint64_t sf_ring_length(const struct sf_ring *ring)
{
    struct sf_ring_shared *s = ring->shared;
    uint64_t length = 0, tail;
    take(ring);
    tail = get(&s->tail);
    for (uint64_t p = get(&s->next); p < tail;) {
        uint64_t x = place(ring, p);
        length += state_kind(load_state(ring, x)) == READY;
        p += span_at(ring, x);
    }
    drop(ring);
    return length;
}
