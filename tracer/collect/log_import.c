/* See log_import.h.
 *
 * Invariants: taken = elsewhere + collected + bad + unreadable, which are all records that were taken out of the log.
 * counts.taken is stored in the same transaction as the rows, and the log's tail is moved after the commit. So no
 * record is stored twice and none is skipped, whenever the collector is killed. A record that no writer could have
 * written is counted, but not stored. */
#include "collect/log_import.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "collect/ancestors.h"
#include "collect/room.h"
#include "collect/spares.h"

enum { BATCH = 4096 };
static struct sf_record batch[BATCH]; /* one buffer will do: a collector has one thread */

/* The records that the counts explain; equals counts.taken. */
static uint64_t accounted(const struct store_log *counts)
{
    return counts->elsewhere + counts->collected + counts->bad_kind + counts->bad_phase + counts->bad_time +
           counts->unreadable;
}

int log_import_open(struct log_import **out, const struct log_import_context *context, const char *file)
{
    *out = NULL;
    struct log_import *import = calloc(1, sizeof *import);
    if (!import)
        return -ENOMEM;
    snprintf(import->file, sizeof import->file, "%s", file);
    import->reader.fd = import->reader.spill.fd = import->author.process.pidfd = -1;
    import->death = DEATHS_NONE;
    int error = strlen(file) < sizeof import->file
                    ? reader_open(&import->reader, context->dir_fd, file, context->capacity)
                    : -EBADMSG;
    if (error == -EBADMSG || error == -EPERM) {
        import->refused = true;
        error = 0;
    }
    if (error) {
        log_import_free(import);
        return error;
    }
    *out = import;
    return 0;
}

void log_import_free(struct log_import *import)
{
    if (!import)
        return;
    reader_close(&import->reader);
    deaths_unwatch(import->deaths, import->death);
    author_close(&import->author);
    spans_free(import->spans);
    texts_free(import->texts);
    free(import->lanes);
    free(import);
}

/* NULL: no memory. */
static struct log_lane *lane_at(struct log_import *import, unsigned lane)
{
    if (lane >= import->lane_count) {
        unsigned count = import->lane_count ? import->lane_count : 1;
        while (count <= lane)
            count *= 2;
        struct log_lane *grown = realloc(import->lanes, count * sizeof *grown);
        if (!grown)
            return NULL;
        memset(grown + import->lane_count, 0, (count - import->lane_count) * sizeof *grown);
        import->lanes = grown;
        import->lane_count = count;
    }
    return &import->lanes[lane];
}

/* From here on the lane is that thread's. The last lane may be shared, so nothing is known about it. */
static void set_thread(struct log_import *import, unsigned lane, uint64_t thread)
{
    struct log_lane *at = lane < SF_LANE_MAX ? lane_at(import, lane) : NULL;
    if (at)
        at->thread = thread;
}

/* What the begin and the end of a span have in common, see log_format.h. The spans of a thread whose lane another one
 * has now find no end any more, because a thread is part of their key. */
static struct span_key span_key(const struct log_import *import, unsigned kind, int64_t object, uint64_t a,
                                unsigned lane)
{
    struct span_key key = {.object = object, .kind = kind};
    if (kind == SF_EVENT_SPAN && a)
        key.number = a;
    else if (lane < import->lane_count && import->lanes[lane].thread)
        key.thread = import->lanes[lane].thread;
    else
        key.thread = lane + 1;
    return key;
}

/* Returns the row of the begin; 0: there is none. */
static int64_t end_span(struct log_import *import, const struct span_key *key, uint64_t b)
{
    if (key->kind == SF_EVENT_SPAN && b == 1) {
        import->counts.begun_before++;
        return 0;
    }
    return spans_end(import->spans, key);
}

