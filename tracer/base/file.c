/* See file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int file_open_own(int dir_fd, const char *name)
{
    struct stat st;
    int error = 0;
    /* O_NONBLOCK: the open must not wait, should a FIFO have that name. */
    int fd = openat(dir_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ELOOP || errno == ENXIO || errno == EISDIR ? -EBADMSG : errno == EACCES ? -EPERM : -errno;
    if (fstat(fd, &st))
        error = -errno;
    else if (!S_ISREG(st.st_mode))
        error = -EBADMSG;
    else if (st.st_uid != geteuid() || (st.st_mode & 077) || st.st_nlink != 1)
        error = -EPERM;
    if (error)
        close(fd);
    return error ? error : fd;
}

bool file_read(int fd, void *to, size_t size, uint64_t at)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(fd, (char *)to + done, size - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

bool file_read_small(const char *path, char *to, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, to, size - 1);
    if (fd >= 0)
        close(fd);
    to[n > 0 ? n : 0] = '\0';
    return n > 0;
}

int file_write(int fd, const void *from, size_t size, uint64_t at)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = pwrite(fd, (const char *)from + done, size - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -EIO;
        done += (size_t)n;
    }
    return 0;
}
