/* Makes a session's directory for the fuzzers: a healthy program's two logs, always the same, and beside them hostile
 * ones that follow from the fuzzer's input.
 *
 * The input is one byte string that always means a session, so that few inputs are refused at the door:
 *
 *     session (8)  flags; how its page is damaged
 *     logs (16 each, HOSTILE of them)  flags; who it says it is; its counts; what is damaged
 *     records (12 each)  which log; kind, phase, lane, object, time, a, b; what is made extreme
 *
 * A record without extremes is one that a writer could have written: it reaches the analysis. */
#ifndef SF_TESTS_FUZZ_SESSION_FILES_H
#define SF_TESTS_FUZZ_SESSION_FILES_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/log_format.h"
#include "collect/spill.h"
#include "commands_run.h"

enum { CAPACITY = 256, HOSTILE = 3, SESSION_BYTES = 8, LOG_BYTES = 16, RECORD_BYTES = 12 };
enum { HEADER_BYTES = SESSION_BYTES + HOSTILE * LOG_BYTES, INPUT_MAX = HEADER_BYTES + 600 * RECORD_BYTES };
enum { PARENT = INT32_MAX - 100, CHILD }; /* pids of no process */
enum { SPACE = 1000 };                    /* their pid namespace; none has such a number */

struct log_file {
    struct sf_log_header header;
    char rest[SF_LOG_RECORDS_OFFSET - sizeof(struct sf_log_header)];
    struct sf_record records[CAPACITY];
};
struct spill_file {
    struct spill_header header;
    struct sf_record records[CAPACITY];
};

/* What the input makes of a session, as far as it says what may be expected of it. */
struct session_plan {
    bool page_damaged; /* then the collector may refuse the session */
    bool poses;        /* a hostile log says to be of a healthy process, or of its family */
};

static uint64_t session_start_tsc; /* all times follow from it */
static const unsigned session_ticks = 1u << 22;

static void write_file(int dir_fd, const char *name, const void *bytes, size_t size)
{
    int fd = openat(dir_fd, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0 && write(fd, bytes, size) == (ssize_t)size, "cannot write %s", name);
    close(fd);
}

static void write_page(int dir_fd, const uint8_t *input, struct session_plan *plan)
{
    union {
        struct sf_session_header header;
        uint8_t bytes[4096];
    } page = {.header = {.magic = SF_SESSION_MAGIC,
                         .version = SF_ABI_VERSION,
                         .log_records = CAPACITY,
                         .state = SF_SESSION_ACTIVE,
                         .collector_pid = INT32_MAX - 1,
                         .start_tsc = session_start_tsc}};
    size_t size = sizeof page;
    plan->page_damaged = input[0] & 1;
    if (plan->page_damaged) {
        memcpy(page.bytes + input[1] % (sizeof page.header - 4), input + 2, 4);
        if (input[0] & 2)
            size = input[6] * 16u;
    }
    write_file(dir_fd, SF_SESSION_FILE, &page, size);
}

/* ---- the healthy ones ---- */

static void add(struct log_file *log, unsigned at, unsigned kind, unsigned phase, uint32_t object, uint64_t a,
                uint64_t b)
{
    log->records[log->header.head] = (struct sf_record){.tsc = session_start_tsc + at * (session_ticks / 64),
                                                        .kind = (uint16_t)kind,
                                                        .flags = (uint16_t)phase,
                                                        .object = object,
                                                        .a = a,
                                                        .b = b};
    log->header.begun = ++log->header.head;
}

static void write_healthy(int dir_fd, struct log_file *log)
{
    char name[64];
    log->header.magic = SF_LOG_MAGIC;
    log->header.version = SF_ABI_VERSION;
    log->header.capacity = CAPACITY;
    log->header.family = PARENT;
    log->header.space = SPACE;
    snprintf(name, sizeof name, SF_LOG_PREFIX "%u.%llu", log->header.pid, (unsigned long long)log->header.start_tsc);
    write_file(dir_fd, name, log, sizeof *log);
}

/* A parent that forks a Thread, sends it a message, waits for it and sees it exit with status 3. The child has a second
 * thread, whose spans overlap; both say what CPU time they have used. */