/* Opens and ends in import->spans the spans of the events that an earlier collector stored. */
static void restore_spans(struct log_import *import, sqlite3 *db)
{
    sqlite3_stmt *s;
    if (sqlite3_prepare_v2(
            db,
            "SELECT rowid, kind, object, phase, lane, a, b FROM event WHERE process = ? AND seq >= ? AND seq < ? "
            "ORDER BY seq",
            -1, &s, NULL) != SQLITE_OK)
        return;
    sqlite3_bind_int64(s, 1, import->counts.process);
    sqlite3_bind_int64(s, 2, (int64_t)import->counts.first_seq);
    sqlite3_bind_int64(s, 3, (int64_t)(import->counts.first_seq + import->counts.taken));
    while (sqlite3_step(s) == SQLITE_ROW) {
        unsigned kind = (unsigned)sqlite3_column_int(s, 1), lane = (unsigned)sqlite3_column_int(s, 4);
        uint64_t a = (uint64_t)sqlite3_column_int64(s, 5), b = (uint64_t)sqlite3_column_int64(s, 6);
        struct span_key key = span_key(import, kind, sqlite3_column_int64(s, 2), a, lane);
        switch (sqlite3_column_int(s, 3)) {
        case SF_PHASE_BEGIN:
            spans_begin(import->spans, &key, sqlite3_column_int64(s, 0));
            break;
        case SF_PHASE_END:
            end_span(import, &key, b);
            break;
        default:
            if (kind == SF_EVENT_LOST)
                spans_clear(import->spans);
            else if (kind == SF_EVENT_THREAD)
                set_thread(import, lane, a);
        }
    }
    sqlite3_finalize(s);
}

/* Reads the counts that an earlier collector stored of this log. false: there are none. */
static bool restore_counts(struct log_import *import, sqlite3 *db)
{
    struct store_log *k = &import->counts;
    sqlite3_stmt *s;
    if (sqlite3_prepare_v2(
            db,
            "SELECT process, first_tsc, last_tsc, exit_tsc, exit_status, seen_tsc, taken, collected, "
            "elsewhere, bad_kind, bad_phase, bad_time, unreadable, backwards, gaps, first_seq, id FROM log "
            "WHERE file = ? ORDER BY id DESC LIMIT 1",
            -1, &s, NULL) != SQLITE_OK)
        return false;
    sqlite3_bind_text(s, 1, import->file, -1, SQLITE_STATIC);
    bool found = sqlite3_step(s) == SQLITE_ROW;
    if (found) {
        k->process = sqlite3_column_int64(s, 0);
        k->exit_status = sqlite3_column_int64(s, 4);
        k->id = sqlite3_column_int64(s, 16);
        uint64_t *const into[] = {NULL,           &k->first_tsc, &k->last_tsc,  &k->exit_tsc,
                                  NULL,           &k->seen_tsc,  &k->taken,     &k->collected,
                                  &k->elsewhere,  &k->bad_kind,  &k->bad_phase, &k->bad_time,
                                  &k->unreadable, &k->backwards, &k->gaps,      &k->first_seq};
        for (int i = 0; i < (int)(sizeof into / sizeof *into); i++)
            if (into[i])
                *into[i] = (uint64_t)sqlite3_column_int64(s, i);
    }
    sqlite3_finalize(s);
    if (found)
        restore_spans(import, db);
    return found;
}

/* The earliest time at which this process can have begun. An older log with its pid was written by another process. */
static uint64_t born_tsc(const struct sf_log_header *h, const struct clock *clock)
{
    uint64_t age = h->age_ns ? clock_ticks(clock, (int64_t)h->age_ns) : 0;
    age += age >> 10; /* the clock's rate may be off by so much at the start */
    return age < h->start_tsc ? h->start_tsc - age : 0;
}

bool log_import_continues(const struct log_import *import, const struct log_import *before,
                          const struct log_import_context *context)
{
    const struct sf_log_header *h = &import->reader.header, *old = &before->reader.header;
    return !import->refused && !before->refused && h->pid == old->pid && h->space == old->space &&
           old->start_tsc < h->start_tsc && old->start_tsc >= born_tsc(h, context->clock);
}

