/* The table of the processes that hold a ring. See holders.h for the life of a slot.
 *
 * Invariants
 * - A slot's word holds its state, its life's number and a pid; every change is one CAS from the whole old word,
 * and the life's number grows whenever the slot becomes EMPTY. So a CAS never hits another life by mistake.
 * - since_ns is written only by who owns the slot: its taker while it is TAKEN; the child or its parent while it is
 *   FORKING. Both write a time at which the child lives. A child that comes after SF_HOLDERS_FORK_NS takes another
 * slot, and a FORKING slot is emptied only after twice that time, so those writers never meet the slot's next
 * owner.
 * - A process killed anywhere leaves a slot TAKEN, FORKING or LIVE under its own or its reserver's pid, which is
 * found dead by the next who looks. */
#include "core/ring/holders.h"

#include <unistd.h>

#include "core/os/identity.h"

enum state { EMPTY = 0, TAKEN, FORKING, LIVE };

#define LIFE_MASK ((SF_HOLDERS_TAG_BIT >> SF_HOLDERS_INDEX_BITS) - 1)
#define SWEEP_FIRST 64u

/* word: pid << 32 | life << 2 | state. tag: bit 30 | life << SF_HOLDERS_INDEX_BITS | index. */
static uint64_t word_of(pid_t pid, uint32_t life, enum state state)
{
    return (uint64_t)(uint32_t)pid << 32 | (uint64_t)(life & LIFE_MASK) << 2 | (uint64_t)state;
}

