/* See reader.h. ext/abi/log_format.h defines the counts and says who may write what.
 *
 * Invariants (check_counts): tail and next are at most head, and head - tail is at most the log's capacity; head is
 * header.head, the value of the last look. The writer is another process, which may die or write anything at any time,
 * so every count that is read from the log is checked before it is used. */
#include "collect/reader.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void check_counts(const struct reader *reader)
{
    uint64_t head = reader->header.head;
    (void)head;
    assert(reader->tail <= head && reader->next <= head);
    assert(head - reader->tail <= reader->header.capacity);
    assert(reader->spill.fd < 0 || reader->spill.end <= reader->tail);
}

/* Lets the writer use the room before `tail`. Where that cannot be written, the writer has less room until the next
 * call; here the records count as taken in any case, so that none is taken twice. */
static void move_tail(struct reader *reader, uint64_t tail)
{
    assert(tail >= reader->tail);
    /* Release: pairs with the writer's acquire load of tail; our copies of the records are made before it. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    file_write(reader->fd, &tail, sizeof tail, offsetof(struct sf_log_header, tail));
    reader->tail = tail;
}

/* Finds where an earlier collector stopped: the records that it set aside come before those in the log. */
static int resume_reading(struct reader *reader, int dir_fd, const char *name)
{
    uint64_t tail = reader->header.tail;
    int error = spill_open(&reader->spill, dir_fd, name);
    if (error)
        return error == -EPERM ? -EBADMSG : error;
    reader->next = reader->tail = reader->header.head = tail; /* not looked at yet */
    if (reader->spill.fd < 0)
        return 0;
    if (reader->spill.end < tail)
        return -EBADMSG;
    reader->next = reader->spill.taken;
    reader->header.head = reader->spill.end;
    if (reader->spill.end > tail) /* it was killed before it moved the tail */
        move_tail(reader, reader->spill.end);
    check_counts(reader);
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
    /* Acquire: pairs with the writer's release store of magic. The identity is read again after it. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (!file_read(reader->fd, h, sizeof *h, 0) || h->magic != SF_LOG_MAGIC || h->version != SF_ABI_VERSION ||
        h->capacity != capacity || h->pid == 0 || h->pid > INT32_MAX || h->start_tsc > INT64_MAX ||
        h->age_ns > INT64_MAX)
        error = -EBADMSG;
    else
        error = resume_reading(reader, dir_fd, name);
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

void reader_skip(struct reader *reader, uint64_t number)
{
    assert(number >= reader->next);
    reader->next = number;
    if (reader->header.head < number)
        reader->header.head = number; /* reader_look refuses a log that has fewer */
}

int reader_look(struct reader *reader)
{
    uint64_t line[8]; /* the writer's cache line */
    size_t from = offsetof(struct sf_log_header, head);
    if (!file_read(reader->fd, line, sizeof line, from))
        return -EBADMSG;
    /* Acquire: pairs with the writer's release store of head; the records are read after it. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    uint64_t head = line[0];
    if (head < reader->header.head || head < reader->next || head < reader->tail ||
        head - reader->tail > reader->header.capacity)
        return -EBADMSG;
    reader->header.head = head;
    reader->header.begun = line[1];
    reader->header.lost = line[2];
    check_counts(reader);
    return 0;
}

void reader_look_name(struct reader *reader)
{
    char name[SF_NAME_BYTES];
    if (file_read(reader->fd, name, sizeof name, offsetof(struct sf_log_header, name)))
        memcpy(reader->header.name, name, sizeof name);
}

/* Copies records of the log itself, [from, head), at most `room`, not beyond the end of its buffer. */
static int read_log(struct reader *reader, uint64_t from, struct sf_record *records, size_t room, size_t *count)
{
    uint64_t capacity = reader->header.capacity, slot = from & (capacity - 1);
    assert(from >= reader->tail && from <= reader->header.head);
    uint64_t n = smaller(smaller(reader->header.head - from, capacity - slot), room);
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
        size_t n = smaller(reader->spill.end - reader->next, room);
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
    while (!error && reader->tail < reader->header.head) {
        error = read_log(reader, reader->tail, records, room, &count);
        if (!error)
            error = spill_add(&reader->spill, reader->tail, records, count);
        if (!error)
            move_tail(reader, reader->tail + count);
    }
    return error;
}

void reader_release(struct reader *reader, uint64_t taken)
{
    if (taken < reader->spill.end) {
        if (taken > reader->spill.taken)
            spill_release(&reader->spill, taken);
        return;
    }
    spill_remove(&reader->spill);
    if (taken != reader->tail)
        move_tail(reader, taken);
    check_counts(reader);
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
