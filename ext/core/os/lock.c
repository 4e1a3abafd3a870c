/* The contended half of the lock.
 *
 * Who writes the word: a taker by CAS from 0, or from the whole word of an owner found dead; a sleeper adds bit 31
 * by CAS; the owner alone stores 0.
 *
 * No wake-up is lost. A sleeper sleeps only on a word that has bit 31, and whoever drops such a word wakes one
 * sleeper. Who has slept takes the lock with bit 31 set, because others may sleep still: at worst one needless
 * wake-up follows. An owner killed between its store of 0 and its wake leaves sleepers on a free lock: they look
 * again when their slice ends, at most SLICE_MAX_NS later.
 *
 * Taking over is safe: a tag belongs to one life of one process (holders.h). The word of a dead owner changes only by
 * takers, each by CAS from that same word (bit 31 apart), so one of them wins; the losers see the winner's tag.
 * A process whose own threads share one tag never takes over from itself. */
#include "core/os/lock.h"

#include <limits.h>
#include <sched.h>

#include "core/os/futex.h"

enum { SPINS = 100 };                 /* of a pause each: some microseconds, many critical sections */
#define SLICE_MIN_NS INT64_C(1000000) /* the first look at the owner: it takes microseconds, so not for every sleep */
#define SLICE_MAX_NS INT64_C(100000000)

unsigned sf_lock_cpus(void)
{
    static _Atomic unsigned known; /* no partner: any thread may find the same number */
    unsigned cpus = atomic_load_explicit(&known, memory_order_relaxed);
    if (!cpus) {
        cpu_set_t set;
        cpus = sched_getaffinity(0, sizeof set, &set) ? 2 : (unsigned)CPU_COUNT(&set); /* fails past 1024 CPUs */
        cpus = cpus ? cpus : 1;
        atomic_store_explicit(&known, cpus, memory_order_relaxed);
    }
    return cpus;
}

static bool swap(struct sf_lock *lock, uint32_t *from, uint32_t to)
{
    /* acquire: partner is the release in sf_lock_drop. */
    return atomic_compare_exchange_strong_explicit(&lock->word, from, to, memory_order_acquire, memory_order_relaxed);
}

bool sf_lock_take_slow(struct sf_lock *lock, const struct sf_holders *holders, uint32_t tag)
{
    uint32_t word;
    for (int spin = sf_lock_cpus() > 1 ? SPINS : 0; spin > 0; spin--) {
        word = atomic_load_explicit(&lock->word, memory_order_relaxed); /* a look only: swap acquires */
        if (word == 0 && swap(lock, &word, tag))
            return false;
        sf_lock_pause();
    }
    int64_t slice_ns = SLICE_MIN_NS;
    for (;;) {
        word = atomic_load_explicit(&lock->word, memory_order_relaxed);
        if (word == 0) {
            if (swap(lock, &word, tag | SF_LOCK_WAITERS))
                return false;
            continue;
        }
        uint32_t marked = word | SF_LOCK_WAITERS;
        if (word != marked && !swap(lock, &word, marked))
            continue;
        if (sf_futex_wait(&lock->word, marked, slice_ns) == 0)
            continue;
        /* A whole slice, or a signal: is the owner alive? Its tag still the same, it may have died with the lock. */
        uint32_t owner = marked & ~SF_LOCK_WAITERS;
        if (owner != tag && !sf_holders_alive(holders, owner) && swap(lock, &marked, tag | SF_LOCK_WAITERS))
            return true;
        slice_ns = slice_ns * 2 < SLICE_MAX_NS ? slice_ns * 2 : SLICE_MAX_NS;
    }
}

void sf_lock_wake(struct sf_lock *lock)
{
    sf_futex_wake(&lock->word, 1);
}
