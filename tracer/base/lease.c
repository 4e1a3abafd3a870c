/* See lease.h. */
#include "base/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

enum lease lease_look(int fd)
{
    /* Sent to us if a process opens the file meanwhile; it is ignored by default, unlike SIGIO. */
    if (fcntl(fd, F_SETSIG, SIGURG))
        return LEASE_UNKNOWN;
    if (fcntl(fd, F_SETLEASE, F_WRLCK))
        return errno == EAGAIN ? LEASE_HELD : LEASE_UNKNOWN;
    fcntl(fd, F_SETLEASE, F_UNLCK);
    return LEASE_FREE;
}
