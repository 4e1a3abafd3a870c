/* A small real writer of logs, as ext/abi/log_format.h asks for it, so that the collector can be tested without
 * Python.
 *
 * One log per process; a forked child opens its own (writer_open). Everything is static: one writer a process. */
#ifndef SF_TESTS_TRACER_WRITER_H
#define SF_TESTS_TRACER_WRITER_H

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined __x86_64__
#include <x86intrin.h>
#endif

#include "abi/log_format.h"

static struct sf_session_header *writer_session;
static struct sf_log_header *writer_log;
static struct sf_record *writer_records;
static int writer_fd = -1;
#define WRITER_STEP_BYTES 65536u
static uint64_t writer_reserved_bytes, writer_gap, writer_gap_tsc;
static uint32_t writer_family;

static inline uint64_t writer_tsc(void)
{
#if defined __x86_64__
    return __rdtsc();
#else
    uint64_t tsc;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(tsc) : : "memory");
    return tsc;
#endif
}

static inline void writer_wake(void)
{
    __atomic_fetch_add(&writer_session->wake, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &writer_session->wake, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Makes this process's log in the session at `dir`. In a child the parent's log is unmapped first. */
static inline int writer_open(const char *dir, uint32_t task, const char *name)
{
    char path[600];
    if (writer_log) {
        munmap(writer_log, SF_LOG_RECORDS_OFFSET + (size_t)writer_session->log_records * sizeof(struct sf_record));
        close(writer_fd);
    }
    if (!writer_session) {
        snprintf(path, sizeof path, "%s/" SF_SESSION_FILE, dir);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0)
            return -errno;
        writer_session = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
        if (__atomic_load_n(&writer_session->magic, __ATOMIC_ACQUIRE) != SF_SESSION_MAGIC)
            return -EBADMSG;
        writer_family = (uint32_t)getpid();
    }
    uint32_t capacity = writer_session->log_records;
    uint64_t start = writer_tsc();
    snprintf(path, sizeof path, "%s/" SF_LOG_PREFIX "%d.%llu", dir, (int)getpid(), (unsigned long long)start);
    writer_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (writer_fd < 0)
        return -errno;
    size_t size = SF_LOG_RECORDS_OFFSET + (size_t)capacity * sizeof(struct sf_record);
    writer_reserved_bytes = SF_LOG_RECORDS_OFFSET + WRITER_STEP_BYTES;
    if (writer_reserved_bytes > size)
        writer_reserved_bytes = size;
    if (ftruncate(writer_fd, (off_t)size) || posix_fallocate(writer_fd, 0, (off_t)writer_reserved_bytes))
        return -ENOSPC;
    writer_log = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, writer_fd, 0);
    writer_records = (struct sf_record *)((char *)writer_log + SF_LOG_RECORDS_OFFSET);
    writer_gap = 0;
    writer_log->version = SF_ABI_VERSION;
    writer_log->capacity = capacity;
    writer_log->pid = (uint32_t)getpid();
    writer_log->parent_pid = (uint32_t)getppid();
    writer_log->family = writer_family;
    writer_log->task = task;
    writer_log->start_tsc = start;
    snprintf(writer_log->name, sizeof writer_log->name, "%s", name);
    __atomic_store_n(&writer_log->magic, SF_LOG_MAGIC, __ATOMIC_RELEASE);
    writer_wake();
    return 0;
}

static inline void writer_put(uint64_t tsc, unsigned kind, unsigned phase, unsigned lane, uint32_t object, uint64_t a,
                              uint64_t b)
{
    struct sf_log_header *h = writer_log;
    uint64_t head = h->head, tail = __atomic_load_n(&h->tail, __ATOMIC_ACQUIRE);
    uint64_t slot = head & (h->capacity - 1), end = SF_LOG_RECORDS_OFFSET + (slot + 1) * sizeof(struct sf_record);
    __atomic_store_n(&h->begun, h->begun + 1, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    bool room = head - tail < h->capacity;
    if (room && end > writer_reserved_bytes) {
        room = posix_fallocate(writer_fd, (off_t)writer_reserved_bytes, WRITER_STEP_BYTES) == 0;
        writer_reserved_bytes += room ? WRITER_STEP_BYTES : 0;
    }
    if (!room) {
        if (!writer_gap++)
            writer_gap_tsc = tsc;
        __atomic_store_n(&h->lost, h->lost + 1, __ATOMIC_RELAXED);
        return;
    }
    writer_records[slot] =
        (struct sf_record){tsc, (uint16_t)kind, (uint16_t)(phase | lane << SF_LANE_SHIFT), object, a, b};
    __atomic_store_n(&h->head, head + 1, __ATOMIC_RELEASE);
    if (head + 1 - tail == h->capacity / 2)
        writer_wake();
}

static inline void writer_event(unsigned kind, unsigned phase, unsigned lane, uint32_t object, uint64_t a, uint64_t b)
{
    if (__atomic_load_n(&writer_session->state, __ATOMIC_RELAXED) != SF_SESSION_ACTIVE)
        return;
    uint64_t tsc = writer_tsc();
    if (writer_gap &&
        writer_log->head - __atomic_load_n(&writer_log->tail, __ATOMIC_ACQUIRE) + 1 < writer_log->capacity) {
        uint64_t gap = writer_gap;
        writer_gap = 0;
        writer_put(tsc, SF_EVENT_LOST, SF_PHASE_INSTANT, lane, 0, gap, writer_gap_tsc);
    }
    writer_put(tsc, kind, phase, lane, object, a, b);
}

static inline void writer_text(uint32_t number, const char *text)
{
    size_t length = strlen(text) + 1; /* with the NUL that ends it */
    for (size_t at = 0; at < length; at += 16) {
        uint64_t ab[2] = {0, 0};
        memcpy(ab, text + at, length - at < 16 ? length - at : 16);
        writer_event(SF_EVENT_TEXT, SF_PHASE_INSTANT, 0, number, ab[0], ab[1]);
    }
}

#define W_INSTANT(kind, object, a, b) writer_event(SF_EVENT_##kind, SF_PHASE_INSTANT, 0, object, a, b)
#define W_BEGIN(kind, object, a, b) writer_event(SF_EVENT_##kind, SF_PHASE_BEGIN, 0, object, a, b)
#define W_END(kind, object, a, b) writer_event(SF_EVENT_##kind, SF_PHASE_END, 0, object, a, b)

#endif
