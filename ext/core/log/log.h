/* This process's event log: the writer's side of abi/log_format.h.
 *
 * There is one log per process. The caller must make sure that only one thread at a time writes into it: the Python
 * layer writes with the interpreter lock held. Writing never fails, blocks or faults; a record that finds no room is
 * counted as lost.
 *
 * Forks. While this process is in a session, every child of it, also one made by os.fork, starts a log of its own in an
 * atfork handler and writes START there. sf_log_fork_as sets the next child's task and name. */
#ifndef SF_CORE_LOG_LOG_H
#define SF_CORE_LOG_LOG_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "abi/log_format.h"
#include "core/log/lanes.h"
#include "core/os/tsc.h"

/* The writer's own state. While head < limit, record number `head` may be written at once. Everything else (no log, a
 * full one, pages to be reserved, the collector to be woken) makes head reach the limit, and sf_log_make_room handles
 * it. */
struct sf_log {
    struct sf_session_header *session; /* NULL: no session */
    struct sf_log_header *header;      /* NULL: this process has no log (yet) */
    struct sf_record *records;
    uint64_t head, limit, mask;
    uint64_t spans; /* the last number that sf_log_next_span has given */
};
extern struct sf_log sf_log_self;

/* Joins the session in `directory` and starts this process's log. 0 or -errno: -EPERM: the directory or its session
 * file is not this user's alone (or a symlink), -EPROTO: not a session of this version, -ESHUTDOWN: it is over,
 * -EALREADY: this process is in a session. */
int sf_log_attach(const char *directory);

/* Leaves the session: nothing is written after it. */
void sf_log_detach(void);

/* The directory of the session this process is in; "" if none. */
const char *sf_log_directory(void);

/* A descriptor of that directory, or -errno: it is gone, or there is none. It stays this file's. */
int sf_log_directory_fd(void);

/* When this process's log began; 0: it has none. */
uint64_t sf_log_start_tsc(void);

/* Asks the collector to finish (state STOPPING) and wakes it. */
void sf_log_request_stop(void);

/* Calls `closed` whenever this process's log is closed from now on: when it leaves its session, and in every child. */
void sf_log_when_closed(void (*closed)(void));

/* Wakes the session's collector. */
void sf_log_wake_collector(void);

/* The name of this process, for people: copied, cut at SF_NAME_BYTES - 1. Before sf_log_attach: a log that exists keeps
 * the name it has. */
void sf_log_set_name(const char *name);

/* The same at any time: a log that exists gets the name too. */
void sf_log_rename(const char *name);

/* The task and name of the child that the calling thread's next fork makes; 0 and NULL: it is not snakefish's. Reset by
 * the fork. */
void sf_log_fork_as(uint32_t task, const char *name);

/* The child that the calling thread's next fork makes gets no log: it runs nothing of the program's. Reset as above,
 * also by sf_log_fork_as(0, NULL). */
void sf_log_fork_unseen(void);

/* The next task or channel number, unique in the tree of forks below the first process that called sf_log_init. */
uint32_t sf_log_next_task(void);
uint32_t sf_log_next_channel(void);

/* The next number of something submitted (SUBMIT), unique in this process. */
uint64_t sf_log_next_submit(void);

/* The family's number, a random one. Task and channel numbers are unique only within a family. */
uint64_t sf_log_family(void);

/* Makes the shared counters and the atfork handlers, with this process as the family's root. Once per process tree,
 * before anything else here; calling it again does nothing. 0 or -errno. */
int sf_log_init(void);

/* True while events are wanted: one load when there is no session. */
static inline bool sf_log_enabled(void)
{
    struct sf_session_header *session = sf_log_self.session;
    /* relaxed: a few events more or less at the end of a session do no harm */
    return session &&
           atomic_load_explicit((_Atomic uint32_t *)&session->state, memory_order_relaxed) == SF_SESSION_ACTIVE;
}

/* Makes room for one more record. False: there is none, and the record was counted as lost. */
bool sf_log_make_room(uint64_t tsc);

/* The calling thread's first event: gives it a lane, and writes a THREAD event. Returns the time of now, which that
 * first event has to take, because tsc does not decrease within a lane. */