static void write_healthy_logs(int dir_fd)
{
    enum { I = SF_PHASE_INSTANT, B = SF_PHASE_BEGIN, E = SF_PHASE_END, LANE_1 = 1 << SF_LANE_SHIFT };
    static struct log_file parent, child;
    memset(&parent, 0, sizeof parent);
    memset(&child, 0, sizeof child);
    parent.header.pid = PARENT;
    parent.header.parent_pid = 1;
    parent.header.start_tsc = session_start_tsc + 1000;
    strcpy(parent.header.name, "healthy");
    child.header.pid = CHILD;
    child.header.parent_pid = PARENT;
    child.header.parent_tsc = parent.header.start_tsc;
    child.header.start_tsc = session_start_tsc + 6 * (session_ticks / 64) - 10;
    child.header.task = 1;
    strcpy(child.header.name, "healthy child");
    uint64_t text;
    memcpy(&text, "working", 8);
    add(&parent, 1, SF_EVENT_TEXT, I, 1, text, 0);
    add(&parent, 1, SF_EVENT_TASK, I, 1, 1, SF_TASK_THREAD);
    add(&parent, 2, SF_EVENT_CHANNEL, I, 1, 65536, 0);
    add(&parent, 3, SF_EVENT_FORK, B, 1, 0, 0);
    add(&parent, 7, SF_EVENT_FORK, E, 1, CHILD, 0);
    add(&parent, 8, SF_EVENT_SPAN, B, 1, 0, 0);
    add(&parent, 9, SF_EVENT_SEND, B, 1, 0, 0);
    add(&parent, 10, SF_EVENT_PICKLED, I, 0, 100, parent.records[6].tsc);
    add(&parent, 11, SF_EVENT_SEND, E, 1, 1, 100);
    add(&parent, 12, SF_EVENT_MARK, I, 1, 0, 0);
    add(&parent, 20, SF_EVENT_SPAN, E, 1, 0, 0);
    add(&parent, 20, SF_EVENT_JOIN, B, 1, 0, 0);
    add(&parent, 20, SF_EVENT_WAIT, B, 0, SF_WAIT_CHILD, 1);
    add(&parent, 41, SF_EVENT_WAIT, E, 0, SF_WAIT_CHILD, 1);
    add(&parent, 42, SF_EVENT_REAP, I, 1, CHILD, 3);
    add(&parent, 43, SF_EVENT_MERGE, B, 1, 0, 0);
    add(&parent, 44, SF_EVENT_MERGE, E, 1, 0, 0);
    add(&parent, 45, SF_EVENT_JOIN, E, 1, 3, 0);
    add(&parent, 46, SF_EVENT_USAGE, I, 0, 80000, 90000);
    add(&child, 6, SF_EVENT_START, I, 1, PARENT, 0);
    add(&child, 7, SF_EVENT_RUN, B, 1, 0, 0);
    add(&child, 7, SF_EVENT_RECEIVE, B, 1, 0, 0);
    add(&child, 8, SF_EVENT_WAIT, B, 0, SF_WAIT_MESSAGE, 1);
    add(&child, 12, SF_EVENT_WAIT, E, 0, SF_WAIT_MESSAGE, 1);
    add(&child, 12, SF_EVENT_RECEIVE, E, 1, 1, 100);
    memcpy(&text, "worker", 7);
    add(&child, 13, SF_EVENT_TEXT, LANE_1 | I, 1, text, 0);
    add(&child, 13, SF_EVENT_THREAD, LANE_1 | I, 1, session_start_tsc + 13 * (session_ticks / 64), CHILD + 1);
    add(&child, 14, SF_EVENT_SPAN, LANE_1 | B, 1, 1, 0);
    add(&child, 15, SF_EVENT_SPAN, LANE_1 | B, 1, 2, 0);
    add(&child, 16, SF_EVENT_SPAN, LANE_1 | E, 1, 1, 0);
    add(&child, 17, SF_EVENT_SPAN, E, 1, 2, 0);
    add(&child, 18, SF_EVENT_SPAN, E, 1, 3, 1);
    add(&child, 35, SF_EVENT_RUN, E, 1, SF_OUTCOME_EXITED, 0);
    add(&child, 36, SF_EVENT_RESULT, B, 1, 0, 0);
    add(&child, 38, SF_EVENT_RESULT, E, 1, 50, 0);
    add(&child, 39, SF_EVENT_USAGE, I, 0, 90000, 0);
    add(&child, 40, SF_EVENT_EXIT, I, 1, 3, 0);
    write_healthy(dir_fd, &parent);
    write_healthy(dir_fd, &child);
}

