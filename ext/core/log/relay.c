/* See relay.h. The relays are in a list, so that a forked child and the session's end can close them; a closed one
 * writes nothing. */
#include "core/log/relay.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log/log.h"
#include "core/log/log_file.h"

struct sf_relay {
    struct sf_relay *next;
    struct sf_log_file file; /* not mapped: closed */
    uint64_t worker_start;   /* start_tsc of the worker's log, by the worker's counter */
    uint64_t head, last_tsc, lost_pending;
    uint32_t lane; /* exchanged with lane 0; SF_LANE_MAX: not known yet */
};

static struct sf_relay *relays;

static struct sf_log_header *header_of(const struct sf_relay *relay)
{
    return relay->file.mapped;
}

static void close_all(void)
{
    for (struct sf_relay *relay = relays; relay; relay = relay->next)
        sf_log_file_close(&relay->file);
}

void sf_relay_free(struct sf_relay *relay)
{
    struct sf_relay **at = &relays;
    while (*at && *at != relay)
        at = &(*at)->next;
    if (*at)
        *at = relay->next;
    sf_log_file_close(&relay->file);
    free(relay);
}

uint64_t sf_relay_time(const struct sf_relay_clock *clock, uint64_t tsc)
{
    double ticks = (double)(int64_t)(tsc - clock->from) * clock->rate;
    if (!(ticks > -1e18 && ticks < 1e18)) /* no such time was recorded */
        ticks = 0;
    uint64_t time = clock->to + (uint64_t)(int64_t)ticks;
    if (tsc >= clock->entered && time < clock->low)
        time = clock->low;
    return time > clock->high ? clock->high : time;
}

/* The file. The descriptor and its record lock go: a mapping is enough to hold the lease, and the lock would say that
 * the log is this process's own. */
static int make_file(struct sf_relay *relay, const struct sf_log_header *header, uint64_t start_tsc)
{
    char name[64];
    int directory = sf_log_directory_fd();
    if (directory < 0)
        return directory;
    snprintf(name, sizeof name, SF_LOG_PREFIX "%u.%llu.%x", header->pid, (unsigned long long)start_tsc, header->space);
    int error = sf_log_file_make(&relay->file, sf_log_self.session, directory, name);
    if (!error)
        sf_own_fd_close(&relay->file.fd);
    return error;
}

int sf_relay_open(struct sf_relay **out, const struct sf_log_header *header, uint64_t start_tsc, uint64_t parent_tsc)
{
    *out = NULL;
    if (!sf_log_enabled())
        return -ESHUTDOWN;
    sf_log_when_closed(close_all);
    struct sf_relay *relay = calloc(1, sizeof *relay);
    if (!relay)
        return -ENOMEM;
    int error = make_file(relay, header, start_tsc);
    if (error) {
        free(relay);
        atomic_fetch_add_explicit((_Atomic uint32_t *)&sf_log_self.session->lost_logs, 1, memory_order_relaxed);
        return error;
    }
    struct sf_log_header *mine = header_of(relay);
    mine->version = SF_ABI_VERSION;
    mine->capacity = sf_log_self.session->log_records;
    mine->pid = header->pid;
    mine->parent_pid = parent_tsc ? header->parent_pid : (uint32_t)getpid();
    mine->family = header->family;
    mine->family_high = header->family_high;
    mine->task = header->task;
    mine->space = header->space;
    mine->start_tsc = start_tsc;
    mine->parent_tsc = parent_tsc ? parent_tsc : sf_log_start_tsc();
    mine->age_ns = parent_tsc ? 0 : 1; /* not forked just now */
    memcpy(mine->name, header->name, SF_NAME_BYTES);
    relay->worker_start = header->start_tsc;
    relay->last_tsc = start_tsc;
    relay->lane = SF_LANE_MAX;
    /* release: a collector that sees the magic sees the identity above */
    atomic_store_explicit((_Atomic uint64_t *)&mine->magic, SF_LOG_MAGIC, memory_order_release);
    atomic_fetch_add_explicit((_Atomic uint32_t *)&sf_log_self.session->made_logs, 1, memory_order_relaxed);
    relay->next = relays;
    relays = relay;
    *out = relay;
    return 0;
}

/* Whether `count` more records fit. */
static bool has_room(struct sf_relay *relay, uint64_t count)
{
    struct sf_log_header *header = header_of(relay);
    uint64_t capacity = header->capacity, end = relay->head + count;
    /* acquire: the collector has copied all records before tail; partner: its store of tail */
    if (end - atomic_load_explicit((_Atomic uint64_t *)&header->tail, memory_order_acquire) > capacity)
        return false;
    if (relay->file.reserved >= capacity || end <= relay->file.reserved)
        return true;
    uint64_t more = relay->file.reserved * 2;
    return !sf_log_file_reserve(&relay->file, more > end ? more : end, capacity) ||
           !sf_log_file_reserve(&relay->file, end, capacity);
}

