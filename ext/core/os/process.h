/* Child processes as their parent sees them: waiting for them, signals to them, reaping them; and how many threads this
 * process has.
 *
 * Children are named by pid. As long as a child is not reaped, no other process is given its pid. Waits sleep on a
 * pidfd that lives only as long as the call does. Where there is none (Linux before 5.3, a seccomp filter, no
 * descriptor left) they look every few milliseconds instead. */
#ifndef SF_CORE_OS_PROCESS_H
#define SF_CORE_OS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/os/own_fd.h"

/* An exit status is n after exit(n), -N after signal N, or this: another part of the program has reaped the child. */
#define SF_PROCESS_STATUS_UNKNOWN INT32_MIN

/* A file descriptor (close-on-exec) that is readable once the child has died. >= 0 or -errno; -ESRCH: it was reaped.
 * The caller's. */
int sf_process_open_pidfd(pid_t child);

/* The number of a pidfd that was opened so and taken over by sf_own_fd_take, or -1: it is none, or not ours any more.
 * own_fd.h says what that means. Before Linux 6.9 all pidfds, epolls, eventfds and the like have one inode; so this
 * asks the kernel which process the descriptor is of. */
int sf_process_get_pidfd(const struct sf_own_fd *pidfd, pid_t child);

/* Closes it where it is ours, and makes *pidfd none. */
void sf_process_close_pidfd(struct sf_own_fd *pidfd, pid_t child);

/* Sends a signal to the child, never to another process that was given its pid. 0 or -errno; -ESRCH: it was reaped.
 * Does not block. */
int sf_process_signal(pid_t child, int signal_number);

/* Waits for at most timeout_ns until the child has died, reaped or not. 0: dead, -ETIMEDOUT, -EINTR: a signal handler
 * ran, or -errno. */
int sf_process_wait(pid_t child, int64_t timeout_ns);

/* The same for the first of several. */
int sf_process_wait_any(const pid_t *children, size_t count, int64_t timeout_ns);

/* Whether the child is dead, reaped or not. Does not block, does not reap. */
bool sf_process_is_dead(pid_t child);

/* Reaps the child if it is dead. 1: done, and *status is set (SF_PROCESS_STATUS_UNKNOWN if it had been reaped already),
 * 0: it still runs, or -errno. Does not block. */
int sf_process_try_reap(pid_t child, int32_t *status);

/* How many threads this process has, those of libraries too. 0: unknown, because /proc cannot be read. Takes a few
 * microseconds, or nothing where no thread was ever started. */
uint64_t sf_process_threads(void);

#endif
