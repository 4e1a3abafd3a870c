/* See spares.h.
 *
 * Invariant: a file gets a spare's name after its header was set to zeros. From then on a traced process may take it,
 * by renaming it, and the collector leaves it alone. */
#include "collect/spares.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/log_format.h"
#include "base/file.h"
#include "base/lease.h"
#include "collect/room.h"

#define MAKING SF_SPARE_PREFIX "new" /* the name of a spare that is being made */

static off_t bytes_of(uint32_t log_records)
{
    return SF_LOG_RECORDS_OFFSET + (off_t)log_records * (off_t)sizeof(struct sf_record);
}

/* Renames `file` to the first of the `most` names of spares that is free. false: none is. */
static bool become_spare(int dir_fd, const char *file, int most)
{
    char name[32];
    for (int i = 0; i < most; i++) {
        snprintf(name, sizeof name, SF_SPARE_PREFIX "%d", i);
        if (renameat2(dir_fd, file, dir_fd, name, RENAME_NOREPLACE) == 0)
            return true;
    }
    return false;
}

/* Is 32 times this size free? */
static bool is_plenty_free(int dir_fd, off_t bytes)
{
    return room_bytes(dir_fd) / 32 >= (uint64_t)bytes;
}

/* Reserves the file's pages and writes into each one, so that the kernel clears it now and not when a traced process
 * first does. Not by mapped memory: somebody may cut the file short meanwhile, and then an access would raise SIGBUS.
 */
static bool reserve_pages(int fd, off_t bytes)
{
    if (ftruncate(fd, bytes) || fallocate(fd, 0, 0, bytes))
        return false;
    for (off_t at = 0; at < bytes; at += PAGE_BYTES)
        if (file_write(fd, "", 1, (uint64_t)at))
            return false;
    return true;
}

void spares_prepare(int dir_fd, uint32_t log_records)
{
    char last[32];
    off_t bytes = bytes_of(log_records);
    snprintf(last, sizeof last, SF_SPARE_PREFIX "%d", SPARES_READY - 1);
    if (faccessat(dir_fd, last, F_OK, 0) == 0 || !is_plenty_free(dir_fd, bytes))
        return;
    int fd = openat(dir_fd, MAKING, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (fchmod(fd, 0600) || !reserve_pages(fd, bytes) || !become_spare(dir_fd, MAKING, SPARES_READY))
        unlinkat(dir_fd, MAKING, 0);
    close(fd);
}

void spares_trim(int dir_fd, uint32_t log_records)
{
    char name[32];
    for (int i = 0; i < SF_SPARES_MAX && !is_plenty_free(dir_fd, bytes_of(log_records)); i++) {
        snprintf(name, sizeof name, SF_SPARE_PREFIX "%d", i);
        unlinkat(dir_fd, name, 0);
    }
}

static bool recycle(int dir_fd, const char *log, int fd)
{
    static const char zero[SF_LOG_RECORDS_OFFSET];
    struct stat st;
    return fstat(fd, &st) == 0 && is_plenty_free(dir_fd, st.st_size) && lease_look(fd) == LEASE_FREE &&
           !file_write(fd, zero, sizeof zero, 0) && become_spare(dir_fd, log, SF_SPARES_MAX);
}

void spares_recycle(int dir_fd, const char *log)
{
    int fd = file_open_own(dir_fd, log);
    if (fd < 0 || !recycle(dir_fd, log, fd))
        unlinkat(dir_fd, log, 0);
    if (fd >= 0)
        close(fd);
}