static void lose(struct sf_relay *relay, uint64_t count)
{
    relay->lost_pending += count;
    sf_relay_count(relay, count, 0);
}

/* Stores a record that has its place. */
static void store(struct sf_relay *relay, const struct sf_record *record)
{
    struct sf_log_header *header = header_of(relay);
    struct sf_record *records = (struct sf_record *)((char *)header + SF_LOG_RECORDS_OFFSET);
    *(volatile uint64_t *)&header->begun += 1;
    atomic_signal_fence(memory_order_seq_cst); /* as in sf_log_write_at */
    records[relay->head & (header->capacity - 1)] = *record;
    /* release: partner is the collector's read of head, before it reads the records */
    atomic_store_explicit((_Atomic uint64_t *)&header->head, ++relay->head, memory_order_release);
}

/* Stores a record, or counts it as lost. */
static void put(struct sf_relay *relay, const struct sf_record *record)
{
    if (!has_room(relay, relay->lost_pending ? 2 : 1)) {
        lose(relay, 1);
        return;
    }
    if (relay->lost_pending) {
        struct sf_record gap = {
            .tsc = relay->last_tsc, .kind = SF_EVENT_LOST, .a = relay->lost_pending, .b = relay->last_tsc};
        relay->lost_pending = 0;
        store(relay, &gap);
    }
    relay->last_tsc = record->tsc;
    store(relay, record);
}

static void exchange_lanes(const struct sf_relay *relay, struct sf_record *record)
{
    uint32_t lane = record->flags >> SF_LANE_SHIFT, with = relay->lane;
    lane = lane == with ? 0 : lane == 0 ? with : lane;
    record->flags = (uint16_t)((record->flags & SF_PHASE_MASK) | lane << SF_LANE_SHIFT);
}

/* The record as it is stored here. */
static struct sf_record translate(const struct sf_relay *relay, const struct sf_relay_clock *clock,
                                  const struct sf_record *from)
{
    struct sf_record record = *from;
    record.tsc = sf_relay_time(clock, from->tsc);
    if (record.tsc < relay->last_tsc)
        record.tsc = relay->last_tsc;
    if (from->kind == SF_EVENT_PICKLED || from->kind == SF_EVENT_COPIED || from->kind == SF_EVENT_LOST)
        record.b = sf_relay_time(clock, from->b);
    if (from->kind == SF_EVENT_THREAD &&
        from->a == relay->worker_start) /* the first thread, known by its log's start */
        record.a = header_of(relay)->start_tsc;
    if (relay->lane < SF_LANE_MAX)
        exchange_lanes(relay, &record);
    return record;
}

static uint32_t lane_of_first_chunk(const struct sf_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (records[i].kind == SF_EVENT_CHUNK)
            return records[i].flags >> SF_LANE_SHIFT;
    return SF_LANE_MAX;
}

static void wake_collector(const struct sf_relay *relay)
{
    struct sf_log_header *header = header_of(relay);
    if (relay->head - header->tail >= header->capacity / 2)
        sf_log_wake_collector();
}

void sf_relay_write(struct sf_relay *relay, const struct sf_relay_clock *clock, const struct sf_record *records,
                    size_t count, uint64_t error_ns)
{
    if (!relay->file.mapped || header_of(relay)->magic != SF_LOG_MAGIC || !count)
        return;
    if (relay->lane == SF_LANE_MAX)
        relay->lane = lane_of_first_chunk(records, count);
    struct sf_record remote = translate(relay, clock, &records[0]);
    remote.kind = SF_EVENT_REMOTE;
    remote.flags = SF_PHASE_INSTANT;
    remote.object = 0;
    remote.a = count;
    remote.b = error_ns;
    put(relay, &remote);
    for (size_t i = 0; i < count; i++) {
        struct sf_record record = translate(relay, clock, &records[i]);
        put(relay, &record);
    }
    wake_collector(relay);
}

void sf_relay_lose(struct sf_relay *relay, uint64_t count)
{
    if (relay->file.mapped && count)
        lose(relay, count);
}

void sf_relay_count(struct sf_relay *relay, uint64_t lost, uint64_t torn)
{
    struct sf_log_header *header = header_of(relay);
    if (!header)
        return;
    *(volatile uint64_t *)&header->begun += lost + torn;
    atomic_signal_fence(memory_order_seq_cst);
    *(volatile uint64_t *)&header->lost += lost;
}
