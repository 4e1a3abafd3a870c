/* The slow half of the event log: joining sessions, making logs, making room. The fast half is inline in log.h.
 *
 * Who writes. In a log: its process, one thread at a time. In the session file: writers add to `wake` and `lost_logs`,
 * and turn ACTIVE into STOPPING; everything else is the collector's. Nothing here is freed before sf_log_detach.
 *
 * `limit` is the least of: tail as last seen + capacity (then the log is full), the records whose pages are reserved,
 * those whose pages are mapped, and the next half-full mark, at which the collector is woken. A writer that reaches the
 * limit makes room; before that, a record costs its stores only.
 *
 * Invariants
 * - head <= limit <= tail as last seen + capacity, so no record overwrites one that the collector has not taken.
 * - Before the first round is complete, limit <= reserved: no store touches a page that is not reserved.
 * - begun - head - lost is 0 between two records, and 1 while one is written (log_format.h). */
#include "core/log/log.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log/log_file.h"
#include "core/log/session.h"
#include "core/log/text.h"
#include "core/os/debug.h"
#include "core/os/futex.h"
#include "core/os/identity.h"
#include "core/os/own_fd.h"
#include "core/os/shm.h"

struct sf_log sf_log_self;
static uint32_t (*thread_name)(uint32_t lane, uint64_t thread);
static void (*when_closed)(void);

/* The last numbers given out, shared by all processes of a family; made by the process at its root. */
struct family {
    _Atomic uint32_t tasks, channels;
};
static struct family *family;
static uint64_t family_number;
static uint32_t forks; /* see sf_log_forks */

static struct {
    char directory[PATH_MAX];
    struct sf_own_fd directory_fd;
    struct sf_log_file file;
    char name[SF_NAME_BYTES];
    pid_t pid;                        /* this process's; in a new child still its parent's */
    uint32_t space;                   /* the pid namespace that this is a number of */
    uint32_t texts;                   /* how many numbers of texts were given out in this log */
    uint32_t era;                     /* number of logs closed so far */
    uint64_t mapped;                  /* of a log that was a spare: records whose pages are mapped in this process */
    uint64_t lost_pending, lost_from; /* records lost since the last one written, tsc of the first of them */
    uint64_t woken_at;                /* tail + 1 as it was when the collector was last woken */
} own = {.directory_fd = {.fd = -1}, .file = {.fd = {.fd = -1}}};

/* The arguments of sf_log_fork_as. Each thread has its own, because another thread may fork in between; the forking
 * thread's copy goes with it into the child. */
static __thread struct {
    uint32_t task;
    bool unseen;
    char name[SF_NAME_BYTES];
} next_fork __attribute__((tls_model("initial-exec")));

void sf_log_wake_collector(void)
{
    /* relaxed: it only has to change; the collector looks at everything anyway */
    atomic_fetch_add_explicit((_Atomic uint32_t *)&sf_log_self.session->wake, 1, memory_order_relaxed);
    sf_futex_wake((_Atomic uint32_t *)&sf_log_self.session->wake, 1);
}

/* Reserves as much again as there is, up to SF_LOG_STEP_BYTES; if memory is too short for that, the least possible. */
static void reserve_more_pages(void)
{
    uint64_t least = SF_LOG_FIRST_BYTES / sizeof(struct sf_record), most = SF_LOG_STEP_BYTES / sizeof(struct sf_record);
    uint64_t capacity = sf_log_self.mask + 1;
    uint64_t reserved = own.file.reserved;
    if (sf_log_file_reserve(&own.file, reserved + (reserved < most ? reserved : most), capacity))
        sf_log_file_reserve(&own.file, reserved + least, capacity);
}

/* Maps the next pages of a log that was a spare, by a read: a fault for reading maps all pages around it that are in
 * memory, a fault for writing only its own page. Mapping by writes would cost five times as much. */
