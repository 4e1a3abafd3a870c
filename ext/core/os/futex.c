/* Sleeping on a shared word: two system calls and the translation of their errors. There is no state here. Who writes
 * the words, and why no wake-up is lost, is said by those who use it (lock.c, eventcount.c). */
#include "core/os/futex.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/os/monotonic.h"

int sf_futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
    struct timespec timeout = sf_monotonic_timespec(timeout_ns);
    int error = errno, result = 0;
    if (syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, NULL, 0) == -1)
        result = errno == ETIMEDOUT || errno == EINTR ? -errno : 0; /* EAGAIN: the word has changed */
    errno = error;
    return result;
}

int sf_futex_wake(const _Atomic uint32_t *word, int count)
{
    int error = errno;
    long woken = syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
    errno = error;
    return woken < 0 ? 0 : (int)woken;
}

void sf_futex_move(const _Atomic uint32_t *from, const _Atomic uint32_t *to)
{
    int error = errno;
    syscall(SYS_futex, from, FUTEX_REQUEUE, 0, (long)INT_MAX, to, 0);
    errno = error;
}
