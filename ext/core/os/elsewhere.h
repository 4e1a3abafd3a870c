/* What the processes of this machine have open and mapped, as far as /proc shows it to this one. For rare questions: an
 * answer takes from some hundred microseconds to some hundred milliseconds, by how much there is to look at.
 *
 * Nothing here waits for another process. It allocates memory, so it is not async-signal-safe. */
#ifndef SF_CORE_OS_ELSEWHERE_H
#define SF_CORE_OS_ELSEWHERE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Calls visit for every unnamed pipe (S_IFIFO) and every socket (S_IFSOCK) that is open in this process or in another
 * one that it may look at, once for each descriptor. Left out may be those of processes that start or end meanwhile,
 * and those under way through a socket. No file is touched, so no slow file system makes it wait. 0, or -errno: this
 * process's own descriptors cannot be read; then visit was not called. */
int sf_elsewhere_each_open(void (*visit)(mode_t kind, uint64_t inode, void *context), void *context);

/* Calls visit for every descriptor of this process that a program gets which it execs. 0 or -errno, as above. */
int sf_elsewhere_each_inherited(void (*visit)(int fd, void *context), void *context);

/* Whether the process has the shared mapping that begins at this address in this one: it is this one, or was forked
 * from the same process after the mapping was made, and has not exec'ed. False also where /proc does not tell. */
bool sf_elsewhere_has_mapped(pid_t pid, const void *address);

#endif
