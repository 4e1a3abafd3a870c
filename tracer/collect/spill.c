/* See spill.h for the file's format.
 *
 * Invariants: first <= taken <= end; the records that the header in the file calls [first, end) are in the file. The
 * header is written by one call, since one that is half written would be a damaged one. The header that an earlier
 * collector left is checked before its numbers are used. */
#include "collect/spill.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* Where in the file that record is. */
static uint64_t offset_of(const struct spill *spill, uint64_t number)
{
    return sizeof(struct spill_header) + (number - spill->first) * sizeof(struct sf_record);
}

static int write_header(const struct spill *spill)
{
    struct spill_header header = {SPILL_MAGIC, spill->first, spill->taken, spill->end};
    return file_write(spill->fd, &header, sizeof header, 0);
}

static void set_empty(struct spill *spill)
{
    spill->fd = -1;
    spill->first = spill->taken = spill->end = 0;
}

/* Reads the header that an earlier collector left. */
static int read_header(struct spill *spill)
{
    struct stat st;
    struct spill_header header;
    if (fstat(spill->fd, &st))
        return -errno;
    if (!file_read(spill->fd, &header, sizeof header, 0) || header.magic == 0) { /* it was killed before it wrote one */
        spill_remove(spill);
        return 0;
    }
    if (header.magic != SPILL_MAGIC || header.first > header.taken || header.taken > header.end ||
        header.end - header.first > ((uint64_t)st.st_size - sizeof header) / sizeof(struct sf_record))
        return -EBADMSG;
    spill->first = header.first;
    spill->taken = header.taken;
    spill->end = header.end;
    return 0;
}

int spill_open(struct spill *spill, int dir_fd, const char *log)
{
    spill->dir_fd = dir_fd;
    set_empty(spill);
    snprintf(spill->file, sizeof spill->file, SPILL_PREFIX "%s", log + strlen(SF_LOG_PREFIX));
    int fd = file_open_own(dir_fd, spill->file);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    spill->fd = fd;
    int error = read_header(spill);
    if (error)
        spill_close(spill);
    return error;
}

void spill_close(struct spill *spill)
{
    if (spill->fd >= 0)
        close(spill->fd);
    set_empty(spill);
}

int spill_add(struct spill *spill, uint64_t number, const struct sf_record *records, size_t count)
{
    if (spill->fd < 0) {
        spill->fd = openat(spill->dir_fd, spill->file, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (spill->fd < 0)
            return -errno;
        spill->first = spill->taken = spill->end = number;
    }
    assert(number == spill->end);
    int error = file_write(spill->fd, records, count * sizeof *records, offset_of(spill, spill->end));
    if (!error) {
        spill->end += count;
        error = write_header(spill);
        if (error)
            spill->end -= count;
    }
    if (error && spill->first == spill->end)
        spill_remove(spill);
    return error;
}

int spill_read(const struct spill *spill, uint64_t number, struct sf_record *records, size_t count)
{
    assert(number >= spill->first && number + count <= spill->end);
    return file_read(spill->fd, records, count * sizeof *records, offset_of(spill, number)) ? 0 : -EBADMSG;
}

void spill_release(struct spill *spill, uint64_t taken)
{
    assert(taken >= spill->taken && taken <= spill->end);
    off_t end = (off_t)(offset_of(spill, taken) / PAGE_BYTES * PAGE_BYTES);
    spill->taken = taken;
    write_header(spill); /* its page is in memory, so there is room for it */
    /* The header's page stays. Where a hole cannot be punched, the memory is freed with the file. */
    if (end > PAGE_BYTES)
        fallocate(spill->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE_BYTES, end - PAGE_BYTES);
}

void spill_remove(struct spill *spill)
{
    if (spill->fd >= 0)
        unlinkat(spill->dir_fd, spill->file, 0);
    spill_close(spill);
}
