/* The processes that hold a ring: a table in the ring's shared memory.
 *
 * A slot is one process's. Its tag names it: 31 bits that also say which life of the slot is meant. So what a dead
 * process left (a lock word, a frame) is known as the dead one's even after the slot has gone to another process.
 *
 *     EMPTY --take--> TAKEN --> LIVE                              sf_holders_join: this process
 *       ^               |
 *       |               +-----> FORKING --+--> LIVE               sf_holders_reserve: before a fork
 *       |                          |      by the child (sf_holders_adopt), or by its parent (sf_holders_name)
 *       +---(dead, or left)--------+
 *
 * A slot that stays FORKING for SF_HOLDERS_FORK_NS, or whose reserver has died, counts as dead.
 *
 * There are more slots than processes fit into a machine's memory. They cost address space only: a page of the table
 * takes no memory before a slot in it is taken. If live processes hold all of them even so, `unknown` is set, for good.
 * After that nobody is declared alone or dead by mistake, but a wait may last for ever.
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

/* Set in every tag of a slot, so that none is 0. Bit 31 is set in none: a lock word uses it as a flag. */
#define SF_HOLDERS_TAG_BIT (UINT32_C(1) << 30)
/* The tag of a process that holds the ring but found no slot: counts as alive for ever. */
#define SF_HOLDERS_UNKNOWN (SF_HOLDERS_TAG_BIT - 1)

struct sf_holders_slot {
    _Atomic uint64_t word;     /* state, life and pid (while FORKING: the reserver's); changed by CAS only */
    _Atomic uint64_t since_ns; /* a time at which the pid's process lived; stored before the word, by the owner */
};

struct sf_holders {            /* in shared memory; all zero: nobody */
    _Atomic uint32_t used;     /* slots from here on were never taken */
    _Atomic uint32_t unknown;  /* 1: a process found no slot */
    _Atomic uint32_t sweep_at; /* with so many slots in use, taking one looks for dead ones first; a hint */
    _Atomic uint32_t entered;  /* how often any process began to enter */
    struct sf_holders_slot slot[SF_HOLDERS_SLOTS];
};

/* The calling process's tag; SF_HOLDERS_UNKNOWN when the table is full. */
uint32_t sf_holders_join(struct sf_holders *holders);

/* A tag for the child of the fork that is to follow. */
uint32_t sf_holders_reserve(struct sf_holders *holders);

/* In the child: makes the reserved slot its own, or takes another if it comes too late. Its tag. */
uint32_t sf_holders_adopt(struct sf_holders *holders, uint32_t tag);

/* In the parent: the child of the reserved slot has this pid and has not been reaped. */
void sf_holders_name(struct sf_holders *holders, uint32_t tag, pid_t child);

/* Gives the caller's own slot back. */
void sf_holders_leave(struct sf_holders *holders, uint32_t tag);

/* Whether the process behind the tag lives, and has not exec'ed a program. Some microseconds. */
bool sf_holders_alive(const struct sf_holders *holders, uint32_t tag);

/* Whether a process with its pid exists, perhaps as a zombie. Some hundred ns. False is certain: it is dead. */
bool sf_holders_exists(const struct sf_holders *holders, uint32_t tag);

/* Whether a live process other than the caller (its tag) holds the ring; also true if that cannot be known. Empties
 * dead slots until it finds a live one: some microseconds for each. */
bool sf_holders_others(struct sf_holders *holders, uint32_t tag);

#endif
