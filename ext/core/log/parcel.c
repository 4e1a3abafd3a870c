/* See parcel.h. A log of another process is read by pread, as the collector does, because that process may have cut it
 * short. */
#include "core/log/parcel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "core/log/log.h"
#include "core/log/session.h"

int sf_parcel_begin(const char *directory, const char *name)
{
    if (sf_log_self.session && sf_log_enabled())
        return -EALREADY;
    sf_log_detach();
    int error = sf_session_make(directory, SF_PARCEL_RECORDS);
    sf_log_set_name(name);
    if (!error)
        error = sf_log_attach(directory);
    sf_session_unlink(directory);
    return error;
}

void sf_parcel_pause(bool paused)
{
    if (sf_log_self.session) /* relaxed: as in sf_log_enabled */
        atomic_store_explicit((_Atomic uint32_t *)&sf_log_self.session->state,
                              paused ? SF_SESSION_CLOSED : SF_SESSION_ACTIVE, memory_order_relaxed);
}

/* The records [from, end) of a log lie in at most two pieces. */
static size_t piece(const struct sf_log_header *header, uint64_t from, uint64_t end)
{
    uint64_t to_wrap = header->capacity - (from & (header->capacity - 1));
    return (size_t)(end - from < to_wrap ? end - from : to_wrap);
}

/* Sets first, end and count by the header's counts. false: they cannot be. */
static bool measure(struct sf_parcel *out, size_t room)
{
    const struct sf_log_header *header = &out->header;
    out->first = header->tail;
    out->end = header->head;
    if (header->head < header->tail || header->head - header->tail > header->capacity)
        return false;
    out->count = out->end - out->first < room ? (size_t)(out->end - out->first) : room;
    return true;
}

bool sf_parcel_take_own(struct sf_record *records, size_t room, struct sf_parcel *out)
{
    struct sf_log_header *header = sf_log_self.header;
    if (!header)
        return false;
    memset(out, 0, sizeof *out);
    out->header = *header;
    if (header->magic != SF_LOG_MAGIC || !measure(out, room))
        return false;
    for (size_t done = 0, n; done < out->count; done += n) {
        n = piece(header, out->first + done, out->first + out->count);
        memcpy(records + done, &sf_log_self.records[(out->first + done) & sf_log_self.mask], n * sizeof *records);
    }
    atomic_store_explicit((_Atomic uint64_t *)&header->tail, out->end, memory_order_release);
    return true;
}

static bool read_at(int fd, void *to, size_t bytes, size_t at)
{
    return pread(fd, to, bytes, (off_t)at) == (ssize_t)bytes;
}

/* Whether no process has the log locked any more: see "Who wrote it" in log_format.h. */
static bool is_left(int fd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_GETLK, &whole) == 0 && whole.l_type == F_UNLCK;
}

static bool take_file(int fd, struct sf_record *records, size_t room, struct sf_parcel *out)
{
    out->is_over = is_left(fd); /* before the look at the counts: then these are the last ones */
    if (!read_at(fd, &out->header, sizeof out->header, 0) || out->header.magic != SF_LOG_MAGIC ||
        out->header.capacity != SF_PARCEL_RECORDS)
        return false;
    /* acquire: pairs with the writer's release store of head; its records are read after it */
    atomic_thread_fence(memory_order_acquire);
    if (!read_at(fd, &out->header, sizeof out->header, 0) || !measure(out, room))
        return false;
    atomic_thread_fence(memory_order_acquire);
    for (size_t done = 0, n; done < out->count; done += n) {
        uint64_t number = out->first + done;
        n = piece(&out->header, number, out->first + out->count);
        if (!read_at(fd, records + done, n * sizeof *records,
                     SF_LOG_RECORDS_OFFSET + (number & (SF_PARCEL_RECORDS - 1)) * sizeof *records))
            return false;
    }
    /* release: the records are copied; pairs with the writer's acquire load of tail */
    atomic_thread_fence(memory_order_release);
    return pwrite(fd, &out->end, sizeof out->end, offsetof(struct sf_log_header, tail)) == sizeof out->end;
}

int sf_parcel_take(const char *file, struct sf_record *records, size_t room, struct sf_parcel *out)
{
    int directory = sf_log_directory_fd();
    memset(out, 0, sizeof *out);
    if (directory < 0)
        return directory;
    int fd = openat(directory, file, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = take_file(fd, records, room, out) ? 0 : -EBADMSG;
    close(fd);
    return error;
}
