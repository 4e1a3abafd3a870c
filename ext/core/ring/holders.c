/* The table of the processes that hold a ring. See holders.h for the life of a slot.
 *
 * Invariants
 * - A slot's word has its state, the number of its life and a pid; every change is one CAS from the whole old word, and
 *   the number of the life grows whenever the slot becomes EMPTY. So a CAS never changes another life by mistake.
 * - An EMPTY slot has pid 0; every other has the pid of the process that took it or, once LIVE, of its owner.
 * - since_ns is written by the taker while the slot is TAKEN, and by the child and its parent while it is FORKING, each
 *   with a time at which the child lives. A child that comes later than SF_HOLDERS_FORK_NS takes another slot, and a
 *   FORKING slot is emptied only after twice that time. So they never write into the slot's next life.
 * - The words of a rest are cleared by the taker, and then written by the owner only. Its number is stored last when it
 *   becomes odd, so who reads the same odd number before and after the other words has read that rest.
 * - A process killed anywhere leaves a slot TAKEN, FORKING or LIVE with its own pid or its reserver's. The next process
 *   that checks the slot finds it dead. */
#include "core/ring/holders.h"

#include <assert.h>
#include <unistd.h>

#include "core/os/identity.h"

enum slot_state { EMPTY = 0, TAKEN, FORKING, LIVE };

#define LIFE_MASK ((SF_HOLDERS_TAG_BIT >> SF_HOLDERS_INDEX_BITS) - 1)
#define SWEEP_FIRST 64u

/* word: pid << 32 | life << 2 | state. tag: bit 30 | life << SF_HOLDERS_INDEX_BITS | index. */
static uint64_t word_of(pid_t pid, uint32_t life, enum slot_state state)
{
    assert((state == EMPTY) == (pid == 0));
    return (uint64_t)(uint32_t)pid << 32 | (uint64_t)(life & LIFE_MASK) << 2 | (uint64_t)state;
}

static enum slot_state word_state(uint64_t word)
{
    return (enum slot_state)(word & 3);
}

static uint32_t word_life(uint64_t word)
{
    return (uint32_t)(word >> 2) & LIFE_MASK;
}

static pid_t word_pid(uint64_t word)
{
    return (pid_t)(word >> 32);
}

static uint32_t tag_of(uint32_t index, uint32_t life)
{
    assert(index < SF_HOLDERS_SLOTS && life <= LIFE_MASK);
    return SF_HOLDERS_TAG_BIT | life << SF_HOLDERS_INDEX_BITS | index;
}

static uint32_t tag_index(uint32_t tag)
{
    return tag & (SF_HOLDERS_SLOTS - 1);
}

static uint32_t tag_life(uint32_t tag)
{
    return tag >> SF_HOLDERS_INDEX_BITS & LIFE_MASK;
}

static bool change_word(struct sf_holders_slot *slot, uint64_t from, uint64_t to)
{
    /* acq_rel: a process that loads the word with acquire (load_word) sees since_ns, which was written before. */
    return atomic_compare_exchange_strong_explicit(&slot->word, &from, to, memory_order_acq_rel, memory_order_acquire);
}

static uint64_t load_word(const struct sf_holders_slot *slot)
{
    return atomic_load_explicit(&slot->word, memory_order_acquire); /* partner: change_word */
}

/* Whether the process of a slot that had this word a moment ago lives. A FORKING slot is dead after forking_ns. */
static bool slot_alive(const struct sf_holders_slot *slot, uint64_t word, uint64_t forking_ns)
{
    uint64_t since = atomic_load_explicit(&slot->since_ns, memory_order_relaxed);
    switch (word_state(word)) {
    case EMPTY:
        return false;
    case TAKEN: /* for an instant only; since_ns is not yet this life's, so the pid decides */
        return sf_identity_alive(word_pid(word), UINT64_MAX);
    case FORKING:
        return sf_identity_now() - since < forking_ns && sf_identity_alive(word_pid(word), since);
    default:
        return sf_identity_alive(word_pid(word), since);
    }
}

/* Empties the slot if its process is certainly dead. Returns whether the slot is empty now. */
static bool empty_if_dead(struct sf_holders_slot *slot)
{
    uint64_t word = load_word(slot);
    if (word_state(word) == EMPTY)
        return true;
    if (slot_alive(slot, word, 2 * SF_HOLDERS_FORK_NS))
        return false;
    return change_word(slot, word, word_of(0, word_life(word) + 1, EMPTY));
}

static uint32_t slots_in_use(const struct sf_holders *holders)
{
    uint32_t used = atomic_load_explicit(&holders->used, memory_order_acquire); /* partner: take_slot */
    return used < SF_HOLDERS_SLOTS ? used : SF_HOLDERS_SLOTS;
}