int log_import_register(struct log_import *import, const struct log_import_context *context)
{
    const struct sf_log_header *h = &import->reader.header;
    struct store_log *k = &import->counts;
    char name[SF_NAME_BYTES + 1];

    import->spans = spans_new();
    import->texts = texts_new();
    if (!import->spans || !import->texts)
        return -ENOMEM;
    uint64_t now = clock_tsc();
    int64_t age_ns = now > h->start_tsc ? clock_ns(context->clock, now) - clock_ns(context->clock, h->start_tsc) : 0;
    author_open(&import->author, import->reader.fd, (pid_t)h->pid, h->space, age_ns);
    if (!context->recovering || !restore_counts(import, store_connection(context->store))) {
        text_clean(name, sizeof name, h->name, sizeof h->name);
        int64_t task = ids_get(context->ids, STORE_TASK, store_family(h), h->task);
        k->process = store_process_since(context->store, h, born_tsc(h, context->clock));
        if (!k->process)
            k->process = store_process(context->store, h, import->author.pid, name, task,
                                       clock_ns(context->clock, h->start_tsc));
        store_new_log(context->store, k, import->file, h, import->author.pid);
        store_log_name(context->store, k->id, name);
        if (h->age_ns) /* it was not forked with a log */
            ancestors_find(context->store, k->process, import->author.pid);
        if (task)
            store_task(context->store, task, NULL, 0, k->process, 0);
        store_thread(context->store, &(struct store_thread){.process = k->process,
                                                            .since_tsc = h->start_tsc,
                                                            .first_tsc = h->start_tsc,
                                                            .first_seq = k->first_seq,
                                                            .tid = h->pid,
                                                            .name = SF_FIRST_THREAD_NAME});
    }
    uint64_t next = import->reader.next; /* records before it were stored, by a collector that wrote another database */
    if (next > k->taken) {
        k->elsewhere += next - k->taken;
        k->taken = next;
    }
    reader_skip(&import->reader, k->taken);
    import->changed = true;
    import->alive_tsc = now;
    if (import->author.pid)
        room_add_process(import->author.pid);
    import->deaths = context->deaths;
    if (!import->author.end_is_unknown)
        import->death = deaths_watch(import->deaths, import->author.process.pidfd);
    return 0;
}

double log_import_look(struct log_import *import)
{
    struct store_log *k = &import->counts;
    if (k->damaged)
        return 0;
    if (reader_look(&import->reader)) {
        k->damaged = import->changed = true;
        return 0;
    }
    const struct sf_log_header *h = &import->reader.header;
    k->begun = h->begun; /* these alone do not make `changed` true: they are stored with the next records */
    k->lost = h->lost;
    return (double)(h->head - import->reader.tail) / h->capacity;
}

uint64_t log_import_left(const struct log_import *import)
{
    return import->counts.damaged ? 0 : import->reader.header.head - import->reader.next;
}

int log_import_set_aside(struct log_import *import)
{
    return import->counts.damaged ? 0 : reader_set_aside(&import->reader, batch, BATCH);
}

/* The row id of the task or channel that a WAIT record has the number of. */
static int64_t waited_for(const struct log_import_context *context, int64_t family, uint64_t what, uint64_t number)
{
    bool channel = what == SF_WAIT_MESSAGE || what == SF_WAIT_ROOM;
    return ids_get(context->ids, channel ? STORE_CHANNEL : STORE_TASK, family, number);
}

static const char *task_kind(uint64_t kind)
{
    static const char *const names[] = {[SF_TASK_THREAD] = "thread",   [SF_TASK_GENERATOR] = "generator",
                                        [SF_TASK_MAP] = "map",         [SF_TASK_MAP_WORKER] = "map-worker",
                                        [SF_TASK_PROCESS] = "process", [SF_TASK_EXECUTOR_WORKER] = "executor-worker"};
    return kind < sizeof names / sizeof *names ? names[kind] : NULL;
}

static const char *channel_kind(uint64_t kind)
{
    static const char *const names[] = {
        [SF_CHANNEL_OWN] = "channel", [SF_CHANNEL_PIPE] = "pipe", [SF_CHANNEL_REST] = "other pipes"};
    return kind < sizeof names / sizeof *names ? names[kind] : NULL;
}

/* Applies what a record means beyond its row of `event`. Where e's object, a or b is a number that the process gave, it
 * is replaced by a row id. */
