/* The ring: framed messages in a shared mapping. ring.h has the contract, lap.h where positions stand in memory,
 * party.h who holds it.
 *
 *     mapping:   struct shared (positions, events, parties) | usable bytes of frames
 *     frame:     state | span | bytes | seq | the message, padded to 8      header words may stand across a lap's
 * end
 *
 *     head ------------ next ------------ tail        positions: bytes since the ring was made
 *       claimed, or free  | the oldest that  | the next frame's place
 *       behind others     | may be READY     |
 *
 *     a frame's state:   WRITING --(publish)--> READY --(claim, locked)--> READING --(release)--> FREE
 *                           +-------------------(abandon; or its owner died: locked)----------------^
 *
 * Who writes. Under the lock: head, next, tail, seq, base, lap, the header words of a new frame, READY -> READING,
 * span of FREE frames, and the state of a dead process's frame. Without it: the holder of a message publishes,
 * abandons or releases it by one store of its state. The messages' bytes are their holder's.
 *
 * A process may be killed at any instruction; what it did under the lock is then either visible or not:
 * - reserve: the frame stands behind the tail, in no one's sight, until the one store of the tail. seq may skip.
 * - claim: one store of the state. `next` is a hint that only lags: frames behind it are READING or FREE.
 * - collecting: next moves first, then head; both over FREE frames only, so any mixture is a valid ring.
 * - merging FREE frames: one store of the first one's span.
 * - the lap: lap.h. Who takes the lock over from the dead calls sf_lap_repair before all else.
 * A dead process's WRITING and READING frames do no harm until they stand at the head and somebody needs the room:
 * they are freed then (recover). Nobody else's frame is ever waited for: claim passes over WRITING ones.
 *
 * Order. A thread reserves its second message after it has published the first, and claim holds the lock, so it
 * sees the first READY if it sees the second at all. Should a thread hold two at once, claim looks again at what it
 * passed.
 *
 * Waiting. message_event and room_event count what happens, in steps of 2, with bit 0 set while somebody may sleep.
 * A waiter reads the count, looks at the ring, sets bit 0, and sleeps if the count is the same still; both sides
 * use read-modify-writes of one word, so either the waiter sees the count changed or the waker sees the bit. A new
 * message wakes one sleeper (the bit stays until none is left: idle receivers are not all woken for each message);
 * room wakes all. A waker or the woken one may be killed in between: others look again within SF_RING_CHECK_NS. */
#include "ring.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "futex.h"
#include "lap.h"
#include "lock.h"
#include "party.h"

enum kind { FREE = 0, WRITING, READY, READING };
enum { STATE, SPAN, BYTES, SEQ, HEADER_WORDS };
static_assert(HEADER_WORDS * 8 == SF_RING_FRAME_BYTES, "frame header");

#define CACHE_LINE 64
#define PAGE 4096u
#define SPIN_MIN_NS 1000u
#define SPIN_MAX_NS 30000u
#define QUICK_NS 60000u /* a sleep that a spin might have saved: it counts the wake-up of each side, some 20 us */
#define RECHECK_NS 200000u /* a live process that is in the way is looked up in /proc no more often */
#define FORKS_KEPT 8u      /* of one process, that can still be named */

struct shared {
    /* hot: all of it under the lock, but for peeks (peek_empty) */
    _Alignas(CACHE_LINE) struct sf_lock lock;
    _Atomic uint32_t number;
    _Atomic uint64_t head, next, tail, seq, base;
    /* read by all, seldom written */
    _Alignas(CACHE_LINE) struct sf_lap lap;
    /* the waiters' words */
    _Alignas(CACHE_LINE) _Atomic uint32_t message_event;
    _Alignas(CACHE_LINE) _Atomic uint32_t room_event;
    _Alignas(CACHE_LINE) struct sf_party party;
};
#define DATA_OFFSET ((sizeof(struct shared) + PAGE - 1) / PAGE * PAGE)

struct sf_ring {
    struct shared *shared;
    unsigned char *data;
    uint64_t capacity, usable;
    size_t mapped;
    uint32_t tag;                                   /* this process's; changes in a forked child only */
    _Atomic uint32_t spin_message_ns, spin_room_ns; /* budgets; any thread's, no partner */
    _Atomic uint64_t rechecked_ns;                  /* when who is in the way was last looked up; no partner */
    struct {
        uint64_t serial;
        uint32_t tag;
    } forks[FORKS_KEPT];
    struct sf_ring *previous, *following; /* all of this process's; under `rings_mutex` */
};

static pthread_mutex_t rings_mutex = PTHREAD_MUTEX_INITIALIZER; /* of the list, and held across a fork */
static struct sf_ring *rings;
static uint64_t fork_serial;                      /* forks of this process; under rings_mutex */
static _Thread_local uint64_t thread_fork_serial; /* the last one by this thread */

