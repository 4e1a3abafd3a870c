/* One log, read. See reader.h, and ext/abi/log_format.h for the books and who may write what.
 *
 * Invariants: next - given <= capacity; head as looked at is never below next and never more than capacity above
 * it. The writer is another process, which may die or lie at any time: every count is checked before it is used. */
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* All `size` bytes at `at`, or false. */
static bool read_at(int fd, void *to, size_t size, uint64_t at)
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

static int check_file(int fd)
{
    struct stat st;
    if (fstat(fd, &st))
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EBADMSG;
    if (st.st_uid != geteuid() || (st.st_mode & 077) || st.st_nlink != 1)
        return -EPERM;
    return 0;
}

int reader_open(struct reader *reader, int dir_fd, const char *name, uint32_t capacity)
{
    memset(reader, 0, sizeof *reader);
    /* O_NONBLOCK: a FIFO of that name must not stop us. */
    reader->fd = openat(dir_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (reader->fd < 0)
        return errno == ELOOP || errno == ENXIO || errno == EISDIR ? -EBADMSG : errno == EACCES ? -EPERM : -errno;
    int error = check_file(reader->fd);
    if (error)
        goto out;
    struct sf_log_header *h = &reader->header;
    if (!read_at(reader->fd, h, sizeof *h, 0) || h->magic == 0) {
        error = -EAGAIN;
        goto out;
    }
    /* Acquire: pairs with the writer's release store of magic. The identity is read again behind it. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (!read_at(reader->fd, h, sizeof *h, 0) || h->magic != SF_LOG_MAGIC || h->version != SF_ABI_VERSION ||
        h->capacity != capacity || h->pid == 0 || h->pid > INT32_MAX || h->start_tsc > INT64_MAX ||
        h->age_ns > INT64_MAX)
        error = -EBADMSG;
    reader->next = reader->given = h->tail;
out:
    if (error)
        reader_close(reader);
    return error;
}

void reader_close(struct reader *reader)
{
    if (reader->fd >= 0)
        close(reader->fd);
    reader->fd = -1;
}

int reader_look(struct reader *reader)
{
    uint64_t line[8]; /* the writer's cache line */
    size_t from = offsetof(struct sf_log_header, head);
    if (!read_at(reader->fd, line, sizeof line, from))
        return -EBADMSG;
    /* Acquire: pairs with the writer's release store of head; the records are read behind it. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    uint64_t head = line[0];
    if (head < reader->header.head || head < reader->next || head - reader->next > reader->header.capacity)
        return -EBADMSG;
    reader->header.head = head;
    reader->header.begun = line[1];
    reader->header.lost = line[2];
    return 0;
}

void reader_look_name(struct reader *reader)
{
    char name[SF_NAME_BYTES];
    if (read_at(reader->fd, name, sizeof name, offsetof(struct sf_log_header, name)))
        memcpy(reader->header.name, name, sizeof name);
}

int reader_read(struct reader *reader, struct sf_record *records, size_t room, size_t *count)
{
    uint64_t capacity = reader->header.capacity, slot = reader->next & (capacity - 1);
    uint64_t n = reader->header.head - reader->next;
    if (n > capacity - slot)
        n = capacity - slot; /* up to the end of the buffer; the rest next time */
    if (n > room)
        n = room;
    *count = 0;
    if (!n)
        return 0;
    if (!read_at(reader->fd, records, n * sizeof *records, SF_LOG_RECORDS_OFFSET + slot * sizeof *records))
        return -EBADMSG;
    reader->next += n;
    *count = n;
    return 0;
}

void reader_give_back(struct reader *reader, uint64_t taken)
{
    if (taken == reader->given)
        return;
    /* Release: pairs with the writer's acquire load of tail; our copies of the records are made before it. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    if (pwrite(reader->fd, &taken, sizeof taken, offsetof(struct sf_log_header, tail)) == (ssize_t)sizeof taken)
        reader->given = taken;
}

enum reader_flaw reader_check(const struct sf_record *record, uint64_t from_tsc, uint64_t to_tsc)
{
    enum { INSTANT, SPAN };
    static const char phases[] = {
#define X(id, name, phase, object, a, b, doc) [id] = (phase) + 1,
#include "abi/events.def"
#undef X
    };
    unsigned phase = record->flags & SF_PHASE_MASK;
    if (record->kind >= sizeof phases || !phases[record->kind])
        return READER_BAD_KIND;
    bool span = phases[record->kind] == SPAN + 1;
    if (phase > SF_PHASE_END || span != (phase != SF_PHASE_INSTANT))
        return READER_BAD_PHASE;
    if (record->tsc < from_tsc || record->tsc > to_tsc)
        return READER_BAD_TIME;
    return READER_SOUND;
}
