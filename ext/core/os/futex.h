/* Sleeping on a shared 32-bit word. Linux futex(2), shared (not FUTEX_PRIVATE): the word is in memory that several
 * processes map. */
#ifndef SF_CORE_OS_FUTEX_H
#define SF_CORE_OS_FUTEX_H

#include <stdatomic.h>
#include <stdint.h>

/* Sleeps while *word == expected, for at most timeout_ns (>= 0). 0: it was woken (perhaps
 * without a reason), or the word has another value; -ETIMEDOUT; -EINTR: a signal handler ran. In each case the caller
 * must look again. */
int sf_futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns);

/* Wakes up to `count` sleepers; returns how many. Never blocks. Async-signal-safe. */
int sf_futex_wake(const _Atomic uint32_t *word, int count);

/* Those who sleep on `from` sleep on `to` from now on, whatever the values are. Async-signal-safe. */
void sf_futex_move(const _Atomic uint32_t *from, const _Atomic uint32_t *to);

#endif