static uint64_t get(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed); /* ordered by the lock */
}

static void set(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed); /* ordered by the lock */
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* --- frames --- */

/* A header word of the frame at place x. Places are multiples of 8, so no word stands across an end. */
static _Atomic uint64_t *word_at(const struct sf_ring *ring, uint64_t x, unsigned word)
{
    return (_Atomic uint64_t *)(ring->data + (word ? sf_lap_walk(&ring->shared->lap, x, word * 8) : x));
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
    return sf_lap_place(&ring->shared->lap, get(&ring->shared->base), position);
}

static uint64_t span_at(const struct sf_ring *ring, uint64_t x)
{
    return get(word_at(ring, x, SPAN));
}

static void take(const struct sf_ring *ring)
{
    struct shared *s = ring->shared;
    if (__builtin_expect(sf_lock_take(&s->lock, &s->party, ring->tag), 0))
        sf_lap_repair(&s->lap, &s->base, get(&s->head), get(&s->tail));
}

static void drop(const struct sf_ring *ring)
{
    sf_lock_drop(&ring->shared->lock);
}

/* Locked. Moves the head over what is free, and rewinds if nothing is left. */
static void collect(struct sf_ring *ring)
{
    struct shared *s = ring->shared;
    uint64_t head = get(&s->head), tail = get(&s->tail), end = head;
    for (uint64_t x; end < tail && (x = place(ring, end), state_kind(load_state(ring, x)) == FREE);)
        end += span_at(ring, x);
    if (end != head) {
        if (get(&s->next) < end)
            set(&s->next, end);
        /* release: next is never seen behind head, also by who takes over; partner: the acquire of the lock */
        atomic_store_explicit(&s->head, end, memory_order_release);
        sf_lap_advance(&s->lap, &s->base, end);
    }
    if (end == tail && get(&s->base) != tail)
        sf_lap_rewind(&s->lap, &s->base, tail);
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
    struct shared *s = ring->shared;
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
    struct shared *s = ring->shared;
    take(ring);
    uint64_t head = get(&s->head), state = head < get(&s->tail) ? load_state(ring, place(ring, head)) : 0;
    drop(ring);
    enum kind kind = state_kind(state);
    uint32_t tag = (uint32_t)state;
    if ((kind != WRITING && kind != READING) || tag == ring->tag)
        return false;
    if (sf_party_exists(&s->party, tag)) {
        uint64_t now = now_ns();
        if (!thorough && now - get(&ring->rechecked_ns) < RECHECK_NS)
            return false;
        set(&ring->rechecked_ns, now);
        if (sf_party_alive(&s->party, tag))
            return false;
    }
    take(ring);
    /* The same frame in the same state: a tag is used by one process only, which is dead. */
    bool mine = get(&s->head) == head && head < get(&s->tail) && load_state(ring, place(ring, head)) == state;
    if (mine)
        finish(ring, place(ring, head), FREE);
    drop(ring);
    return mine || get(&s->head) != head; /* a peek: somebody else may have been faster */
}

/* --- events --- */

static void announce_message(struct shared *s)
{
    /* acq_rel, both here and in wait_for: see "Waiting" above. */
    if (__builtin_expect(!(atomic_fetch_add_explicit(&s->message_event, 2, memory_order_acq_rel) & 1), 1))
        return;
    if (sf_futex_wake(&s->message_event, 1))
        return;
    /* Nobody slept. Who goes to sleep just now, on the word with its bit, is woken; who has not yet finds it
     * changed. */
    atomic_fetch_and_explicit(&s->message_event, ~UINT32_C(1), memory_order_acq_rel);
    sf_futex_wake(&s->message_event, INT_MAX);
}

static void announce_to_all(_Atomic uint32_t *event)
{
    if (__builtin_expect(!(atomic_fetch_add_explicit(event, 2, memory_order_acq_rel) & 1), 1))
        return;
    atomic_fetch_and_explicit(event, ~UINT32_C(1), memory_order_acq_rel);
    sf_futex_wake(event, INT_MAX);
}

