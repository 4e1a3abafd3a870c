/* A lock in shared memory for critical sections of a few stores, which survives the death of its owner.
 *
 * The word is 0 (free) or the owner's holders tag, with bit 31 set while somebody may sleep on it. */
#ifndef SF_CORE_OS_LOCK_H
#define SF_CORE_OS_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/ring/holders.h"

struct sf_lock {
    _Atomic uint32_t word; /* all zero: free */
};

/* Waits until the lock is the caller's (its tag), however often signals arrive: spins shortly, then sleeps. True:
 * it was taken over from a dead owner, whose critical section may have ended at any instruction. Not recursive. */
bool sf_lock_take_slow(struct sf_lock *lock, const struct sf_holders *holders, uint32_t tag);
void sf_lock_wake(struct sf_lock *lock);

#define SF_LOCK_WAITERS (UINT32_C(1) << 31)

static inline bool sf_lock_take(struct sf_lock *lock, const struct sf_holders *holders, uint32_t tag)
{
    uint32_t free_word = 0;
    /* acquire: partner is the release in sf_lock_drop. */
    if (__builtin_expect(atomic_compare_exchange_strong_explicit(&lock->word, &free_word, tag, memory_order_acquire,
                                                                 memory_order_relaxed),
                         1))
        return false;
    return sf_lock_take_slow(lock, holders, tag);
}

static inline void sf_lock_drop(struct sf_lock *lock)
{
    /* release: partner is the acquire in sf_lock_take and sf_lock_take_slow. */
    uint32_t word = atomic_exchange_explicit(&lock->word, 0, memory_order_release);
    if (__builtin_expect((word & SF_LOCK_WAITERS) != 0, 0))
        sf_lock_wake(lock);
}

/* Tells the CPU that this is a spin loop. */
static inline void sf_lock_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

/* CPUs this process may run on when it first asked, at least 1. */
unsigned sf_lock_cpus(void);

#endif