static void interpret(struct log_import *import, const struct log_import_context *context, const struct sf_record *r,
                      struct store_event *e)
{
    struct store_log *k = &import->counts;
    const char *text;
    switch (r->kind) {
    case SF_EVENT_LOST:
        k->gaps++;
        spans_clear(import->spans);
        texts_clear(import->texts);
        break;
    case SF_EVENT_TEXT:
        text = r->object ? texts_add(import->texts, r->object, r->a, r->b) : NULL;
        if (text)
            ids_set_text(context->ids, k->id, r->object, text);
        e->object = text ? ids_get(context->ids, STORE_TEXT, k->id, r->object) : 0;
        break;
    case SF_EVENT_TASK:
        e->a = ids_get(context->ids, STORE_TEXT, k->id, r->a);
        if (e->object)
            store_task(context->store, e->object, task_kind(r->b), e->a, r->b == SF_TASK_MAP ? k->process : 0,
                       k->process);
        break;
    case SF_EVENT_CHANNEL:
        if (e->object)
            store_channel(context->store, e->object, channel_kind(r->b), e->a, k->process);
        break;
    case SF_EVENT_CHANNEL_NAME:
        e->a = ids_get(context->ids, STORE_TEXT, k->id, r->a);
        if (e->object)
            store_channel_name(context->store, e->object, e->a);
        break;
    case SF_EVENT_FRAME:
        e->a = ids_get(context->ids, STORE_TEXT, k->id, r->a);
        e->object = ids_set_frame(context->ids, k->id, r->object, e->a,
                                  ids_get(context->ids, STORE_TEXT, k->id, r->b & UINT32_MAX), (int64_t)(r->b >> 32));
        break;
    case SF_EVENT_STACK:
        e->a = ids_get(context->ids, STORE_STACK, k->id, r->a);
        e->b = ids_get(context->ids, STORE_FRAME, k->id, r->b);
        e->object = ids_set_stack(context->ids, k->id, r->object, e->a, e->b);
        break;
    case SF_EVENT_WAIT:
        e->b = waited_for(context, store_family(&import->reader.header), r->a, r->b);
        break;
    case SF_EVENT_THREAD:
        set_thread(import, e->lane, r->a);
        store_thread(context->store, &(struct store_thread){.process = k->process,
                                                            .since_tsc = r->a,
                                                            .lane = e->lane,
                                                            .first_tsc = r->tsc,
                                                            .first_seq = e->seq,
                                                            .tid = e->b,
                                                            .text = e->object});
        break;
    case SF_EVENT_EXIT:
        k->exit_tsc = r->tsc;
        k->exit_status = e->a;
        break;
    case SF_EVENT_USAGE:
        import->usage_tsc = r->tsc;
        break;
    case SF_EVENT_REAP:
        store_reap(context->store, e->a, r->tsc, k->process, e->b);
        break;
    default:
        break;
    }
}

static int64_t object_id(const struct log_import *import, const struct log_import_context *context,
                         const struct sf_record *r)
{
    enum { TASK, CHANNEL, TEXT, FRAME, STACK, NONE };
    static const unsigned char types[] = {
#define X(id, name, phase, object, a, b, doc) [id] = (object),
#include "abi/events.def"
#undef X
    };
    switch (types[r->kind]) {
    case TASK:
        return ids_get(context->ids, STORE_TASK, store_family(&import->reader.header), r->object);
    case CHANNEL:
        return ids_get(context->ids, STORE_CHANNEL, store_family(&import->reader.header), r->object);
    case STACK: /* what a STACK or FRAME record itself defines has no row yet either */
        return r->kind == SF_EVENT_STACK ? 0 : ids_get(context->ids, STORE_STACK, import->counts.id, r->object);
    case TEXT: /* a TEXT record's number has no row before the text is complete: see interpret */
        return r->kind == SF_EVENT_TEXT ? 0 : ids_get(context->ids, STORE_TEXT, import->counts.id, r->object);
    default:
        return 0;
    }
}

static void note_time(struct log_import *import, unsigned lane, uint64_t tsc)
{
    struct store_log *k = &import->counts;
    struct log_lane *at = lane_at(import, lane);
    if (!at)
        return;
    if (tsc < at->tsc && lane < SF_LANE_MAX) /* the last lane may be shared by threads */
        k->backwards++;
    at->tsc = tsc;
    if (!k->first_tsc || tsc < k->first_tsc)
        k->first_tsc = tsc;
    if (tsc > k->last_tsc)
        k->last_tsc = tsc;
}

