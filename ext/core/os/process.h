/* Child processes: their death with their parent, waiting for them, reaping them. */
#ifndef SF_CORE_OS_PROCESS_H
#define SF_CORE_OS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* An exit status as people mean it: n after exit(n), -N after signal N. */
#define SF_PROCESS_STATUS_UNKNOWN INT32_MIN /* reaped by somebody else */

/* In a child, right after the fork: the child dies when its parent process does, however that one dies. `parent` is
 * getpid() and by_main_thread whether the forking thread was the process's main thread, both asked before the fork.
 * Ends the process at once when the parent is dead already. 0 or -errno. */
int sf_process_die_with_parent(pid_t parent, bool by_main_thread);

/* A file descriptor (close-on-exec) that is readable once the child has died. >= 0 or -errno. The caller's. */
int sf_process_open_pidfd(pid_t child);

/* Sends a signal to the pidfd's process, and never to another that got its pid. 0 or -errno. */
int sf_process_signal(int pidfd, int signal_number);

/* Waits for at most timeout_ns until the pidfd's process has died. 0: dead, -ETIMEDOUT, -EINTR: a signal handler ran.
 */
int sf_process_wait(int pidfd, int64_t timeout_ns);

/* Takes the dead child out of the process table. 1: done, *status set (SF_PROCESS_STATUS_UNKNOWN when somebody else
 * has reaped it), 0: it still runs, or -errno. Does not block. */
int sf_process_try_reap(pid_t child, int32_t *status);

#endif
