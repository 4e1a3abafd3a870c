/* The processes that hold a ring: a table in the ring's shared memory.
 *
 * A slot belongs to one process at a time. The process is named by a tag: 31 bits, the slot's index and the number of
 * the slot's life. A slot that another process takes later begins a new life. So what a dead process left (a lock word,
 * a frame) still has the dead process's tag.
 *
 *     EMPTY --take--> TAKEN --> LIVE                              sf_holders_join: this process
 *       ^               |
 *       |               +-----> FORKING --+--> LIVE               sf_holders_reserve: before a fork
 *       |                          |      by the child (sf_holders_adopt), or by its parent (sf_holders_name)
 *       +---(dead, or left)--------+
 *
 * A process reserves a slot for its child before it forks. A slot that stays FORKING for SF_HOLDERS_FORK_NS, or whose
 * reserver has died, counts as dead.
 *
 * There are more slots than a machine usually has processes. They cost address space only: a page of the table takes no
 * memory before a slot in it is taken. If live processes hold all slots, the next one gets no slot and sets `unknown`,
 * which stays set. From then on every process is told that there are others, so a wait may last for ever.
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

/* Set in every tag, so that no tag is 0. No tag has bit 31, because the lock's word uses it as a flag. */
#define SF_HOLDERS_TAG_BIT (UINT32_C(1) << 30)
/* The tag of a process that holds the ring but found no slot: counts as alive for ever. */
#define SF_HOLDERS_UNKNOWN (SF_HOLDERS_TAG_BIT - 1)

/* What a process does, as it says in its slots: see ring_idle.h. */
struct sf_holders_rest {
    uint64_t number;   /* of the sleep; odd while the process is idle */
    uint64_t ring_key; /* the ring at which it waits; SF_HOLDERS_AWAITS_NOTHING: it is at its exit */
    uint64_t bytes;    /* room for so many, or SF_HOLDERS_AWAITS_MESSAGE */
    uint32_t tag;      /* the process; set by sf_holders_next_other */
};
#define SF_HOLDERS_AWAITS_NOTHING UINT64_C(0)
#define SF_HOLDERS_AWAITS_MESSAGE UINT64_MAX

struct sf_holders_slot {
    _Atomic uint64_t word;     /* state, life and pid (while FORKING: the reserver's); changed by CAS only */
    _Atomic uint64_t since_ns; /* a time at which the pid's process lived; stored before the word, by the owner */
    _Atomic uint64_t rest_number, rest_ring_key, rest_bytes; /* struct sf_holders_rest; written by the owner */
};

struct sf_holders {            /* in shared memory; all zero: nobody */
    _Atomic uint32_t used;     /* slots from here on were never taken */
    _Atomic uint32_t unknown;  /* 1: a process found no slot */
    _Atomic uint32_t sweep_at; /* when so many slots are in use, the next taker empties dead ones first; a hint */
    _Atomic uint32_t entered;  /* how often a process began to take a slot */
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

/* Says what the caller (its tag) does. */
void sf_holders_set_rest(struct sf_holders *holders, uint32_t tag, const struct sf_holders_rest *rest);

/* Walks through the holders other than the caller (its tag) that are not known to be dead. *at: 0 at first. 1: *rest is
 * the next one's, which is idle (or has died in that sleep), 0: there are no more, -1: one is active, or that cannot be
 * known. Some microseconds for each dead one. */
int sf_holders_next_other(const struct sf_holders *holders, uint32_t tag, uint32_t *at, struct sf_holders_rest *rest);

#endif