static void map_more_pages(void)
{
    enum { AROUND_BYTES = 65536 }; /* what one fault maps, aligned: fault_around_bytes of the kernel */
    const char *at = (const char *)&sf_log_self.records[own.mapped];
    *(const volatile char *)at;
    own.mapped += (AROUND_BYTES - (uintptr_t)at % AROUND_BYTES) / sizeof(struct sf_record);
    own.mapped = own.mapped < own.file.ready ? own.mapped : own.file.ready;
    assert(own.mapped <= own.file.ready && own.file.ready <= own.file.reserved);
}

static void close_log(void)
{
    struct sf_log *log = &sf_log_self;
    sf_log_file_close(&own.file);
    log->header = NULL;
    log->records = NULL;
    log->head = log->limit = log->mask = 0;
    own.mapped = own.lost_pending = own.woken_at = 0;
    own.texts = 0;
    own.era++;
    if (when_closed)
        when_closed();
}

/* The session's directory. It is opened once more by its path if the program has closed it, or if somebody has removed
 * it: then the collector makes it anew. Its name is a random one, and it must be this user's alone. The descriptor, or
 * -errno. */
static int open_directory(void)
{
    struct stat st;
    int fd = sf_own_fd_get(&own.directory_fd);
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_nlink)
        return fd;
    sf_own_fd_close(&own.directory_fd);
    int error = sf_own_fd_take_high(&own.directory_fd, sf_session_open(own.directory));
    return error ? error : own.directory_fd.fd;
}

/* Makes this process's log. On failure the process has none and the session counts it. 0 or -errno. */
static int make_log(uint64_t start_tsc, uint64_t age_ns, uint32_t task, pid_t parent, uint64_t parent_tsc)
{
    struct sf_log *log = &sf_log_self;
    char file[64];
    int error, directory = open_directory();
    snprintf(file, sizeof file, SF_LOG_PREFIX "%d.%llu", (int)own.pid, (unsigned long long)start_tsc);
    error = directory < 0 ? directory : sf_log_file_make(&own.file, log->session, directory, file);
    if (error)
        goto out;
    struct sf_log_header *header = own.file.mapped;
    header->version = SF_ABI_VERSION;
    uint32_t capacity = log->session->log_records;
    header->capacity = capacity;
    header->pid = (uint32_t)own.pid;
    header->parent_pid = (uint32_t)parent;
    header->family = (uint32_t)family_number;
    header->family_high = (uint32_t)(family_number >> 32);
    header->space = own.space;
    header->parent_tsc = parent_tsc;
    header->task = task;
    header->start_tsc = start_tsc;
    sf_lanes_begin_log(start_tsc);
    header->age_ns = age_ns;
    memcpy(header->name, own.name, SF_NAME_BYTES);
    log->header = header;
    log->records = (struct sf_record *)((char *)header + SF_LOG_RECORDS_OFFSET);
    log->mask = capacity - 1;
    log->head = 0;
    log->limit = 0; /* the first record computes it */
    /* release: a collector that sees the magic sees the identity above */
    atomic_store_explicit((_Atomic uint64_t *)&header->magic, SF_LOG_MAGIC, memory_order_release);
    atomic_fetch_add_explicit((_Atomic uint32_t *)&log->session->made_logs, 1, memory_order_relaxed);
    /* The collector is not woken: it looks for new logs every 100 ms anyway, and waking it for each fork would take CPU
     * time from the child. */
    error = 0;
out:
    if (error)
        sf_debug(SF_DEBUG_LOG, "cannot make %s: %s", file, strerror(-error));
    else
        sf_debug(SF_DEBUG_LOG, "made %s, %u records", file, log->session->log_records);
    if (error) {
        close_log();
        atomic_fetch_add_explicit((_Atomic uint32_t *)&log->session->lost_logs, 1, memory_order_relaxed);
    }
    return error;
}