static enum state word_state(uint64_t word)
{
    return (enum state)(word & 3);
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

static bool change(struct sf_holders_slot *slot, uint64_t from, uint64_t to)
{
    /* acq_rel: since_ns, written before, is seen by who loads the word with acquire (load_word). */
    return atomic_compare_exchange_strong_explicit(&slot->word, &from, to, memory_order_acq_rel, memory_order_acquire);
}

static uint64_t load_word(const struct sf_holders_slot *slot)
{
    return atomic_load_explicit(&slot->word, memory_order_acquire); /* partner: change */
}

/* Whether the slot's process lives, the slot having had this word a moment ago. `patience` is for FORKING ones. */
static bool slot_alive(const struct sf_holders_slot *slot, uint64_t word, uint64_t patience_ns)
{
    uint64_t since = atomic_load_explicit(&slot->since_ns, memory_order_relaxed);
    switch (word_state(word)) {
    case EMPTY:
        return false;
    case TAKEN: /* for an instant; since_ns is not yet this life's */
        return sf_identity_alive(word_pid(word), UINT64_MAX);
    case FORKING:
        return sf_identity_now() - since < patience_ns && sf_identity_alive(word_pid(word), since);
    default:
        return sf_identity_alive(word_pid(word), since);
    }
}

/* Empties the slot if its process is dead for sure; whether the slot is empty now. */
static bool empty_if_dead(struct sf_holders_slot *slot)
{
    uint64_t word = load_word(slot);
    if (word_state(word) == EMPTY)
        return true;
    if (slot_alive(slot, word, 2 * SF_HOLDERS_FORK_NS))
        return false;
    return change(slot, word, word_of(0, word_life(word) + 1, EMPTY));
}

static uint32_t used_slots(const struct sf_holders *holders)
{
    uint32_t used = atomic_load_explicit(&holders->used, memory_order_acquire); /* partner: take */
    return used < SF_HOLDERS_SLOTS ? used : SF_HOLDERS_SLOTS;
}

/* Takes any empty slot up to `used`. */
static bool take_empty(struct sf_holders *holders, uint32_t used, pid_t self, uint32_t *tag)
{
    for (uint32_t i = 0; i < used; i++) {
        uint64_t word = load_word(&holders->slot[i]);
        if (word_state(word) == EMPTY && change(&holders->slot[i], word, word_of(self, word_life(word), TAKEN))) {
            *tag = tag_of(i, word_life(word));
            return true;
        }
    }
    return false;
}

/* Dead slots are looked for when the table has doubled since, so the cost per slot taken stays the same. */
static void sweep(struct sf_holders *holders, uint32_t used)
{
    uint32_t empty = 0, at = atomic_load_explicit(&holders->sweep_at, memory_order_relaxed);
    if (used < (at ? at : SWEEP_FIRST) && used < SF_HOLDERS_SLOTS)
        return;
    for (uint32_t i = 0; i < used; i++)
        empty += empty_if_dead(&holders->slot[i]);
    if (empty < used / 2)
        atomic_store_explicit(&holders->sweep_at, 2 * used, memory_order_relaxed); /* a hint: no partner */
}

/* A slot in state TAKEN. False: all are held. */
static bool take(struct sf_holders *holders, uint32_t *tag)
{
    pid_t self = getpid();
    uint32_t used = used_slots(holders);
    if (take_empty(holders, used, self, tag))
        return true;
    sweep(holders, used);
    if (take_empty(holders, used, self, tag))
        return true;
    while (used < SF_HOLDERS_SLOTS) {
        uint32_t next = used;
        /* release: who sees the slot counted (used_slots) may look at it; it is EMPTY until taken below. */
        if (atomic_compare_exchange_strong_explicit(&holders->used, &next, used + 1, memory_order_acq_rel,
                                                    memory_order_acquire)) {
            if (take_empty(holders, used + 1, self, tag))
                return true;
            next = used + 1;
        }
        used = next;
    }
    return false;
}

/* Takes a slot and gives it a first state under the caller's pid. */
static uint32_t enter(struct sf_holders *holders, enum state state)
{
    uint32_t tag;
    atomic_fetch_add_explicit(&holders->entered, 1, memory_order_acq_rel); /* partner: sf_holders_others */
    if (!take(holders, &tag)) {
        atomic_store_explicit(&holders->unknown, 1, memory_order_release); /* partner: sf_holders_others */
        return SF_HOLDERS_UNKNOWN;
    }
    struct sf_holders_slot *slot = &holders->slot[tag_index(tag)];
    pid_t self = getpid();
    atomic_store_explicit(&slot->since_ns, sf_identity_now(), memory_order_relaxed); /* partner: change, below */
    change(slot, word_of(self, tag_life(tag), TAKEN), word_of(self, tag_life(tag), state));
    return tag;
}

uint32_t sf_holders_join(struct sf_holders *holders)
{
    return enter(holders, LIVE);
}

uint32_t sf_holders_reserve(struct sf_holders *holders)
{
    return enter(holders, FORKING);
}

/* Turns the reserved slot into that of pid, unless it is too late. Whether the slot is the pid's now. */
static bool fill(struct sf_holders *holders, uint32_t tag, pid_t pid)
{
    struct sf_holders_slot *slot = &holders->slot[tag_index(tag)];
    uint64_t word = load_word(slot), now = sf_identity_now();
    if (word_life(word) != tag_life(tag))
        return false;
    if (word_state(word) == FORKING) {
        if (now - atomic_load_explicit(&slot->since_ns, memory_order_relaxed) >= SF_HOLDERS_FORK_NS)
            return false;
        atomic_store_explicit(&slot->since_ns, now, memory_order_relaxed); /* partner: change, next */
        if (change(slot, word, word_of(pid, tag_life(tag), LIVE)))
            return true;
        word = load_word(slot); /* parent and child came at the same time */
    }
    return word == word_of(pid, tag_life(tag), LIVE);
}

uint32_t sf_holders_adopt(struct sf_holders *holders, uint32_t tag)
{
    if (tag != SF_HOLDERS_UNKNOWN && fill(holders, tag, getpid()))
        return tag;
    return sf_holders_join(holders);
}

void sf_holders_name(struct sf_holders *holders, uint32_t tag, pid_t child)
{
    if (tag != SF_HOLDERS_UNKNOWN)
        fill(holders, tag, child);
}

void sf_holders_leave(struct sf_holders *holders, uint32_t tag)
{
    if (tag == SF_HOLDERS_UNKNOWN)
        return;
    struct sf_holders_slot *slot = &holders->slot[tag_index(tag)];
    uint64_t word = load_word(slot);
    if (word == word_of(getpid(), tag_life(tag), LIVE))
        change(slot, word, word_of(0, tag_life(tag) + 1, EMPTY));
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
    /* FORKING that has become LIVE meanwhile is not dead. */
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
    if (atomic_load_explicit(&holders->unknown, memory_order_acquire)) /* partner: enter */
        return true;
    uint32_t entered = atomic_load_explicit(&holders->entered, memory_order_acquire);
    uint32_t used = used_slots(holders);
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
    /* A holder that we found dead may have forked before, into a slot that we had passed by then. Nobody enters but
     * from a live holder, so if nobody entered meanwhile, nobody was missed; else say yes, and be asked again. */
    return atomic_load_explicit(&holders->entered, memory_order_acquire) != entered || /* partner: enter */
           atomic_load_explicit(&holders->unknown, memory_order_acquire);
}