/* ---- the hostile ones ---- */

static uint64_t two(const uint8_t *at)
{
    return at[0] | (uint64_t)at[1] << 8;
}

/* A number in the way that three bits say. */
static uint64_t extreme(uint64_t value, unsigned how)
{
    switch (how & 7) {
    case 1:
        return UINT64_MAX - value;
    case 2:
        return (uint64_t)INT64_MAX - value;
    case 3:
        return value << 48;
    case 4:
        return value << 30;
    case 5:
        return PARENT + (value & 15);
    case 6:
        return session_start_tsc + value * (session_ticks >> 16);
    default:
        return value;
    }
}

static unsigned kind_of(uint8_t byte)
{
    static const uint16_t kinds[] = {
#define X(id, name, phase, object, a, b, doc) id,
#include "abi/events.def"
#undef X
    };
    return byte == 255 ? 0xffff : kinds[byte % (sizeof kinds / sizeof *kinds)];
}

static unsigned phase_of(unsigned kind, uint8_t byte)
{
    enum { INSTANT, SPAN };
    static const char spans[] = {
#define X(id, name, phase, object, a, b, doc) [id] = (phase),
#include "abi/events.def"
#undef X
    };
    if (byte >= 250)
        return byte & 3;
    return kind < sizeof spans && spans[kind] ? 1 + (byte & 1) : 0;
}

/* Values as a writer has them, for the kinds where other values do not get far. */
static void make_sound(struct sf_record *record, unsigned extremes)
{
    bool a_is_free = !(extremes & 7), b_is_free = !(extremes >> 3 & 7);
    if (record->kind == SF_EVENT_SPAN) {
        record->a = a_is_free ? record->a & 7 : record->a; /* few numbers, so that ends find their begins */
        record->b = b_is_free ? record->b & 1 : record->b;
    } else if (record->kind == SF_EVENT_THREAD && a_is_free) {
        record->a = session_start_tsc + record->a * (session_ticks >> 16);
    } else if (record->kind == SF_EVENT_USAGE) {
        record->a = a_is_free ? record->a << 5 : record->a; /* up to the length of the session */
        record->b = b_is_free ? record->b << 5 : record->b;
    }
}

/* byte 0: the log (2 bits), its spill file (4), the time after the last one (8), two thirds of extremes: object (16,
 * 32) */
static struct sf_record record_of(const uint8_t *at, uint64_t *last_tsc)
{
    unsigned kind = kind_of(at[1]);
    uint64_t time = two(at + 4), tsc = extreme(time, at[11] & 7);
    if (!(at[11] & 7))
        tsc = at[0] & 8 ? session_start_tsc + time * (session_ticks >> 16) : *last_tsc + time;
    *last_tsc = tsc;
    unsigned lane = at[2] >> 1 & 3;
    struct sf_record record = {
        .tsc = tsc,
        .kind = (uint16_t)kind,
        .flags = (uint16_t)(phase_of(kind, at[2]) | (lane == 3 ? SF_LANE_MAX : lane) << SF_LANE_SHIFT),
        .object = at[0] & 16 ? UINT32_MAX - at[3] : at[3] & (at[0] & 32 ? 255 : 3),
        .a = extreme(two(at + 6), at[10]),
        .b = extreme(two(at + 8), at[10] >> 3)};
    make_sound(&record, at[10]);
    return record;
}

/* Whose child it says to be. */
static uint64_t parent_tsc_of(uint64_t own_start_tsc, unsigned how)
{
    switch (how & 3) {
    case 1:
        return session_start_tsc + 1000; /* the healthy parent's */
    case 2:
        return session_start_tsc + 6 * (session_ticks / 64) - 10; /* the healthy child's */
    case 3:
        return own_start_tsc;
    default:
        return 0;
    }
}

/* The log's header. Byte 3 has, from bit 2 on, two bits each of: its pid namespace, the other half of its family, its
 * parent. Flags: 1: it poses as a healthy process; 2: of its family; 4: an extreme start; 8: an extreme age;
 * 16: counts that cannot be; 32: bytes of the header are overwritten; 64: the file is short; 128: a running process's
 * pid. */
