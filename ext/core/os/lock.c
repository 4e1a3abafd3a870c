/* The contended half of the lock.
 *
 * Who writes the word: a taker changes it by CAS from 0, or from the whole word of an owner found dead; a sleeper adds
 * bit 31 by CAS; only the owner stores 0.
 *
 * No wake-up is lost. A sleeper sleeps only on a word that has bit 31, and an owner that drops such a word wakes one
 * sleeper. A process that has slept takes the lock with bit 31 set, because others may still sleep, and one that gives
 * up leaves bit 31 set: at worst one needless wake-up follows. An owner killed between its store of 0 and its wake call
 * leaves sleepers on a free lock: they look again when their slice ends, after SF_LIVENESS_PERIOD_NS at most.
 *
 * Taking over is safe. A tag belongs to one life of one process. The word of a dead owner is changed only by takers,
 * each by CAS from that same word (apart from bit 31), so one of them wins; the others then see the winner's tag. If
 * the owner dropped the lock before it died, the word is no longer its tag and the CAS fails. Threads of one process
 * share its tag, and no process takes over from itself. */
#include "core/os/lock.h"

#include <errno.h>

#include "core/os/futex.h"
#include "core/os/liveness.h"
#include "core/os/monotonic.h"
#include "core/os/spin.h"

enum { SPINS = 100 }; /* of a pause each: some microseconds, many critical sections */

static bool swap_word(struct sf_lock *lock, uint32_t *from, uint32_t to)
{
    /* acquire: partner is the release in sf_lock_drop. */
    return atomic_compare_exchange_strong_explicit(&lock->word, from, to, memory_order_acquire, memory_order_relaxed);
}

static uint32_t peek_word(const struct sf_lock *lock)
{
    return atomic_load_explicit(&lock->word, memory_order_relaxed); /* no partner: swap_word acquires */
}

int sf_lock_take_slow(struct sf_lock *lock, uint32_t tag, sf_lock_is_alive *is_alive, const void *owners,
                      int64_t timeout_ns)
{
    uint32_t word;
    for (int spin = sf_spin_is_useful() ? SPINS : 0; spin > 0; spin--) {
        word = peek_word(lock);
        if (word == 0 && swap_word(lock, &word, tag))
            return 0;
        sf_spin_pause();
    }
    /* The owner is checked after SF_LOCK_CHECK_NS for the first time, then after twice as long each time: a check takes
     * microseconds, so not every short sleep is worth one. */
    int64_t slice_ns = SF_LOCK_CHECK_NS, left_ns = timeout_ns, start_ns = sf_monotonic_ns();
    for (int slept = 0;; left_ns = timeout_ns - (sf_monotonic_ns() - start_ns)) {
        word = peek_word(lock);
        if (word == 0) {
            if (swap_word(lock, &word, tag | SF_LOCK_WAITERS))
                return 0;
            continue;
        }
        uint32_t marked = word | SF_LOCK_WAITERS;
        if (word != marked && !swap_word(lock, &word, marked))
            continue;
        if (slept == -EINTR || left_ns <= 0)
            return slept == -EINTR ? slept : -ETIMEDOUT;
        slept = sf_futex_wait(&lock->word, marked, slice_ns < left_ns ? slice_ns : left_ns);
        if (slept == 0)
            continue;
        /* A whole slice has passed, or a signal came. The owner may have died; then the word still has its tag. */
        uint32_t owner = marked & ~SF_LOCK_WAITERS;
        if (owner != tag && !is_alive(owners, owner) && swap_word(lock, &marked, tag | SF_LOCK_WAITERS))
            return SF_LOCK_TAKEN_OVER;
        slice_ns = sf_liveness_slice_ns(slice_ns * 2);
    }
}

void sf_lock_wake(struct sf_lock *lock)
{
    sf_futex_wake(&lock->word, 1);
}