/* Counts a record as lost. False, which sf_log_make_room returns then. */
static bool lose_record(uint64_t tsc)
{
    struct sf_log_header *header = sf_log_self.header;
    if (own.lost_pending++ == 0)
        own.lost_from = tsc;
    *(volatile uint64_t *)&header->begun += 1;
    atomic_signal_fence(memory_order_seq_cst); /* as in sf_log_write_at */
    *(volatile uint64_t *)&header->lost += 1;
    return false;
}

bool sf_log_make_room(uint64_t tsc)
{
    struct sf_log *log = &sf_log_self;
    if (!log->header)
        return false;                         /* lost_logs has counted it, when the log could not be made */
    if (log->header->magic != SF_LOG_MAGIC) { /* the file was cut short, and memory of our own is in its place */
        sf_debug(SF_DEBUG_LOG, "the log was cut short by somebody else: nothing more is written");
        close_log();
        atomic_fetch_add_explicit((_Atomic uint32_t *)&log->session->lost_logs, 1, memory_order_relaxed);
        return false;
    }
    uint64_t capacity = log->mask + 1;
    /* acquire: the collector has copied all records before tail; partner: its store of tail */
    uint64_t tail = atomic_load_explicit((_Atomic uint64_t *)&log->header->tail, memory_order_acquire);
    uint64_t room = tail + capacity; /* records with a lower number may be written */
    assert(log->head <= room && own.file.reserved <= capacity);
    if (own.file.reserved < capacity && log->head >= own.file.reserved) {
        /* Where there was no memory, ask again at every 1024th lost record only: otherwise a full /dev/shm would cost a
         * system call for every event. */
        if (own.lost_pending % 1024 == 0) {
            uint64_t before = own.file.reserved;
            reserve_more_pages();
            if (own.file.reserved == before)
                sf_log_wake_collector(); /* it may find that there is more to be had by now */
        }
    }
    if (own.file.reserved < capacity && room > own.file.reserved)
        room = own.file.reserved; /* in the first round */
    uint64_t used = log->head - tail;
    /* Only once for each tail: the records that are lost until the collector comes must not cost a system call each. */
    if (used >= capacity / 2 && own.woken_at != tail + 1) {
        own.woken_at = tail + 1;
        sf_log_wake_collector();
    }
    /* After a loss a LOST record comes first, so two slots are needed. */
    if (log->head + (own.lost_pending ? 1 : 0) >= room)
        return lose_record(tsc);
    uint64_t half = tail + capacity / 2;
    log->limit = log->head < half && half < room ? half : room;
    if (own.mapped < own.file.ready) { /* in the first round of a log that was a spare */
        if (log->head >= own.mapped)
            map_more_pages();
        log->limit = log->limit < own.mapped ? log->limit : own.mapped;
    }
    assert(log->head < log->limit && log->limit <= tail + capacity);
    assert(own.file.reserved == capacity || log->limit <= own.file.reserved);
    if (own.lost_pending) {
        uint64_t lost = own.lost_pending;
        own.lost_pending = 0;
        sf_debug(SF_DEBUG_LOG, "%llu records were lost: the collector had not made room", (unsigned long long)lost);
        sf_log_write_at(tsc, SF_EVENT_LOST, SF_PHASE_INSTANT, 0, lost, own.lost_from);
        if (log->head >= log->limit)
            return sf_log_make_room(tsc);
    }
    return true;
}

/* Writes a THREAD event in the lane of the thread that it is about, which need not be the calling one. */
static void log_thread(uint32_t lane, const struct sf_lane *held, uint32_t name)
{
    uint32_t mine = sf_lanes_own;
    sf_lanes_own = lane;
    sf_log_write(SF_EVENT_THREAD, SF_PHASE_INSTANT, name, held->since, held->tid);
    sf_lanes_own = mine;
}

static void introduce_thread(uint32_t lane, const struct sf_lane *held)
{
    uint32_t name = sf_log_enabled() && thread_name ? thread_name(lane, held->thread) : 0;
    if (lane || name)
        log_thread(lane, held, name);
}