static void write_hostile(int dir_fd, unsigned number, const uint8_t *input, const uint8_t *records, size_t count,
                          struct session_plan *plan)
{
    static struct log_file log;
    static struct spill_file spill;
    const uint8_t flags = input[0];
    memset(&log, 0, sizeof log);
    memset(&spill, 0, sizeof spill);
    struct sf_log_header *h = &log.header;
    *h = (struct sf_log_header){.magic = SF_LOG_MAGIC, .version = SF_ABI_VERSION, .capacity = CAPACITY};
    h->pid = flags & 1 ? (uint32_t)PARENT + (input[1] & 1) : flags & 128 ? 1 : (uint32_t)PARENT + 2 + input[1] % 4;
    h->parent_pid = input[2] % 16 == 15 ? two(input + 2) << 16 : (uint32_t)PARENT + input[2] % 16;
    h->family = flags & 2 ? (uint32_t)PARENT : (uint32_t)PARENT + 2 + input[3] % 4;
    h->task = input[4] % 4;
    h->start_tsc = session_start_tsc + 2000 + number + two(input + 5) * (session_ticks >> 16);
    if (flags & 4)
        h->start_tsc = extreme(two(input + 5), input[4] >> 4);
    h->age_ns = flags & 8 ? extreme(two(input + 7), input[4] >> 4) : input[7] * 1000000u;
    h->space = (input[3] >> 2 & 3) * SPACE;
    h->family_high = input[3] >> 4 & 3;
    h->parent_tsc = parent_tsc_of(h->start_tsc, input[3] >> 6);
    plan->poses |= flags & 33 || (flags & 2 && !h->family_high);
    for (int i = 0; i < 15; i++)
        h->name[i] = (char)(input[9 + i % 7] + (i < 7 ? 0 : i * 17));

    uint64_t last_tsc = h->start_tsc, set_aside = 0;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = records + i * RECORD_BYTES;
        if ((at[0] & 3) != number)
            continue;
        struct sf_record record = record_of(at, &last_tsc);
        if ((at[0] & 4) && set_aside < CAPACITY && !h->head)
            spill.records[set_aside++] = record;
        else if (h->head < CAPACITY)
            log.records[(h->head++ + set_aside) % CAPACITY] = record;
    }
    h->tail = set_aside;
    h->head += set_aside;
    h->begun = h->head + (input[9] & 1);
    if (flags & 16) {
        h->begun = extreme(h->begun + input[10], input[9] >> 1);
        h->lost = extreme(input[11], input[9] >> 4);
        h->head += (int8_t)input[12];
        h->tail += (uint64_t)(int8_t)input[13];
    }
    if (flags & 32)
        memcpy((char *)h + two(input + 14) % sizeof *h / 4 * 4, input + 8, 4);
    char name[64];
    snprintf(name, sizeof name, SF_LOG_PREFIX "%u.%llu", h->pid, (unsigned long long)h->start_tsc);
    write_file(dir_fd, name, &log, flags & 64 ? SF_LOG_RECORDS_OFFSET + input[15] * 32u : sizeof log);
    if (!set_aside)
        return;
    spill.header = (struct spill_header){SPILL_MAGIC, 0, input[8] % (set_aside + 1), set_aside};
    if (flags & 16)
        memcpy((char *)&spill.header + input[14] % 29, input + 10, 4);
    snprintf(name, sizeof name, SPILL_PREFIX "%u.%llu", h->pid, (unsigned long long)h->start_tsc);
    write_file(dir_fd, name, &spill, sizeof spill.header + set_aside * sizeof *spill.records);
}

/* Writes the session into the empty directory. Without input it has the healthy logs only. */
static struct session_plan session_write(int dir_fd, const uint8_t *input, size_t size)
{
    static const uint8_t nothing[SESSION_BYTES];
    struct session_plan plan = {0};
    bool hostile = size >= HEADER_BYTES;
    write_page(dir_fd, hostile ? input : nothing, &plan);
    write_healthy_logs(dir_fd);
    for (unsigned i = 0; hostile && i < HOSTILE; i++)
        write_hostile(dir_fd, i, input + SESSION_BYTES + i * LOG_BYTES, input + HEADER_BYTES,
                      (size - HEADER_BYTES) / RECORD_BYTES, &plan);
    return plan;
}

#endif
