/* The processes that hold a ring: a table in the ring's shared memory.
 *
 * A slot is one process's, named by a tag: 31 bits that also say which life of the slot is meant, so that what a
 * dead process left (a lock word, a frame) is known as the dead one's after the slot has gone to another process.
 *
 *     EMPTY --take--> TAKEN --> LIVE                              sf_holders_join: this process
 *       ^               |
 *       |               +-----> FORKING --+--> LIVE               sf_holders_reserve: before a fork
 *       |                          |      by the child (sf_holders_adopt), or by its parent (sf_holders_name)
 *       +---(dead, or left)--------+
 *
 * A slot that stays FORKING for SF_HOLDERS_FORK_NS, or whose reserver has died, counts as dead.
 *
 * There are more slots than processes fit a machine's memory, for the price of an address: a page of the table costs
 * nothing before a slot in it is taken. For when all of them are held by live processes even so, "others unknown" is
 * set, for good: nobody is declared alone or dead by mistake any more, though a wait may then last for ever.
 *
 * Everything is lock-free and crash-consistent: a slot changes by one compare-and-swap of its word. */
#ifndef SF_CORE_RING_HOLDERS_H
#define SF_CORE_RING_HOLDERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SF_HOLDERS_INDEX_BITS 15
#define SF_HOLDERS_SLOTS (UINT32_C(1) << SF_HOLDERS_INDEX_BITS)
#define SF_HOLDERS_FORK_NS UINT64_C(5000000000)

/* Bit 30 is set in every tag, bit 31 in none: 0 is nobody, and a lock word has room for a flag. */
#define SF_HOLDERS_TAG_BIT (UINT32_C(1) << 30)
/* Holds the ring, but found no slot: counts as alive for ever. */
#define SF_HOLDERS_UNKNOWN (SF_HOLDERS_TAG_BIT - 1)

struct sf_holders_slot {
    _Atomic uint64_t word;     /* state, life, pid (of the reserver while FORKING); partner: itself, by CAS */
    _Atomic uint64_t since_ns; /* the pid was known to live then; stored before the word, by the owner of the slot */
};

struct sf_holders {            /* all zero: nobody. In shared memory. */
    _Atomic uint32_t used;     /* slots from here on were never taken */
    _Atomic uint32_t unknown;  /* 1: somebody found no slot */
    _Atomic uint32_t sweep_at; /* slots in use when taking one looks for dead ones; a hint */
    _Atomic uint32_t entered;  /* how often anybody set out to enter */
    struct sf_holders_slot slot[SF_HOLDERS_SLOTS];
};

/* The calling process's tag; SF_HOLDERS_UNKNOWN when the table is full. */
uint32_t sf_holders_join(struct sf_holders *holders);

/* A tag for the child of the fork that is to follow. */
uint32_t sf_holders_reserve(struct sf_holders *holders);

/* In the child: makes the reserved slot its own. Its tag: the same, or another if it came too late. */
uint32_t sf_holders_adopt(struct sf_holders *holders, uint32_t tag);

/* In the parent: the child of the reserved slot has this pid and has not been reaped. */
void sf_holders_name(struct sf_holders *holders, uint32_t tag, pid_t child);

/* Gives the caller's own slot back. */
void sf_holders_leave(struct sf_holders *holders, uint32_t tag);

/* Whether the process behind the tag lives, and has not exec'ed a program. Some microseconds. */
bool sf_holders_alive(const struct sf_holders *holders, uint32_t tag);

/* Whether its pid exists, as a zombie maybe. Some hundred ns; false is certain, true is not. */
bool sf_holders_exists(const struct sf_holders *holders, uint32_t tag);

/* Whether a live process other than the caller (its tag) holds the ring; true also if that cannot be known. Some
 * microseconds for each dead slot until the first live one; dead ones are emptied on the way. */
bool sf_holders_others(struct sf_holders *holders, uint32_t tag);

#endif