uint64_t sf_log_enter_lane(void);

/* Names threads. `name` returns the number of a thread's name as sf_log_text gives it, 0 for none; a process's first
 * thread (lane 0) needs no name while it has the usual one. It may be called during any write of an event, and raises
 * nothing. */
void sf_log_name_threads_by(uint32_t (*name)(uint32_t lane, uint64_t thread));

/* The thread (pthread_self) has another name now. Does nothing if it has no lane of its own, and so no name. */
void sf_log_rename_thread(uint64_t thread, uint32_t text);

/* A number for a span, which both of its ends have. It is unique in this process and those that it was forked from. */
static inline uint64_t sf_log_next_span(void)
{
    return ++sf_log_self.spans;
}

static inline void sf_log_write_at(uint64_t tsc, enum sf_event_kind kind, enum sf_phase phase, uint32_t object,
                                   uint64_t a, uint64_t b)
{
    struct sf_log *log = &sf_log_self;
    if (__builtin_expect(sf_lanes_own > SF_LANE_MAX, 0))
        tsc = sf_log_enter_lane();
    if (__builtin_expect(log->head >= log->limit, 0) && !sf_log_make_room(tsc))
        return;
    assert(log->head < log->limit);
    assert(log->header->begun == log->head + log->header->lost || !log->header->magic); /* 0: see sf_log_make_room */
    struct sf_record *record = &log->records[log->head & log->mask];
    /* Between begun and the record, volatile and a compiler fence are enough: when the process is killed, memory has
     * what its own instructions stored, in their order. */
    *(volatile uint64_t *)&log->header->begun += 1;
    atomic_signal_fence(memory_order_seq_cst);
    record->tsc = tsc;
    record->kind = (uint16_t)kind;
    record->flags = (uint16_t)(phase | sf_lanes_own << SF_LANE_SHIFT);
    record->object = object;
    record->a = a;
    record->b = b;
    /* release: partner is the collector's read of head, before it reads the records */
    atomic_store_explicit((_Atomic uint64_t *)&log->header->head, ++log->head, memory_order_release);
}

/* Writes an event with the time of now, if events are wanted. */
static inline void sf_log_write(enum sf_event_kind kind, enum sf_phase phase, uint32_t object, uint64_t a, uint64_t b)
{
    if (__builtin_expect(sf_log_enabled(), 0))
        sf_log_write_at(sf_tsc_read(), kind, phase, object, a, b);
}
static inline void sf_log_write_fenced(enum sf_event_kind kind, enum sf_phase phase, uint32_t object, uint64_t a,
                                       uint64_t b)
{
    if (__builtin_expect(sf_log_enabled(), 0))
        sf_log_write_at(sf_tsc_read_fenced(), kind, phase, object, a, b);
}

/* Writes an event with the time of now in the lane of that thread (pthread_self) of this process; in the calling
 * thread's if it has none of its own. */
void sf_log_write_for(uint64_t thread, enum sf_event_kind kind, uint32_t object, uint64_t a, uint64_t b);

/* A stretch of time that is recorded by one event at its end. begin: the time of now, 0 if events are not wanted.
 * Cheaper than a span, for what need not be seen while it lasts. */
static inline uint64_t sf_log_stretch_begin(void)
{
    return __builtin_expect(sf_log_enabled(), 0) ? sf_tsc_read() : 0;
}
static inline void sf_log_stretch(enum sf_event_kind kind, uint64_t from, uint64_t a)
{
    if (__builtin_expect(from != 0, 0))
        sf_log_write(kind, SF_PHASE_INSTANT, 0, a, from);
}

/* Writes a text into the log and returns its number in it, for TASK, MARK and SPAN; 0 when events are not wanted. A
 * text number is valid as long as sf_log_texts_era() stays the same: it changes with each new log, after a fork or in
 * another session. */
uint32_t sf_log_text(const char *text, uint64_t bytes);
uint32_t sf_log_texts_era(void);

/* How many forks lie between this process and the one that loaded the library. It differs from those of all processes
 * that this one descends from, so it tells whether something noted belongs to this process. A pid does not: the first
 * process of a pid namespace and the first one of a namespace inside it are both 1. */
uint32_t sf_log_forks(void);

#endif