/* In a new log: the threads that have lanes already. */
static void introduce_threads(void)
{
    struct sf_lane held;
    for (uint32_t lane = 0; lane < sf_lanes_end(); lane++)
        if (sf_lanes_holder(lane, &held))
            introduce_thread(lane, &held);
}

void sf_log_when_closed(void (*closed)(void))
{
    when_closed = closed;
}

uint64_t sf_log_enter_lane(void)
{
    struct sf_lane mine = sf_lanes_take(sf_tsc_read());
    introduce_thread(sf_lanes_own, &mine);
    return sf_tsc_read();
}

void sf_log_name_threads_by(uint32_t (*name)(uint32_t lane, uint64_t thread))
{
    thread_name = name;
}

void sf_log_rename_thread(uint64_t thread, uint32_t text)
{
    struct sf_lane held;
    uint32_t lane = sf_lanes_of(thread);
    if (sf_lanes_holder(lane, &held))
        log_thread(lane, &held, text);
}

void sf_log_write_for(uint64_t thread, enum sf_event_kind kind, uint32_t object, uint64_t a, uint64_t b)
{
    if (sf_lanes_own > SF_LANE_MAX && sf_log_enabled())
        sf_log_enter_lane();
    uint32_t mine = sf_lanes_own, lane = sf_lanes_of(thread);
    if (lane <= SF_LANE_MAX)
        sf_lanes_own = lane;
    sf_log_write(kind, SF_PHASE_INSTANT, object, a, b);
    sf_lanes_own = mine;
}

uint32_t sf_log_text(const char *text, uint64_t bytes)
{
    if (!sf_log_enabled() || !sf_log_self.header)
        return 0;
    char writable[SF_TEXT_BYTES_MAX];
    if (!sf_text_is_writable(text, bytes)) {
        bytes = sf_text_make_writable(writable, text, bytes);
        text = writable;
    }
    if (sf_lanes_own > SF_LANE_MAX)
        sf_log_enter_lane();
    uint32_t number = ++own.texts;
    uint64_t tsc = sf_tsc_read();
    for (uint64_t at = 0; at <= bytes; at += 16) { /* <=: the NUL needs a place as well */
        uint64_t piece[2] = {0, 0};
        memcpy(piece, text + at, bytes - at < 16 ? bytes - at : 16);
        sf_log_write_at(tsc, SF_EVENT_TEXT, SF_PHASE_INSTANT, number, piece[0], piece[1]);
    }
    return number;
}

uint32_t sf_log_texts_era(void)
{
    return own.era;
}

uint32_t sf_log_forks(void)
{
    return forks;
}

int sf_log_attach(const char *directory)
{
    if (sf_log_self.session)
        return -EALREADY;
    if (strlen(directory) >= sizeof own.directory)
        return -ENAMETOOLONG;
    int error, fd = sf_session_open(directory);
    if (fd < 0)
        return fd;
    error = sf_session_map(fd, &sf_log_self.session);
    if (error) {
        close(fd);
        return error;
    }
    error = sf_own_fd_take_high(&own.directory_fd, fd);
    if (error) {
        sf_session_unmap(sf_log_self.session);
        sf_log_self.session = NULL;
        return error;
    }
    strcpy(own.directory, directory);
    sf_debug(SF_DEBUG_LOG, "joined the session in %s", directory);
    own.pid = getpid();
    own.space = sf_identity_space();
    error = make_log(sf_tsc_read(), sf_identity_age_ns(), 0, getppid(), 0);
    if (error)
        sf_log_detach();
    else
        introduce_threads();
    return error;
}

void sf_log_detach(void)
{
    if (!sf_log_self.session)
        return;
    sf_debug(SF_DEBUG_LOG, "left the session in %s", own.directory);
    close_log();
    sf_session_unmap(sf_log_self.session);
    sf_log_self.session = NULL;
    sf_own_fd_close(&own.directory_fd);
    own.directory[0] = '\0';
}

const char *sf_log_directory(void)
{
    return own.directory;
}

