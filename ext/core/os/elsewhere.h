/* What the processes of this machine have open and mapped, as far as /proc shows it to this one. For rare questions: an
 * answer takes from some hundred microseconds to some hundred milliseconds, by how much there is to look at.
 *
 * Nothing here waits for another process. It allocates memory, so it is not async-signal-safe. */
#ifndef SF_CORE_OS_ELSEWHERE_H
#define SF_CORE_OS_ELSEWHERE_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Calls visit for every descriptor of this process, then for those of every other process that it may look at. Files of
 * processes that start or end meanwhile may be left out, and so are descriptors that are under way in a socket. 0, or
 * -errno: this process's own ones cannot be read; then visit was not called. */
int sf_elsewhere_each_open(void (*visit)(const struct stat *file, void *context), void *context);

/* Calls visit for every descriptor of this process that a program gets which it execs. 0 or -errno, as above. */
int sf_elsewhere_each_inherited(void (*visit)(int fd, void *context), void *context);

/* Whether the process has the shared mapping that begins at this address in this one: it is this one, or was forked
 * from the same process after the mapping was made, and has not exec'ed. False also where /proc does not tell. */
bool sf_elsewhere_has_mapped(pid_t pid, const void *address);

#endif