/* Takes the first empty slot of those below `used`. */
static bool take_empty_slot(struct sf_holders *holders, uint32_t used, pid_t self, uint32_t *tag)
{
    for (uint32_t i = 0; i < used; i++) {
        uint64_t word = load_word(&holders->slot[i]);
        if (word_state(word) == EMPTY && change_word(&holders->slot[i], word, word_of(self, word_life(word), TAKEN))) {
            *tag = tag_of(i, word_life(word));
            return true;
        }
    }
    return false;
}

/* Empties the slots of dead processes, but only if sweep_at slots are in use. A search that finds few dead ones doubles
 * sweep_at. So the cost for each slot taken stays constant. */
static void empty_dead_slots(struct sf_holders *holders, uint32_t used)
{
    uint32_t empty = 0, at = atomic_load_explicit(&holders->sweep_at, memory_order_relaxed);
    if (used < (at ? at : SWEEP_FIRST) && used < SF_HOLDERS_SLOTS)
        return;
    for (uint32_t i = 0; i < used; i++)
        empty += empty_if_dead(&holders->slot[i]);
    if (empty < used / 2)
        atomic_store_explicit(&holders->sweep_at, 2 * used, memory_order_relaxed); /* a hint: no partner */
}

/* Takes a slot. False: live processes hold all of them. */
static bool take_slot(struct sf_holders *holders, uint32_t *tag)
{
    pid_t self = getpid();
    uint32_t used = slots_in_use(holders);
    if (take_empty_slot(holders, used, self, tag))
        return true;
    empty_dead_slots(holders, used);
    if (take_empty_slot(holders, used, self, tag))
        return true;
    while (used < SF_HOLDERS_SLOTS) {
        uint32_t next = used;
        /* release: a process that sees the slot counted (slots_in_use) may read it: it is EMPTY until taken below. */
        if (atomic_compare_exchange_strong_explicit(&holders->used, &next, used + 1, memory_order_acq_rel,
                                                    memory_order_acquire)) {
            if (take_empty_slot(holders, used + 1, self, tag))
                return true;
            next = used + 1;
        }
        used = next;
    }
    return false;
}

/* Takes a slot for the caller, or for its child, and sets its first state. Its tag. */
static uint32_t enter_table(struct sf_holders *holders, enum slot_state state)
{
    uint32_t tag;
    atomic_fetch_add_explicit(&holders->entered, 1, memory_order_acq_rel); /* partner: sf_holders_others */
    if (!take_slot(holders, &tag)) {
        atomic_store_explicit(&holders->unknown, 1, memory_order_release); /* partner: sf_holders_others */
        return SF_HOLDERS_UNKNOWN;
    }
    struct sf_holders_slot *slot = &holders->slot[tag_index(tag)];
    pid_t self = getpid();
    atomic_store_explicit(&slot->since_ns, sf_identity_now(), memory_order_relaxed); /* partner: change_word, below */
    atomic_store_explicit(&slot->rest_number, 0, memory_order_relaxed);
    bool ours = change_word(slot, word_of(self, tag_life(tag), TAKEN), word_of(self, tag_life(tag), state));
    assert(ours); /* a TAKEN slot is emptied only if its process is dead */
    (void)ours;
    return tag;
}

uint32_t sf_holders_join(struct sf_holders *holders)
{
    return enter_table(holders, LIVE);
}

uint32_t sf_holders_reserve(struct sf_holders *holders)
{
    return enter_table(holders, FORKING);
}

/* Makes the reserved slot LIVE under this pid, unless it is too late. Whether the slot is the pid's now. */
static bool give_slot_to(struct sf_holders *holders, uint32_t tag, pid_t pid)
{
    struct sf_holders_slot *slot = &holders->slot[tag_index(tag)];
    uint64_t word = load_word(slot), now = sf_identity_now();
    if (word_life(word) != tag_life(tag))
        return false;
    if (word_state(word) == FORKING) {
        if (now - atomic_load_explicit(&slot->since_ns, memory_order_relaxed) >= SF_HOLDERS_FORK_NS)
            return false;
        atomic_store_explicit(&slot->since_ns, now, memory_order_relaxed); /* partner: change_word, next */
        if (change_word(slot, word, word_of(pid, tag_life(tag), LIVE)))
            return true;
        word = load_word(slot); /* parent and child did it at the same time */
    }
    return word == word_of(pid, tag_life(tag), LIVE);
}

uint32_t sf_holders_adopt(struct sf_holders *holders, uint32_t tag)
{
    if (tag != SF_HOLDERS_UNKNOWN && give_slot_to(holders, tag, getpid()))
        return tag;
    return sf_holders_join(holders);
}

void sf_holders_name(struct sf_holders *holders, uint32_t tag, pid_t child)
{
    if (tag != SF_HOLDERS_UNKNOWN)
        give_slot_to(holders, tag, child);
}