int sf_log_directory_fd(void)
{
    return sf_log_self.session ? open_directory() : -ENOENT;
}

uint64_t sf_log_start_tsc(void)
{
    return sf_log_self.header ? sf_log_self.header->start_tsc : 0;
}

void sf_log_request_stop(void)
{
    uint32_t active = SF_SESSION_ACTIVE;
    if (!sf_log_self.session)
        return;
    atomic_compare_exchange_strong((_Atomic uint32_t *)&sf_log_self.session->state, &active, SF_SESSION_STOPPING);
    sf_log_wake_collector();
}

static void copy_name(char to[SF_NAME_BYTES], const char *from)
{
    memset(to, 0, SF_NAME_BYTES);
    memcpy(to, from, strnlen(from, SF_NAME_BYTES - 1));
}

void sf_log_set_name(const char *name)
{
    copy_name(own.name, name);
}

void sf_log_rename(const char *name)
{
    copy_name(own.name, name);
    if (sf_log_self.header)
        memcpy(sf_log_self.header->name, own.name, SF_NAME_BYTES); /* the collector reads it again at the end */
}

void sf_log_fork_as(uint32_t task, const char *name)
{
    next_fork.task = task;
    next_fork.unseen = false;
    copy_name(next_fork.name, name ? name : own.name);
}

void sf_log_fork_unseen(void)
{
    next_fork.unseen = true;
}

static void forget_next_fork(void)
{
    next_fork.task = 0;
    next_fork.unseen = false;
    next_fork.name[0] = '\0';
}

/* In every child: leaves the parent's log to the parent and starts one of its own. The parent may have ended by now: so
 * its pid is the one that it had noted, not getppid(). */
static void start_log_in_child(void)
{
    uint64_t tsc = sf_tsc_read_fenced(), parent_tsc = sf_log_self.header ? sf_log_self.header->start_tsc : 0;
    uint32_t task = next_fork.task;
    pid_t parent = own.pid;
    bool unseen = next_fork.unseen;
    forks++;
    bool same_space = getppid() == parent; /* across namespaces the parent has no number, and getppid gives 0 */
    close_log();
    sf_lanes_start(tsc);
    if (next_fork.name[0])
        memcpy(own.name, next_fork.name, SF_NAME_BYTES);
    forget_next_fork();
    own.pid = getpid();
    if (unseen || !sf_log_enabled())
        return;
    own.space = same_space ? own.space : sf_identity_space();
    if (make_log(tsc, 0, task, parent, parent_tsc))
        return;
    sf_log_write_at(tsc, SF_EVENT_START, SF_PHASE_INSTANT, task, (uint64_t)parent, 0);
    sf_lanes_own = SF_LANES_NONE; /* it enters lane 0 again with its next event: a thread cannot be named in here */
}

/* Not 0, and another one in each process that calls it. */
static uint64_t random_number(void)
{
    uint64_t number;
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number)
        number = sf_tsc_read() << 16 ^ (uint64_t)getpid();
    return number ? number : 1;
}

int sf_log_init(void)
{
    if (family)
        return 0;
    void *mapped;
    int error = sf_shm_map(&mapped, sizeof *family);
    if (error)
        return error;
    error = sf_lanes_init();
    if (!error)
        error = -pthread_atfork(NULL, forget_next_fork, start_log_in_child);
    if (error) {
        sf_shm_unmap(mapped, sizeof *family);
        return error;
    }
    family = mapped;
    own.pid = getpid();
    family_number = random_number();
    return 0;
}

uint32_t sf_log_next_task(void)
{
    return atomic_fetch_add_explicit(&family->tasks, 1, memory_order_relaxed) + 1;
}

uint32_t sf_log_next_channel(void)
{
    return atomic_fetch_add_explicit(&family->channels, 1, memory_order_relaxed) + 1;
}

uint64_t sf_log_family(void)
{
    return family_number;
}

uint64_t sf_log_next_submit(void)
{
    static uint64_t last;
    return ++last;
}
