/* The collector's loop.
 *
 * Invariants: the imports are sorted by file name, each file once; a log's tail is moved only after what was before
 * it is committed, or set aside; a log's file is handed on or removed only after its process was seen dead, all its
 * records taken and its books committed. One thread. Writers are the traced processes, through their logs; the loop
 * sleeps on the session's futex word, which they ring when a log passes half full.
 *
 * A round looks at every log, sets aside what fills one, and stores as far as it may: not at all while the program
 * wants all CPUs, for a while when one is to spare, and everything at the end. */
#include "collect/collect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "collect/discover.h"
#include "collect/finish.h"
#include "collect/idle_cpu.h"
#include "collect/log_import.h"
#include "collect/spares.h"

#define MS INT64_C(1000000)
enum { COMMIT_RECORDS = 16384, LOGS_MAX = 1 << 17, FEW_RECORDS = 4096 };
/* Of descriptors: a log's, its process's and that of what is set aside; and for everything else. */
enum { DESCRIPTORS_EACH = 3, DESCRIPTORS_KEPT = 32 };
static const double aside_above = 0.25; /* of a log */
/* The kernel does not ring: its buffer has room for more than 20 ms can bring. */
static const int64_t nap_max_ns = 100 * MS, nap_max_kernel_ns = 20 * MS, nap_min_ns = 1 * MS,
                     snapshot_every_ns = 1000 * MS;
/* For how long a round may store before it looks again whether a CPU is still to spare; and how short a round is
 * that takes nothing from anybody. */
static const int64_t store_ns = 50 * MS, quiet_ns = 2 * MS;
/* After the program's end: how long its traced children may live on, and how long one may take to be seen. */
static const int64_t grace_ns = 1000 * MS, settle_ns = 20 * MS;

enum storing { LATER, FOR_A_WHILE, EVERYTHING };

