/* Child processes: their death with their parent, waiting for them, reaping them. */
#ifndef SF_CORE_OS_PROCESS_H
#define SF_CORE_OS_PROCESS_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* An exit status is n after exit(n), -N after signal N, or this: another part of the program has reaped the child. */
#define SF_PROCESS_STATUS_UNKNOWN INT32_MIN

/* In a child, right after the fork: from now on it dies when its parent process dies, however that happens. `parent` is
 * getpid(), and by_main_thread whether the forking thread was its process's main thread, both found before the fork.
 * Ends the process at once if the parent is dead already. 0 or -errno. */
int sf_process_die_with_parent(pid_t parent, bool by_main_thread);

/* A file descriptor (close-on-exec) that is readable once the child has died. >= 0 or -errno. The caller's. */
int sf_process_open_pidfd(pid_t child);

/* Sends a signal to the pidfd's process, never to another that was given its pid. 0 or -errno. */
int sf_process_signal(int pidfd, int signal_number);

/* Waits for at most timeout_ns until the pidfd's process has died. 0: dead, -ETIMEDOUT, -EINTR: a signal handler ran.
 * pidfd -1, or closed by the program: this returns -ETIMEDOUT after at most a millisecond, and the caller has to ask
 * sf_process_try_reap. */
int sf_process_wait(int pidfd, int64_t timeout_ns);

/* The same for the first of several: waited[i].fd is a pidfd, .events POLLIN. */
int sf_process_wait_any(struct pollfd *waited, nfds_t count, int64_t timeout_ns);

/* Whether the child is dead, reaped or not. Does not block, does not reap. */
bool sf_process_is_dead(pid_t child);

/* Reaps the child if it is dead. 1: done, and *status is set (SF_PROCESS_STATUS_UNKNOWN if it had been reaped already),
 * 0: it still runs, or -errno. Does not block. */
int sf_process_try_reap(pid_t child, int32_t *status);

#endif
