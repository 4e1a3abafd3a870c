/* A lock in shared memory that survives the death of its owner, for critical sections of a few stores.
 *
 * The word is 0 (free) or the owner's tag, with bit 31 set while somebody may sleep on it. A tag is a number below
 * 2^31, not 0, that belongs to one life of one process. Whoever uses the lock gives out the tags and answers, for a
 * waiter, whether the process behind a tag still lives (sf_lock_is_alive).
 *
 * Why not PTHREAD_MUTEX_ROBUST.
 * - It would not replace our own search for the dead. A ring must know as well whose half-written message stands in
 *   its memory, and whether any other process is left. So it has tags, and with tags the lock needs nothing more than
 *   this word. Lock, messages and waits then agree about who is dead.
 * - It finds its dead by the kernel: each thread registers a list of the mutexes it holds (set_robust_list), and the
 *   kernel walks it when the thread ends. User-mode emulators cannot: qemu answers ENOSYS. And kernels before 5.5 lose
 *   a wake-up when the owner is killed between its unlocking store and its wake call; so waits would have to be cut
 *   into slices all the same.
 * - The list runs through the mutexes: pointers of one process in memory that all of them write.
 * - It names its owner by thread id. In two pid namespaces these are not unique; tags are.
 * - It takes 40 bytes, our word 4: head, next and tail fit into the lock's cache line, and change with it. Taking a
 *   free lock is one inline compare-and-swap and dropping it one exchange; a robust one also links and unlinks itself,
 *   in a library call.
 * - EOWNERDEAD obliges to call pthread_mutex_consistent; a mutex unlocked without that is unusable for ever.
 * - glibc has PTHREAD_MUTEX_ROBUST as an enum and not as a macro, so #ifdef cannot ask for it. */
#ifndef SF_CORE_OS_LOCK_H
#define SF_CORE_OS_LOCK_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sf_lock {
    _Atomic uint32_t word; /* all zero: free */
};

#define SF_LOCK_WAITERS (UINT32_C(1) << 31)

/* Whether the process behind the tag lives. False must be certain. `owners` is what the caller gave with it. */
typedef bool sf_lock_is_alive(const void *owners, uint32_t tag);

/* The contended part of sf_lock_take. */
bool sf_lock_take_slow(struct sf_lock *lock, uint32_t tag, sf_lock_is_alive *is_alive, const void *owners);

/* Wakes one sleeper. */
void sf_lock_wake(struct sf_lock *lock);

/* Waits until the lock is the caller's (its tag), however often signals arrive: spins shortly, then sleeps. True: it
 * was taken over from a dead owner, whose critical section may have ended at any instruction. Not recursive. */
static inline bool sf_lock_take(struct sf_lock *lock, uint32_t tag, sf_lock_is_alive *is_alive, const void *owners)
{
    uint32_t free_word = 0;
    assert(tag != 0 && (tag & SF_LOCK_WAITERS) == 0);
    /* acquire: partner is the release in sf_lock_drop. */
    if (__builtin_expect(atomic_compare_exchange_strong_explicit(&lock->word, &free_word, tag, memory_order_acquire,
                                                                 memory_order_relaxed),
                         1))
        return false;
    return sf_lock_take_slow(lock, tag, is_alive, owners);
}

/* By the owner. */
static inline void sf_lock_drop(struct sf_lock *lock)
{
    /* release: partner is the acquire in sf_lock_take and sf_lock_take_slow. */
    uint32_t word = atomic_exchange_explicit(&lock->word, 0, memory_order_release);
    assert((word & ~SF_LOCK_WAITERS) != 0); /* it was held */
    if (__builtin_expect((word & SF_LOCK_WAITERS) != 0, 0))
        sf_lock_wake(lock);
}

#endif
