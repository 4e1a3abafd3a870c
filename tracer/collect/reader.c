/* One log, read. See reader.h, and ext/abi/log_format.h for the books and who may write what.
 *
 * Invariants: next - given <= capacity; head as looked at is never below next and never more than capacity above
 * it. The writer is another process, which may die or lie at any time: every count is checked before it is used. */
#include "collect/reader.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void move_tail(struct reader *reader, uint64_t tail)
{
    /* Release: pairs with the writer's acquire load of tail; our copies of the records are made before it. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    if (!file_write(reader->fd, &tail, sizeof tail, offsetof(struct sf_log_header, tail)))
        reader->given = tail;
}

/* Where an earlier collector stopped: what it has set aside comes before what the log holds. */
static int resume(struct reader *reader, int dir_fd, const char *name)
{
    uint64_t tail = reader->header.tail;
    int error = spill_open(&reader->spill, dir_fd, name);
    if (error)
        return error == -EPERM ? -EBADMSG : error;
    reader->next = reader->given = tail;
    if (reader->spill.fd < 0)
        return 0;
    if (reader->spill.end < tail)
        return -EBADMSG;
    reader->next = reader->spill.taken;
    if (reader->spill.end > tail) /* killed before it moved the tail */
        move_tail(reader, reader->spill.end);
    return 0;
}

int reader_open(struct reader *reader, int dir_fd, const char *name, uint32_t capacity)
{
    memset(reader, 0, sizeof *reader);
    reader->spill.fd = -1;
    reader->fd = file_open_own(dir_fd, name);
    if (reader->fd < 0)
        return reader->fd;
    int error = 0;
    struct sf_log_header *h = &reader->header;
    if (!file_read(reader->fd, h, sizeof *h, 0) || h->magic == 0) {
        error = -EAGAIN;
        goto out;
    }
    /* Acquire: pairs with the writer's release store of magic. The identity is read again behind it. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (!file_read(reader->fd, h, sizeof *h, 0) || h->magic != SF_LOG_MAGIC || h->version != SF_ABI_VERSION ||
        h->capacity != capacity || h->pid == 0 || h->pid > INT32_MAX || h->start_tsc > INT64_MAX ||
        h->age_ns > INT64_MAX)
        error = -EBADMSG;
    else
        error = resume(reader, dir_fd, name);
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
    spill_close(&reader->spill);
}

int reader_look(struct reader *reader)
{
    uint64_t line[8]; /* the writer's cache line */
    size_t from = offsetof(struct sf_log_header, head);
    if (!file_read(reader->fd, line, sizeof line, from))
        return -EBADMSG;
    /* Acquire: pairs with the writer's release store of head; the records are read behind it. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    uint64_t head = line[0];
    if (head < reader->header.head || head < reader->next || head < reader->given ||
        head - reader->given > reader->header.capacity)
        return -EBADMSG;
    reader->header.head = head;
    reader->header.begun = line[1];
    reader->header.lost = line[2];
    return 0;
}

void reader_look_name(struct reader *reader)
{
    char name[SF_NAME_BYTES];
    if (file_read(reader->fd, name, sizeof name, offsetof(struct sf_log_header, name)))
        memcpy(reader->header.name, name, sizeof name);
}

/* Copies records of the log itself, [from, head), at most `room`, up to the end of its buffer. */
static int read_log(struct reader *reader, uint64_t from, struct sf_record *records, size_t room, size_t *count)
{
    uint64_t capacity = reader->header.capacity, slot = from & (capacity - 1);
    uint64_t n = least(least(reader->header.head - from, capacity - slot), room);
    if (n && !file_read(reader->fd, records, n * sizeof *records, SF_LOG_RECORDS_OFFSET + slot * sizeof *records))
        return -EBADMSG;
    *count = n;
    return 0;
}

int reader_read(struct reader *reader, struct sf_record *records, size_t room, size_t *count)
{
    int error;
    *count = 0;
    if (reader->next < reader->spill.end) {
        size_t n = least(reader->spill.end - reader->next, room);
        error = reader->next < reader->spill.first ? -EBADMSG : spill_read(&reader->spill, reader->next, records, n);
        if (!error)
            *count = n;
    } else {
        error = read_log(reader, reader->next, records, room, count);
    }
    reader->next += *count;
    return error;
}

int reader_set_aside(struct reader *reader, struct sf_record *records, size_t room)
{
    size_t count;
    int error = 0;
    while (!error && reader->given < reader->header.head) {
        error = read_log(reader, reader->given, records, room, &count);
        if (!error)
            error = spill_add(&reader->spill, reader->given, records, count);
        if (!error)
            move_tail(reader, reader->given + count);
    }
    return error;
}

void reader_give_back(struct reader *reader, uint64_t taken)
{
    if (taken < reader->spill.end) {
        if (taken > reader->spill.taken)
            spill_take(&reader->spill, taken);
        return;
    }
    spill_remove(&reader->spill);
    if (taken != reader->given)
        move_tail(reader, taken);
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
