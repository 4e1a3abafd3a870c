/* A lock in shared memory that survives the death of its owner, for critical sections of a few stores.
 *
 * The word is 0 (free) or the owner's tag, with bit 31 set while another process may sleep on it. A tag is a number
 * below 2^31, not 0, that belongs to one life of one process. The user of the lock gives out the tags, and says whether
 * the process behind a tag still lives (sf_lock_is_alive).
 *
 * The owner may be stopped inside its critical section (SIGSTOP, a debugger, a frozen cgroup), and the lock cannot be
 * taken from it, because it may go on at any time. So no taker waits without a limit: sf_lock_take gives up when its
 * time is over, or when a signal handler has run. The caller then does what it does between the slices of any other
 * wait: it runs signal handlers, looks at its own timeout, and tries again. What must not fail (to publish or to
 * release a message) is done without the lock.
 *
 * Why not PTHREAD_MUTEX_ROBUST:
 * - It would not make our own search for dead processes unnecessary. The ring must also know whose half-written message
 *   is in its memory, and whether any other process is left. So it has tags anyway, and with tags this one word is all
 *   that the lock needs. And lock, messages and waits agree about which process is dead.
 * - It depends on the kernel to find dead owners: each thread registers a list of the mutexes that it holds
 *   (set_robust_list), and the kernel walks the list when the thread ends. Under user-mode emulation there is no such
 *   list (qemu answers ENOSYS), so a dead owner would keep the lock for ever.
 * - Waits would need our slices all the same: on older kernels the wake-up is lost when the owner is killed between the
 *   store that unlocks and its wake call.
 * - Its list links are pointers of one process, stored in memory that all processes write.
 * - It is larger and slower. It takes 40 bytes and not 4, so it would not fit into one cache line with what it guards.
 *   Our lock is taken by one inline compare-and-swap and dropped by one exchange. A robust mutex takes a library call,
 *   which also links the mutex into the list and unlinks it.
 * - After EOWNERDEAD the new owner must call pthread_mutex_consistent. If it unlocks without, the mutex is unusable for
 *   ever.
 * - glibc defines PTHREAD_MUTEX_ROBUST as an enum constant, so #ifdef cannot find out whether it exists. */
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

/* Whether the process behind the tag lives. It must be certain before it says false. `owners` is the pointer that was
 * passed to sf_lock_take with it. */
typedef bool sf_lock_is_alive(const void *owners, uint32_t tag);

#define SF_LOCK_TAKEN_OVER 1

/* The contended part of sf_lock_take. */
int sf_lock_take_slow(struct sf_lock *lock, uint32_t tag, sf_lock_is_alive *is_alive, const void *owners,
                      int64_t timeout_ns);

/* Wakes one sleeper. */
void sf_lock_wake(struct sf_lock *lock);

/* Takes the lock for the caller (its tag): spins shortly, then sleeps, for at most timeout_ns. 0: taken.
 * SF_LOCK_TAKEN_OVER: taken from a dead owner, whose critical section may have ended at any instruction. -ETIMEDOUT: a
 * live process has kept it; -EINTR: a signal handler ran meanwhile. A dead owner is found out within SF_LOCK_CHECK_NS,
 * so a timeout should not be shorter. Not recursive. Async-signal-safe, if the handler has not interrupted an owner. */
#define SF_LOCK_CHECK_NS INT64_C(1000000)
static inline int sf_lock_take(struct sf_lock *lock, uint32_t tag, sf_lock_is_alive *is_alive, const void *owners,
                               int64_t timeout_ns)
{
    uint32_t free_word = 0;
    assert(tag != 0 && (tag & SF_LOCK_WAITERS) == 0);
    /* acquire: partner is the release in sf_lock_drop. */
    if (__builtin_expect(atomic_compare_exchange_strong_explicit(&lock->word, &free_word, tag, memory_order_acquire,
                                                                 memory_order_relaxed),
                         1))
        return 0;
    return sf_lock_take_slow(lock, tag, is_alive, owners, timeout_ns);
}

/* Frees the lock, which the caller has. Wakes a sleeper if there may be one. */
static inline void sf_lock_drop(struct sf_lock *lock)
{
    /* release: partner is the acquire in sf_lock_take and sf_lock_take_slow. */
    uint32_t word = atomic_exchange_explicit(&lock->word, 0, memory_order_release);
    assert((word & ~SF_LOCK_WAITERS) != 0); /* it was held */
    if (__builtin_expect((word & SF_LOCK_WAITERS) != 0, 0))
        sf_lock_wake(lock);
}

#endif
