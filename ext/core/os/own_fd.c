/* A file descriptor that is ours. See own_fd.h. */
#include "core/os/own_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* A program may run with closed standard streams. Its children, and libraries that know these three by their numbers,
 * must not find a file of ours there. The same file at a number above them, or -errno. */
static int leave_standard_streams(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int higher = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int error = -errno;
    close(fd);
    return higher < 0 ? error : higher;
}

int sf_own_fd_take(struct sf_own_fd *own, int fd)
{
    struct stat status;
    *own = SF_OWN_FD_NONE;
    fd = leave_standard_streams(fd);
    if (fd < 0)
        return fd;
    if (fstat(fd, &status)) {
        int error = -errno;
        close(fd);
        return error;
    }
    *own = (struct sf_own_fd){fd, status.st_dev, status.st_ino};
    return 0;
}

int sf_own_fd_take_high(struct sf_own_fd *own, int fd)
{
    enum { HIGH = 256 };
    int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, HIGH);
    if (high >= 0) {
        close(fd);
        fd = high;
    }
    return sf_own_fd_take(own, fd);
}

bool sf_own_fd_is_ours(const struct sf_own_fd *own)
{
    struct stat status;
    return own->fd >= 0 && fstat(own->fd, &status) == 0 && status.st_dev == own->device && status.st_ino == own->inode;
}

int sf_own_fd_get(const struct sf_own_fd *own)
{
    return sf_own_fd_is_ours(own) ? own->fd : -1;
}

void sf_own_fd_close(struct sf_own_fd *own)
{
    if (sf_own_fd_is_ours(own))
        close(own->fd);
    *own = SF_OWN_FD_NONE;
}