void sf_holders_leave(struct sf_holders *holders, uint32_t tag)
{
    if (tag == SF_HOLDERS_UNKNOWN)
        return;
    struct sf_holders_slot *slot = &holders->slot[tag_index(tag)];
    uint64_t word = load_word(slot);
    if (word == word_of(getpid(), tag_life(tag), LIVE))
        change_word(slot, word, word_of(0, tag_life(tag) + 1, EMPTY));
}

bool sf_holders_alive(const struct sf_holders *holders, uint32_t tag)
{
    if (tag == SF_HOLDERS_UNKNOWN)
        return true;
    const struct sf_holders_slot *slot = &holders->slot[tag_index(tag)];
    uint64_t word = load_word(slot);
    if (word_life(word) != tag_life(tag))
        return false;
    if (slot_alive(slot, word, SF_HOLDERS_FORK_NS))
        return true;
    /* It may have been FORKING and have become LIVE meanwhile. */
    uint64_t again = load_word(slot);
    return again != word && word_life(again) == tag_life(tag) && slot_alive(slot, again, SF_HOLDERS_FORK_NS);
}

bool sf_holders_exists(const struct sf_holders *holders, uint32_t tag)
{
    if (tag == SF_HOLDERS_UNKNOWN)
        return true;
    uint64_t word = load_word(&holders->slot[tag_index(tag)]);
    return word_life(word) == tag_life(tag) && word_state(word) != EMPTY && sf_identity_exists(word_pid(word));
}

bool sf_holders_others(struct sf_holders *holders, uint32_t tag)
{
    if (atomic_load_explicit(&holders->unknown, memory_order_acquire)) /* partner: enter_table */
        return true;
    uint32_t entered = atomic_load_explicit(&holders->entered, memory_order_acquire);
    uint32_t used = slots_in_use(holders);
    for (uint32_t i = 0; i < used; i++) {
        if (tag != SF_HOLDERS_UNKNOWN && i == tag_index(tag))
            continue;
        uint64_t word = load_word(&holders->slot[i]);
        if (word_state(word) == EMPTY)
            continue;
        if (sf_holders_alive(holders, tag_of(i, word_life(word))))
            return true;
        empty_if_dead(&holders->slot[i]);
    }
    /* A holder that we found dead may have forked before it died, into a slot that we had already passed. Only a live
     * holder can make another one, so if nobody entered meanwhile, nobody was missed. Otherwise say yes: the caller
     * asks again later. */
    return atomic_load_explicit(&holders->entered, memory_order_acquire) != entered || /* partner: enter_table */
           atomic_load_explicit(&holders->unknown, memory_order_acquire);
}

void sf_holders_set_rest(struct sf_holders *holders, uint32_t tag, const struct sf_holders_rest *rest)
{
    if (tag == SF_HOLDERS_UNKNOWN)
        return;
    struct sf_holders_slot *slot = &holders->slot[tag_index(tag)];
    if (rest->number & 1) {
        atomic_store_explicit(&slot->rest_ring_key, rest->ring_key, memory_order_relaxed);
        atomic_store_explicit(&slot->rest_bytes, rest->bytes, memory_order_relaxed);
    }
    /* release: partner is read_rest. What the process does after this store becomes visible after it: by the ring's
     * lock, or by a release store to the frame or to the ring's positions. */
    atomic_store_explicit(&slot->rest_number, rest->number, memory_order_release);
}

/* False if it has changed meanwhile. */
static bool read_rest(const struct sf_holders_slot *slot, struct sf_holders_rest *rest)
{
    rest->number = atomic_load_explicit(&slot->rest_number, memory_order_acquire); /* partner: sf_holders_set_rest */
    rest->ring_key = atomic_load_explicit(&slot->rest_ring_key, memory_order_relaxed);
    rest->bytes = atomic_load_explicit(&slot->rest_bytes, memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire); /* the number is read again after them */
    return atomic_load_explicit(&slot->rest_number, memory_order_relaxed) == rest->number;
}

int sf_holders_next_other(const struct sf_holders *holders, uint32_t tag, uint32_t *at, struct sf_holders_rest *rest)
{
    if (tag == SF_HOLDERS_UNKNOWN || atomic_load_explicit(&holders->unknown, memory_order_acquire))
        return -1;
    for (uint32_t used = slots_in_use(holders); *at < used;) {
        uint32_t i = (*at)++;
        uint64_t word = load_word(&holders->slot[i]);
        if (i == tag_index(tag) || word_state(word) == EMPTY)
            continue;
        if (word_state(word) == LIVE) {
            rest->tag = tag_of(i, word_life(word));
            if (!read_rest(&holders->slot[i], rest))
                return -1;
            if (rest->number & 1)
                return load_word(&holders->slot[i]) == word ? 1 : -1;
        }
        if (sf_holders_alive(holders, tag_of(i, word_life(word))))
            return -1;
    }
    return 0;
}
