/* A memfd with a header and the parts behind it. See result_file.h.
 *
 * Invariant: if the header has its magic after the child's death, everything is there. The header is written after all
 * else, by a write of its own; or the whole file is one write within one page, which a kill does not cut. Only the
 * child writes, only the parent reads. */
#include "core/result/result_file.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SMALL_BYTES 1024                   /* a file up to this size is written at once: less than a page */
#define MAGIC UINT64_C(0x3153455246414e53) /* "SNAFRES1" in memory */

struct header {
    uint64_t magic;
    struct {
        uint64_t tag, bytes;
    } part[SF_RESULT_FILE_PARTS];
};

int sf_result_file_open(struct sf_own_fd *file)
{
    int fd = memfd_create("snakefish-result", MFD_CLOEXEC);
    return sf_own_fd_take(file, fd < 0 ? -errno : fd);
}

void sf_result_file_empty(const struct sf_own_fd *file)
{
    if (sf_own_fd_is_ours(file) && ftruncate(file->fd, 0)) {
        /* then the memory is freed when the last process that holds it dies */
    }
}

static int write_all(int fd, const char *from, uint64_t bytes, uint64_t offset)
{
    while (bytes) {
        ssize_t n = pwrite(fd, from, bytes, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -ENOSPC;
        from += n;
        bytes -= (uint64_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

static int read_all(int fd, char *to, uint64_t bytes, uint64_t offset)
{
    while (bytes) {
        ssize_t n = pread(fd, to, bytes, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -ENODATA;
        to += n;
        bytes -= (uint64_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

/* The whole file in one write, from a copy of its parts. */
static int write_small(int fd, const struct header *header, const struct sf_result_file_part *parts)
{
    char copy[SMALL_BYTES];
    uint64_t bytes = sizeof *header;
    memcpy(copy, header, sizeof *header);
    for (int i = 0; i < SF_RESULT_FILE_PARTS; i++) {
        if (parts[i].bytes)
            memcpy(copy + bytes, parts[i].data, parts[i].bytes);
        bytes += parts[i].bytes;
    }
    assert(bytes <= SMALL_BYTES); /* the caller has checked it */
    return write_all(fd, copy, bytes, 0);
}

int sf_result_file_write(const struct sf_own_fd *file, const struct sf_result_file_part parts[SF_RESULT_FILE_PARTS])
{
    int fd = file->fd;
    struct header header = {.magic = MAGIC};
    static_assert(sizeof header < SMALL_BYTES, "the header is written at once");
    uint64_t offset = sizeof header, total = sizeof header;
    for (int i = 0; i < SF_RESULT_FILE_PARTS; i++) {
        header.part[i].tag = parts[i].tag;
        header.part[i].bytes = parts[i].bytes;
        total += parts[i].bytes;
    }
    if (!sf_own_fd_is_ours(file))
        return -EBADF;
    if (lseek(fd, 0, SEEK_END) > 0 && ftruncate(fd, 0))
        return -errno;
    if (total <= SMALL_BYTES)
        return write_small(fd, &header, parts);
    for (int i = 0; i < SF_RESULT_FILE_PARTS; i++) {
        int error = write_all(fd, parts[i].data, parts[i].bytes, offset);
        if (error)
            return error;
        offset += parts[i].bytes;
    }
    assert(offset == total);
    return write_all(fd, (const char *)&header, sizeof header, 0);
}

int sf_result_file_read_parts(const struct sf_own_fd *file, struct sf_result_file_part parts[SF_RESULT_FILE_PARTS])
{
    struct header header;
    if (!sf_own_fd_is_ours(file))
        return -EBADF;
    int error = read_all(file->fd, (char *)&header, sizeof header, 0);
    if (error)
        return error;
    if (header.magic != MAGIC)
        return -ENODATA;
    for (int i = 0; i < SF_RESULT_FILE_PARTS; i++) {
        parts[i].tag = (uint32_t)header.part[i].tag;
        parts[i].bytes = header.part[i].bytes;
        parts[i].data = NULL;
    }
    return 0;
}

int sf_result_file_read(const struct sf_own_fd *file, const struct sf_result_file_part parts[SF_RESULT_FILE_PARTS],
                        int which, void *to)
{
    assert(0 <= which && which < SF_RESULT_FILE_PARTS);
    uint64_t offset = sizeof(struct header);
    for (int i = 0; i < which; i++)
        offset += parts[i].bytes;
    return sf_own_fd_is_ours(file) ? read_all(file->fd, to, parts[which].bytes, offset) : -EBADF;
}