struct collect {
    const struct collect_job *job;
    struct log_import_context context;
    struct kernel *kernel;
    struct log_import **imports; /* sorted by file */
    size_t count, room;
    struct log_import **found; /* by the present scan, not yet among the imports */
    size_t found_count, found_room;
    size_t pending;        /* records since the last commit */
    unsigned unmade;       /* logs that the last scan found still being made */
    size_t open, open_max; /* logs that are open, and that may be: the others wait until some have ended */
    size_t unopened;       /* logs that the last scan left to wait */
    int64_t program_over_ns;
    uint64_t stop_tsc;    /* when the end came: what was still to be stored took no traced process's time */
    enum storing storing; /* in this round */
    int64_t until_ns;     /* for a while: its end */
    uint32_t rings;       /* of the session, before this round */
    struct idle_cpu spare;
    uint64_t left, left_before, left_max; /* records that wait to be stored: so far in this round, after the last
                                             one, and how many may */
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int append(struct log_import ***list, size_t *count, size_t *room, struct log_import *import)
{
    if (*count == *room) {
        size_t more = *room ? *room * 2 : 16;
        struct log_import **grown = realloc(*list, more * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        *list = grown;
        *room = more;
    }
    (*list)[(*count)++] = import;
    return 0;
}

static int by_file(const void *a, const void *b)
{
    return strcmp((*(struct log_import *const *)a)->file, (*(struct log_import *const *)b)->file);
}

static int by_start(const void *a, const void *b)
{
    uint64_t x = (*(struct log_import *const *)a)->reader.header.start_tsc;
    uint64_t y = (*(struct log_import *const *)b)->reader.header.start_tsc;
    return x < y ? -1 : x > y;
}

static bool is_known(const struct collect *c, const char *file)
{
    size_t low = 0, high = c->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(file, c->imports[middle]->file);
        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

static int found_one(void *arg, const char *file)
{
    struct collect *c = arg;
    struct log_import *import;
    if (is_known(c, file))
        return 0;
    if (c->open >= c->open_max || c->count + c->found_count >= LOGS_MAX) {
        c->unopened++;
        return 0;
    }
    if (log_import_open(&import, &c->context, file)) {
        c->unmade++;
        return 0;
    }
    if (append(&c->found, &c->found_count, &c->found_room, import))
        log_import_free(import); /* no memory now: perhaps in the next scan */
    else
        c->open += !import->refused;
    return 0;
}

/* Commits, then gives the room back, removes what is done with, and begins anew. */
static int commit(struct collect *c)
{
    struct store *store = c->job->store;
    for (size_t i = 0; i < c->count; i++)
        if (!c->imports[i]->refused)
            log_import_keep_books(c->imports[i], &c->context);
    if (store_commit(store))
        return -EIO;
    c->pending = 0;
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++) {
        struct log_import *import = c->imports[i];
        if (!import->refused)
            log_import_give_back(import);
        if (import->ended)
            log_import_remove(import, &c->context);
        else
            c->imports[kept++] = import;
    }
    c->count = kept;
    store_begin(store);
    return 0;
}

/* Stores what the log holds by now, and what was set aside of it. */
static int take_all(struct collect *c, struct log_import *import)
{
    for (size_t n; (n = log_import_take(import, &c->context));) {
        c->pending += n;
        if (c->pending >= COMMIT_RECORDS) {
            int error = commit(c);
            if (error)
                return error;
        }
        /* A ring: some log is filling up, and is to be looked at first. */
        if (c->storing == FOR_A_WHILE && (now_ns() > c->until_ns || session_rings(c->job->session) != c->rings))
            break;
    }
    return 0;
}

static bool is_full(const struct collect *c)
{
    return c->left_before >= c->left_max;
}

/* Looks at the log, and does with it what this round may. Leaves *fill: how full it was. */
static int attend(struct collect *c, struct log_import *import, double *fill)
{
    double full = log_import_look(import);
    if (full > *fill)
        *fill = full;
    if (full > aside_above && c->storing != EVERYTHING && !is_full(c) && log_import_set_aside(import))
        return take_all(c, import);                                        /* no room for it: then it is to be stored */
    bool few = import->over_tsc && log_import_left(import) <= FEW_RECORDS; /* of a dead process: to be rid of its log */
    return c->storing != LATER || few ? take_all(c, import) : 0;
}

/* The log that this process wrote until its exec is complete: its records come before those of the new one. */
static int end_before(struct collect *c, const struct log_import *import, double *fill)
{
    int error = 0;
    for (size_t i = 0; i < c->count && !error; i++) {
        struct log_import *before = c->imports[i];
        if (before->ended || !log_import_goes_on(import, before, &c->context))
            continue;
        double full = log_import_look(before);
        *fill = full > *fill ? full : *fill;
        while (!error && log_import_left(before))
            error = take_all(c, before);
        if (!error)
            log_import_end(before, &c->context, false);
        break; /* the one before it was ended so too */
    }
    return error;
}

/* New logs, parents before their children; and what the kernel has to say, in between: so that it has told of every
 * process that has a log when the log is given one. */
static int scan(struct collect *c, double *fill)
{
    int error = 0;
    c->found_count = c->unmade = 0;
    c->open = c->unopened = 0;
    for (size_t i = 0; i < c->count; i++)
        c->open += !c->imports[i]->refused;
    discover_logs(c->context.dir_fd, found_one, c);
    double full = kernel_poll(c->kernel);
    *fill = full > *fill ? full : *fill;
    if (!c->found_count)
        return 0;
    qsort(c->found, c->found_count, sizeof *c->found, by_start);
    for (size_t i = 0; i < c->found_count; i++) {
        struct log_import *import = c->found[i];
        if (!error)
            error = end_before(c, import, fill);
        if ((!import->refused && log_import_register(import, &c->context)) ||
            append(&c->imports, &c->count, &c->room, import))
            log_import_free(import);
    }
    qsort(c->imports, c->count, sizeof *c->imports, by_file);
    return error;
}

/* Looks for new logs and takes everything from all logs; ends those whose process is dead. */
static int round_trip(struct collect *c, double *fill, size_t *alive)
{
    *alive = 0;
    c->left = 0;
    int error = scan(c, fill);
    for (size_t i = 0; i < c->count && !error; i++) {
        struct log_import *import = c->imports[i];
        if (import->refused || import->ended)
            continue;
        /* Dead before the last look: then nothing comes after it. */
        bool dead = liveness_is_over(&import->liveness);
        if (dead && !import->over_tsc && !c->job->recovering)
            import->over_tsc = clock_tsc();
        error = attend(c, import, fill);
        /* A commit within it moves ended imports away, never this one: the place is found again. */
        while (i > 0 && (i >= c->count || c->imports[i] != import))
            i--;
        c->left += log_import_left(import);
        if (dead && !error && !log_import_left(import))
            log_import_end(import, &c->context, false);
        *alive += !dead;
    }
    *alive += kernel_alive(c->kernel) + c->unopened;
    return error ? error : commit(c);
}

static void snapshot(struct collect *c)
{
    struct clock *clock = c->job->clock;
    struct clock_snapshot now = clock_take(clock->open.ns_per_tick);
    struct clock_segment closed;
    if (!clock_advance(clock, &now, &closed))
        return;
    store_segment(c->job->store, &closed);
    store_snapshot(c->job->store, &now);
    store_segment(c->job->store, &clock->open);
}

static enum collect_verdict verdict(struct collect *c, size_t alive)
{
    if (session_state(c->job->session) != SF_SESSION_ACTIVE)
        return COLLECT_STOP;
    enum collect_verdict v = c->job->verdict ? c->job->verdict(c->job->arg) : COLLECT_STOP;
    if (v != COLLECT_LAST)
        return v;
    if (!c->program_over_ns)
        c->program_over_ns = now_ns();
    /* Also when nobody is known to live: a child that was forked last has yet to make its log. */
    int64_t over_ns = now_ns() - c->program_over_ns;
    return over_ns > (alive ? grace_ns : settle_ns) ? COLLECT_STOP : v;
}

/* How much the coming round may store. */
static enum storing storing(struct collect *c, enum collect_verdict v)
{
    enum collect_store when = c->job->store_rows;
    /* not longer than the kernel's buffer can wait */
    c->until_ns = c->kernel ? now_ns() + nap_max_kernel_ns : INT64_MAX;
    if (v == COLLECT_STOP || when == COLLECT_AT_ONCE)
        return EVERYTHING;
    if (v == COLLECT_LAST || is_full(c))
        return FOR_A_WHILE; /* until a log needs attention */
    if (when == COLLECT_AT_THE_END || !idle_cpu_is_there(&c->spare))
        return LATER;
    if (!c->kernel)
        c->until_ns = now_ns() + store_ns;
    return FOR_A_WHILE;
}

/* How many records may wait in the session's file system. */
static uint64_t most_aside(const struct session *session)
{
    struct statvfs fs;
    uint64_t records = (uint64_t)COLLECT_ASIDE_LOGS * session->header->log_records;
    if (fstatvfs(session->dir_fd, &fs))
        return 0;
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize / 4 / sizeof(struct sf_record);
    return records < room ? records : room;
}

/* How many logs may be open at once. */
static size_t most_open(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur > DESCRIPTORS_KEPT + DESCRIPTORS_EACH * LOGS_MAX)
        return LOGS_MAX;
    return files.rlim_cur > DESCRIPTORS_KEPT + DESCRIPTORS_EACH
               ? (size_t)(files.rlim_cur - DESCRIPTORS_KEPT) / DESCRIPTORS_EACH
               : 1;
}

/* What there is time for when a CPU is to spare. */
static void look_ahead(struct collect *c)
{
    if (c->storing == FOR_A_WHILE && session_state(c->job->session) == SF_SESSION_ACTIVE)
        spares_prepare(c->context.dir_fd, c->context.capacity);
}

/* Falls quiet after a round that began at `began_ns`: from here on whether a CPU is to spare can be seen. */
static void fall_quiet(struct collect *c, int64_t began_ns)
{
    int64_t now = now_ns();
    if (now - began_ns > quiet_ns || now - c->spare.since_ns >= IDLE_CPU_WINDOW_NS)
        idle_cpu_quiet(&c->spare);
}

static void close_kernel(struct collect *c)
{
    kernel_close(c->kernel);
    c->kernel = NULL;
}

static int loop(struct collect *c)
{
    int64_t next_snapshot_ns = now_ns() + snapshot_every_ns, nap_ns = nap_min_ns;
    size_t alive = 0;
    for (;;) {
        int64_t began_ns = now_ns();
        c->rings = session_rings(c->job->session);
        enum collect_verdict v = verdict(c, alive);
        double fill = 0;
        if (v == COLLECT_STOP) {
            c->stop_tsc = clock_tsc();
            close_kernel(c); /* storing may take longer than its buffer can wait */
        }
        c->left_before = c->left;
        c->storing = storing(c, v);
        int error = round_trip(c, &fill, &alive);
        if (error || v == COLLECT_STOP)
            return error;
        if (now_ns() >= next_snapshot_ns) {
            snapshot(c);
            next_snapshot_ns = now_ns() + snapshot_every_ns;
        }
        /* Writers ring at half full; where they come near it, sleep so much less that they do not. */
        nap_ns = fill > 0.25 ? nap_ns / 2 : nap_ns * 2;
        int64_t most_ns = c->kernel ? nap_max_kernel_ns : nap_max_ns;
        nap_ns = nap_ns < nap_min_ns ? nap_min_ns : nap_ns > most_ns ? most_ns : nap_ns;
        look_ahead(c);
        fall_quiet(c, began_ns);
        session_wait(c->job->session, c->rings, v == COLLECT_LAST ? 5 * MS : nap_ns);
    }
}

/* Takes everything from all logs that can be open, and ends them. */
static int end_all(struct collect *c)
{
    double fill = 0;
    size_t alive;
    int error = round_trip(c, &fill, &alive);
    for (size_t i = 0; i < c->count && !error; i++) {
        struct log_import *import = c->imports[i];
        if (import->refused)
            continue;
        if (!import->over_tsc)
            import->over_tsc = c->stop_tsc;
        log_import_end(import, &c->context, true);
    }
    return error;
}

/* After the writers were told to stop: what they still wrote, and everybody's books. */
static int last_round(struct collect *c, struct finish_facts *facts)
{
    c->storing = EVERYTHING;
    usleep(1000); /* a writer that had already looked at the state is through with its record */
    int error = end_all(c);
    while (!error && c->unopened && c->open) { /* those that had to wait for descriptors */
        error = commit(c);
        if (!error)
            error = end_all(c);
    }
    for (size_t i = 0; i < c->count; i++)
        facts->refused_logs += c->imports[i]->refused;
    facts->unmade_logs = c->unmade;
    if (error)
        return error;
    snapshot(c);
    return commit(c);
}

int collect_run(const struct collect_job *job, struct sentence *why)
{
    struct collect c = {.job = job, .kernel = job->kernel};
    struct session *session = job->session;
    struct finish_facts facts = {.clock = job->clock, .state = job->state};
    struct ids *ids = ids_new(job->store);
    int error = ids ? 0 : output_keep(why, -ENOMEM, "no memory");

    c.context = (struct log_import_context){.store = job->store,
                                            .ids = ids,
                                            .clock = job->clock,
                                            .dir_fd = session->dir_fd,
                                            .capacity = session->header->log_records,
                                            .start_tsc = session->header->start_tsc,
                                            .recovering = job->recovering};
    if (error)
        goto out;
    c.left_max = most_aside(session);
    c.open_max = most_open();
    store_begin(job->store);
    error = loop(&c);
    facts.stopped = session_state(session) == SF_SESSION_STOPPING;
    session_set_state(session, SF_SESSION_CLOSED);
    if (!error)
        error = last_round(&c, &facts);
    facts.lost_logs = session_lost_logs(session) + c.unopened;
    if (!error)
        error = finish_database(job->store, &facts);
    if (error)
        output_keep(why, error, "%s; the rest is kept: snakefish-trace collect %s -o other.db",
                    store_why(job->store)->text, session->dir);
out:
    session_set_state(session, SF_SESSION_CLOSED);
    close_kernel(&c);
    for (size_t i = 0; i < c.count; i++)
        log_import_free(c.imports[i]);
    free(c.imports);
    free(c.found);
    ids_free(ids);
    return error;
}