static void take_one(struct log_import *import, const struct log_import_context *context, const struct sf_record *r,
                     uint64_t number)
{
    unsigned phase = r->flags & SF_PHASE_MASK, lane = r->flags >> SF_LANE_SHIFT;
    struct store_event e = {.process = import->counts.process,
                            .seq = import->counts.first_seq + number,
                            .tsc = r->tsc,
                            .kind = r->kind,
                            .phase = phase,
                            .lane = lane,
                            .a = (int64_t)r->a,
                            .b = (int64_t)r->b};
    e.object = object_id(import, context, r);
    interpret(import, context, r, &e);
    struct span_key key = span_key(import, r->kind, e.object, r->a, lane);
    if (phase == SF_PHASE_END)
        e.begin = end_span(import, &key, r->b);
    int64_t row = store_event(context->store, &e);
    if (phase == SF_PHASE_BEGIN)
        spans_begin(import->spans, &key, row);
    note_time(import, lane, r->tsc);
    import->counts.collected++;
}

size_t log_import_take(struct log_import *import, const struct log_import_context *context)
{
    struct sf_record *records = batch;
    struct store_log *k = &import->counts;
    size_t count;

    if (k->damaged)
        return 0;
    uint64_t first = import->reader.next;
    if (reader_read(&import->reader, records, BATCH, &count)) {
        k->unreadable += import->reader.header.head - first;
        k->taken = import->reader.header.head;
        k->damaged = import->changed = true;
        return 0;
    }
    if (!count)
        return 0;
    uint64_t slack = clock_ticks(context->clock, NS_PER_S); /* the counters of different CPUs may differ a little */
    uint64_t missing = k->taken - accounted(k);             /* 0, unless an earlier collector's counts are damaged */
    (void)missing;
    uint64_t from_tsc = context->start_tsc > slack ? context->start_tsc - slack : 0, to_tsc = clock_tsc() + slack;
    for (size_t i = 0; i < count; i++) {
        switch (reader_check(&records[i], from_tsc, to_tsc)) {
        case READER_SOUND:
            take_one(import, context, &records[i], first + i);
            break;
        case READER_BAD_KIND:
            k->bad_kind++;
            break;
        case READER_BAD_PHASE:
            k->bad_phase++;
            break;
        case READER_BAD_TIME:
            k->bad_time++;
            break;
        }
    }
    k->taken = first + count;
    assert(k->taken - accounted(k) == missing);
    import->changed = true;
    return count;
}

void log_import_store_counts(struct log_import *import, const struct log_import_context *context)
{
    if (!import->changed)
        return;
    import->counts.unmatched = spans_unmatched(import->spans);
    store_log(context->store, &import->counts);
    import->changed = false;
}

void log_import_release(struct log_import *import)
{
    if (!import->counts.damaged)
        reader_release(&import->reader, import->counts.taken);
}

static void put_open_span(void *arg, int64_t event)
{
    store_open_span(arg, event);
}

/* When the process ended, or until when it ran, if nobody has watched its end: what it did after that is not known. 0:
 * it had ended before its log was found, or it cannot be seen from here; so its last record is all that is known of its
 * end. A process that runs and has written its USAGE last has stopped the trace: what follows is the time that stopping
 * takes, and not the program's. */
static uint64_t seen_tsc(struct log_import *import, bool running)
{
    if (running && import->usage_tsc && import->usage_tsc == import->counts.last_tsc)
        return import->usage_tsc;
    uint64_t died_tsc = running ? 0 : deaths_tsc(import->deaths, import->death);
    if (!running && import->author.end_is_unknown)
        return 0;
    bool at_once = running || import->death != DEATHS_NONE; /* over_tsc is no more than a moment late */
    return died_tsc ? died_tsc : at_once ? import->over_tsc : import->alive_tsc;
}

void log_import_end(struct log_import *import, const struct log_import_context *context, bool running)
{
    char name[SF_NAME_BYTES + 1];
    assert(!import->ended);
    reader_look_name(&import->reader);
    if (text_clean(name, sizeof name, import->reader.header.name, sizeof import->reader.header.name))
        store_log_name(context->store, import->counts.id, name);
    spans_each_open(import->spans, put_open_span, context->store);
    import->counts.seen_tsc = seen_tsc(import, running);
    import->counts.running = running;
    import->changed = import->ended = true;
    log_import_store_counts(import, context);
}

void log_import_remove(struct log_import *import, const struct log_import_context *context)
{
    assert(import->ended && !import->changed && !log_import_left(import));
    spill_remove(&import->reader.spill);
    reader_close(&import->reader);
    if (import->counts.damaged)
        unlinkat(context->dir_fd, import->file, 0);
    else
        spares_recycle(context->dir_fd, import->file);
    log_import_free(import);
}
