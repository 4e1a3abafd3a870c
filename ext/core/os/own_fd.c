/* A file descriptor that is ours. See own_fd.h. */
#include "core/os/own_fd.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

int sf_own_fd_take(struct sf_own_fd *own, int fd)
{
    struct stat status;
    *own = SF_OWN_FD_NONE;
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
