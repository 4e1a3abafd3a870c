/* See log_file.h. */
#include "core/log/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/os/bus.h"
#include "core/os/shm.h"

/* Counts memory that is to be reserved. False: there is none left for it. A log's first pages are always to be had: the
 * process itself has taken much more. */
static bool take_room(struct sf_session_header *session, uint64_t bytes, bool first)
{
    _Atomic uint64_t *reserved = (_Atomic uint64_t *)&session->reserved_bytes;
    /* relaxed: a few pages more or less do no harm */
    uint64_t most = atomic_load_explicit((_Atomic uint64_t *)&session->may_reserve, memory_order_relaxed);
    if (atomic_fetch_add_explicit(reserved, bytes, memory_order_relaxed) + bytes <= most || !most || first)
        return true;
    atomic_fetch_sub_explicit(reserved, bytes, memory_order_relaxed);
    return false;
}

int sf_log_file_reserve(struct sf_log_file *file, uint64_t records, uint64_t capacity)
{
    records = records < capacity ? records : capacity;
    off_t end = SF_LOG_RECORDS_OFFSET + (off_t)(records * sizeof(struct sf_record));
    int error, fd = sf_own_fd_get(&file->fd);
    uint64_t bytes = (records - file->reserved) * sizeof(struct sf_record);
    if (!take_room(file->session, bytes, !file->reserved))
        return -ENOSPC;
    if (fd < 0) { /* the program has closed it; the mapping is still ours */
        error = sf_shm_reserve(file->mapped, (size_t)end);
    } else {
        do
            error = fallocate(fd, 0, 0, end) ? -errno : 0;
        while (error == -EINTR);
    }
    if (error)
        atomic_fetch_sub_explicit((_Atomic uint64_t *)&file->session->reserved_bytes, bytes, memory_order_relaxed);
    else
        file->reserved = records;
    return error;
}

/* Takes a spare, if there is one, as the log `name`, and finds how many of its pages are reserved. */
static bool take_spare(struct sf_log_file *file, int directory, const char *name)
{
    char spare[32];
    struct stat st;
    for (int i = 0; i < SF_SPARES_MAX; i++) {
        snprintf(spare, sizeof spare, SF_SPARE_PREFIX "%d", i);
        if (renameat2(directory, spare, directory, name, RENAME_NOREPLACE)) {
            if (errno == EEXIST)
                return false;
            continue;
        }
        int fd = openat(directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == (off_t)file->bytes &&
            st.st_blocks * 512 >= SF_LOG_RECORDS_OFFSET + SF_LOG_FIRST_BYTES) {
            /* a huge page at the end may count for more than the file has */
            uint64_t there = (uint64_t)st.st_blocks * 512 < file->bytes ? (uint64_t)st.st_blocks * 512 : file->bytes;
            file->reserved = file->ready = (there - SF_LOG_RECORDS_OFFSET) / sizeof(struct sf_record);
            return sf_own_fd_take_high(&file->fd, fd) == 0;
        }
        if (fd >= 0)
            close(fd);
        unlinkat(directory, name, 0);
    }
    return false;
}

/* Makes a file for the log, with its first pages. */
static int make_file(struct sf_log_file *file, int directory, const char *name)
{
    int fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int error = sf_own_fd_take_high(&file->fd, fd < 0 ? -errno : fd);
    if (error)
        return error;
    if (ftruncate(file->fd.fd, (off_t)file->bytes))
        error = -errno;
    else
        error = sf_log_file_reserve(file, SF_LOG_FIRST_BYTES / sizeof(struct sf_record), file->session->log_records);
    if (error)
        unlinkat(directory, name, 0);
    return error;
}

/* Lets the collector ask the kernel which process this log is of: see "Who wrote it" in log_format.h. */
static void lock(int fd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    fcntl(fd, F_SETLK, &whole);
}

int sf_log_file_make(struct sf_log_file *file, struct sf_session_header *session, int directory, const char *name)
{
    *file = (struct sf_log_file){.fd = SF_OWN_FD_NONE, .session = session};
    file->bytes = SF_LOG_RECORDS_OFFSET + (size_t)session->log_records * sizeof(struct sf_record);
    int error = take_spare(file, directory, name) ? 0 : make_file(file, directory, name);
    if (!error) {
        void *mapped = mmap(NULL, file->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd.fd, 0);
        if (mapped == MAP_FAILED) {
            error = -errno;
            unlinkat(directory, name, 0);
        } else {
            file->mapped = mapped;
        }
    }
    if (error) {
        sf_log_file_close(file);
        return error;
    }
    lock(file->fd.fd);
    sf_bus_guard(file->mapped, file->bytes);
    return 0;
}

void sf_log_file_close(struct sf_log_file *file)
{
    if (file->mapped) {
        sf_bus_unguard(file->mapped);
        munmap(file->mapped, file->bytes);
    }
    sf_own_fd_close(&file->fd);
    *file = (struct sf_log_file){.fd = SF_OWN_FD_NONE};
}
