/* Finding and checking a session. See session.h. */
#include "core/log/session.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/os/bus.h"
#include "core/os/tsc.h"

int sf_session_open(const char *directory)
{
    struct stat st;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ELOOP || errno == ENOTDIR ? -EPERM : -errno;
    if (fstat(fd, &st) || st.st_uid != geteuid() || (st.st_mode & 077)) {
        close(fd);
        return -EPERM;
    }
    return fd;
}

int sf_session_map(int directory_fd, struct sf_session_header **out)
{
    struct stat st;
    int error = 0, fd = openat(directory_fd, SF_SESSION_FILE, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ELOOP ? -EPERM : errno == ENOENT ? -EPROTO : -errno;
    void *mapped = MAP_FAILED;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid())
        error = -EPERM;
    else if (st.st_size < (off_t)sizeof(struct sf_session_header))
        error = -EPROTO;
    else if ((mapped = mmap(NULL, sizeof(struct sf_session_header), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) ==
             MAP_FAILED)
        error = -errno;
    close(fd);
    if (error)
        return error;
    struct sf_session_header *session = mapped;
    sf_bus_guard(session, sizeof *session); /* before the first look: somebody may just cut the file */
    uint32_t records = session->log_records;
    if (session->magic != SF_SESSION_MAGIC || session->version != SF_ABI_VERSION || records < 2 ||
        (records & (records - 1)) || records > 1u << 26)
        error = -EPROTO;
    else if (session->state != SF_SESSION_ACTIVE)
        error = -ESHUTDOWN;
    if (error)
        sf_session_unmap(session);
    else
        *out = session;
    return error;
}

void sf_session_unmap(struct sf_session_header *session)
{
    sf_bus_unguard(session);
    munmap(session, sizeof *session);
}

int sf_session_make(const char *directory, uint32_t log_records)
{
    struct sf_session_header header = {.magic = SF_SESSION_MAGIC,
                                       .version = SF_ABI_VERSION,
                                       .log_records = log_records,
                                       .state = SF_SESSION_ACTIVE,
                                       .start_tsc = sf_tsc_read()};
    int directory_fd = sf_session_open(directory);
    if (directory_fd < 0)
        return directory_fd;
    int fd = openat(directory_fd, SF_SESSION_FILE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int error = fd < 0 ? -errno : 0;
    ssize_t written = error ? 0 : write(fd, &header, sizeof header);
    if (!error && written != (ssize_t)sizeof header)
        error = written < 0 ? -errno : -ENOSPC;
    if (fd >= 0)
        close(fd);
    close(directory_fd);
    return error;
}

void sf_session_unlink(const char *directory)
{
    int directory_fd = sf_session_open(directory);
    if (directory_fd < 0)
        return;
    unlinkat(directory_fd, SF_SESSION_FILE, 0);
    close(directory_fd);
}