static bool may_receive(struct sf_ring *ring, uint64_t bytes, bool thorough)
{
    struct shared *s = ring->shared;
    (void)bytes;
    (void)thorough;
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

static uint64_t frame_span(uint64_t bytes)
{
    return SF_RING_FRAME_BYTES + (bytes + 7) / 8 * 8;
}

static bool may_send(struct sf_ring *ring, uint64_t bytes, bool thorough)
{
    struct shared *s = ring->shared;
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

/* The budget doubles when a wait ended within it or soon after, and halves when not. Two sides that answer each
 * other so come back to spinning after both have slept. */
static void adapt(_Atomic uint32_t *spin_ns, bool quick)
{
    uint32_t budget = atomic_load_explicit(spin_ns, memory_order_relaxed);
    budget = quick ? budget * 2 : budget / 2;
    budget = budget > SPIN_MAX_NS ? SPIN_MAX_NS : budget < SPIN_MIN_NS ? SPIN_MIN_NS : budget;
    atomic_store_explicit(spin_ns, budget, memory_order_relaxed);
}

static int wait_for(struct sf_ring *ring, _Atomic uint32_t *event, _Atomic uint32_t *spin_ns,
                    bool (*may)(struct sf_ring *, uint64_t, bool), uint64_t bytes, int64_t timeout_ns)
{
    int result = -ETIMEDOUT;
    uint32_t seen = atomic_load_explicit(event, memory_order_acquire);
    if (may(ring, bytes, false))
        return 0;
    timeout_ns = timeout_ns > SF_RING_CHECK_NS ? SF_RING_CHECK_NS : timeout_ns;
    if (timeout_ns > 0) {
        uint64_t start = now_ns(), gone = 0;
        uint64_t budget = sf_lock_cpus() > 1 ? atomic_load_explicit(spin_ns, memory_order_relaxed) : 0;
        for (unsigned turn = 1; gone < budget && gone < (uint64_t)timeout_ns; turn++) {
            if (atomic_load_explicit(event, memory_order_acquire) >> 1 != seen >> 1) {
                adapt(spin_ns, true);
                return 0;
            }
            sf_lock_pause();
            if (turn % 8 == 0)
                gone = now_ns() - start;
        }
        if ((int64_t)gone < timeout_ns) {
            uint32_t old = atomic_fetch_or_explicit(event, 1, memory_order_acq_rel); /* partner: announce_... */
            if (old >> 1 != seen >> 1)
                return 0;
            result = sf_futex_wait(event, old | 1, timeout_ns - (int64_t)gone);
            adapt(spin_ns, result == 0 && now_ns() - start < QUICK_NS);
            if (result == 0 || result == -EINTR)
                return result;
        }
    }
    /* Nothing came, or nobody told us. First who could, then what there is: the last holder may have sent and died.
     */
    bool alone = !sf_party_others(&ring->shared->party, ring->tag);
    if (may(ring, bytes, true))
        return 0;
    return alone ? -EPIPE : -ETIMEDOUT;
}

/* --- sending and receiving --- */

int sf_ring_reserve(struct sf_ring *ring, uint64_t bytes, struct sf_ring_slot *out)
{
    struct shared *s = ring->shared;
    if (bytes > ring->usable - SF_RING_FRAME_BYTES)
        return -EMSGSIZE;
    uint64_t span = frame_span(bytes);
    for (;;) {
        take(ring);
        uint64_t tail = get(&s->tail);
        /* Looking at the head's frame takes its cache line from the receivers: only when it pays, because all has
         * been claimed, so that rewinding is near, or the lap has no room. */
        if (get(&s->next) == tail || sf_lap_room(&s->lap, get(&s->base), get(&s->head), tail) < span)
            collect(ring);
        if (__builtin_expect(sf_lap_make_room(&s->lap, &s->base, get(&s->head), tail, span), 1)) {
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
    announce_message(ring->shared);
}

void sf_ring_abandon(struct sf_ring *ring, const struct sf_ring_slot *slot)
{
    sf_ring_release(ring, slot);
}

int sf_ring_claim(struct sf_ring *ring, struct sf_ring_slot *out)
{
    struct shared *s = ring->shared;
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
    *out = (struct sf_ring_slot){
        .position = x, .bytes = get(word_at(ring, x, BYTES)), .seq = get(word_at(ring, x, SEQ))};
    set(word_at(ring, x, STATE), state_of(READING, ring->tag));
    if (found == next)
        /* release: the state is seen to have changed by who sees next beyond it; partner: the acquire of the lock
         */
        atomic_store_explicit(&s->next, next + span_at(ring, x), memory_order_release);
    drop(ring);
    return 0;
}

void sf_ring_release(struct sf_ring *ring, const struct sf_ring_slot *slot)
{
    finish(ring, slot->position, FREE);
    announce_to_all(&ring->shared->room_event);
}

void *sf_ring_at(const struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t offset, uint64_t *run)
{
    const struct sf_lap *lap = &ring->shared->lap;
    uint64_t after, x = sf_lap_walk(lap, slot->position, SF_RING_FRAME_BYTES + offset);
    uint64_t piece = sf_lap_piece(lap, x, &after) - x, rest = slot->bytes - offset;
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

void sf_ring_get(const struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t offset, void *to,
                 uint64_t bytes)
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

int sf_ring_wait_message(struct sf_ring *ring, int64_t timeout_ns)
{
    return wait_for(ring, &ring->shared->message_event, &ring->spin_message_ns, may_receive, 0, timeout_ns);
}

int sf_ring_wait_room(struct sf_ring *ring, uint64_t bytes, int64_t timeout_ns)
{
    return wait_for(ring, &ring->shared->room_event, &ring->spin_room_ns, may_send, bytes, timeout_ns);
}

void sf_ring_wake_all(struct sf_ring *ring)
{
    announce_to_all(&ring->shared->message_event);
    announce_to_all(&ring->shared->room_event);
}

uint64_t sf_ring_capacity(const struct sf_ring *ring)
{
    return ring->capacity;
}

uint64_t sf_ring_length(const struct sf_ring *ring)
{
    struct shared *s = ring->shared;
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

void sf_ring_set_number(struct sf_ring *ring, uint32_t number)
{
    atomic_store_explicit(&ring->shared->number, number, memory_order_relaxed); /* a label: no partner */
}

uint32_t sf_ring_number(const struct sf_ring *ring)
{
    return atomic_load_explicit(&ring->shared->number, memory_order_relaxed);
}

/* --- handles and forks --- */

static void before_fork(void)
{
    pthread_mutex_lock(&rings_mutex);
    thread_fork_serial = ++fork_serial;
    for (struct sf_ring *ring = rings; ring; ring = ring->following) {
        ring->forks[fork_serial % FORKS_KEPT].serial = fork_serial;
        ring->forks[fork_serial % FORKS_KEPT].tag = sf_party_reserve(&ring->shared->party);
    }
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&rings_mutex);
}

static void after_fork_in_child(void)
{
    for (struct sf_ring *ring = rings; ring; ring = ring->following)
        ring->tag = sf_party_adopt(&ring->shared->party, ring->forks[fork_serial % FORKS_KEPT].tag);
    thread_fork_serial = 0;
    pthread_mutex_unlock(&rings_mutex);
}

void sf_ring_name_child(pid_t child)
{
    uint64_t serial = thread_fork_serial;
    pthread_mutex_lock(&rings_mutex);
    for (struct sf_ring *ring = rings; serial && ring; ring = ring->following)
        if (ring->forks[serial % FORKS_KEPT].serial == serial)
            sf_party_name(&ring->shared->party, ring->forks[serial % FORKS_KEPT].tag, child);
    pthread_mutex_unlock(&rings_mutex);
}

void sf_ring_each(void (*visit)(struct sf_ring *ring, void *context), void *context)
{
    pthread_mutex_lock(&rings_mutex);
    for (struct sf_ring *ring = rings; ring; ring = ring->following)
        visit(ring, context);
    pthread_mutex_unlock(&rings_mutex);
}

static int forks_error;

static void watch_forks(void)
{
    forks_error = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

int sf_ring_new(struct sf_ring **out, uint64_t capacity_bytes)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (capacity_bytes < SF_RING_MIN_BYTES)
        return -EINVAL;
    if (capacity_bytes > PTRDIFF_MAX - DATA_OFFSET - PAGE)
        return -ENOMEM;
    pthread_once(&once, watch_forks);
    struct sf_ring *ring = forks_error ? NULL : calloc(1, sizeof *ring);
    if (!ring)
        return -ENOMEM;
    ring->capacity = capacity_bytes;
    ring->usable = capacity_bytes / 8 * 8;
    ring->mapped = DATA_OFFSET + (size_t)ring->usable;
    ring->shared =
        mmap(NULL, ring->mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (ring->shared == MAP_FAILED) {
        free(ring);
        return -ENOMEM;
    }
    ring->data = (unsigned char *)ring->shared + DATA_OFFSET;
    atomic_init(&ring->spin_message_ns, SPIN_MAX_NS / 2);
    atomic_init(&ring->spin_room_ns, SPIN_MAX_NS / 2);
    sf_lap_init(&ring->shared->lap, ring->usable);

    /* Known to the fork handlers before it has a tag would do harm, and so would a fork in between. */
    pthread_mutex_lock(&rings_mutex);
    ring->tag = sf_party_join(&ring->shared->party);
    ring->following = rings;
    if (rings)
        rings->previous = ring;
    rings = ring;
    pthread_mutex_unlock(&rings_mutex);
    *out = ring;
    return 0;
}

void sf_ring_free(struct sf_ring *ring)
{
    if (!ring)
        return;
    pthread_mutex_lock(&rings_mutex);
    if (ring->previous)
        ring->previous->following = ring->following;
    else
        rings = ring->following;
    if (ring->following)
        ring->following->previous = ring->previous;
    pthread_mutex_unlock(&rings_mutex);
    sf_party_leave(&ring->shared->party, ring->tag);
    munmap(ring->shared, ring->mapped);
    free(ring);
}
