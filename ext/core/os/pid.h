/* This process's pid without a system call.
 *
 * It is noted at the first call in each process; a fork forgets it. A child sees its own from the moment at which
 * fork() returns there. A signal handler may run in it before that, so handlers call getpid(). */
#ifndef SF_CORE_OS_PID_H
#define SF_CORE_OS_PID_H

#include <sys/types.h>

pid_t sf_pid_own(void);

#endif
