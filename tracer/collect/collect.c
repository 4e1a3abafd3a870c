/* The collector's loop.
 *
 * Invariants: the imports are sorted by file name, each file once. A log's tail is moved only after the records before
 * it are committed or set aside. A log's file is recycled or removed only when nobody can write it any more, or
 * the session was closed, and after all its records and counts were committed. One thread does all of it; another only
 * notes when processes die (deaths.c). The traced processes write to their logs only; the loop sleeps on the session's
 * futex word, by which they wake it when a log passes half full.
 *
 * Each round looks at every log and sets records aside where a log fills up. It stores nothing while the program wants
 * all CPUs, stores for a limited time when a CPU is idle, and stores everything at the end. */
#include "collect/collect.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "collect/discover.h"
#include "collect/finish.h"
#include "collect/idle_cpu.h"
#include "collect/log_import.h"
#include "collect/room.h"
#include "collect/spares.h"

enum { COMMIT_RECORDS = 16384, FEW_RECORDS = 4096 };
static const double set_aside_above = 0.25; /* of a log's room */
/* How long the loop sleeps. The kernel's side does not wake it; its buffer has room for more than comes in 20 ms. */
static const int64_t nap_max_ns = 100 * NS_PER_MS, nap_max_kernel_ns = 20 * NS_PER_MS, nap_min_ns = 1 * NS_PER_MS,
                     snapshot_every_ns = 1000 * NS_PER_MS;
/* For how long a round may store before it checks again whether a CPU is idle. A round of up to short_round_ns does not
 * disturb that check. */
static const int64_t store_for_ns = 50 * NS_PER_MS, short_round_ns = 2 * NS_PER_MS;
/* After the program's end: how long its traced children may go on, and how long a new one may take to make its log. */
static const int64_t grace_ns = 1000 * NS_PER_MS, settle_ns = 20 * NS_PER_MS;

enum storing { STORE_NOTHING, STORE_FOR_A_WHILE, STORE_EVERYTHING };

struct collect {
    const struct collect_job *job;
    struct log_import_context context;
    struct kernel *kernel;
    struct log_import **imports; /* sorted by file */
    size_t count, room;
    struct log_import **found; /* by the scan that is going on; they become imports at its end */
    size_t found_count, found_room;
    size_t pending;          /* records since the last commit */
    unsigned unmade;         /* logs that were still being made when the last scan found them */
    size_t open, open_max;   /* logs that are open, and how many may be; others have to wait until some have ended */
    size_t unopened;         /* logs that the last scan could not open: too many are open, or there is no memory */
    int64_t program_over_ns; /* when the program was first seen to have ended; 0: it was not */
    uint64_t stop_tsc;       /* when collecting stopped; what is stored after it takes no time from traced processes */
    enum storing storing;    /* in this round */
    int64_t until_ns;        /* until when, for STORE_FOR_A_WHILE */
    uint32_t wakes;          /* session_wake_count from before this round */
    struct idle_cpu idle_cpu;
    uint64_t left, left_before, left_max; /* records that wait to be stored: counted so far in this round; after the
                                             round before it; how many may wait */
};

/* Appends to an array of imports. -ENOMEM. */
static int append(struct log_import ***list, size_t *count, size_t *room, struct log_import *import)
{
    struct log_import **grown = array_grow(*list, *count, room, sizeof *grown);
    if (!grown)
        return -ENOMEM;
    *list = grown;
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

static int name_with_import(const void *name, const void *import)
{
    return strcmp(name, (*(struct log_import *const *)import)->file);
}

static bool is_known(const struct collect *c, const char *file)
{
    return c->count && bsearch(file, c->imports, c->count, sizeof *c->imports, name_with_import);
}

static int found_one(void *arg, const char *file)
{
    struct collect *c = arg;
    struct log_import *import;
    if (is_known(c, file))
        return 0;
    if (c->open >= c->open_max || c->count + c->found_count >= DISCOVER_LOGS_MAX) {
        c->unopened++;
        return 0;
    }
    int error = log_import_open(&import, &c->context, file);
    if (!error) {
        error = append(&c->found, &c->found_count, &c->found_room, import);
        if (error)
            log_import_free(import);
    }
    if (!error)
        c->open += !import->refused;
    else if (error == -EAGAIN || error == -ENOENT) /* ENOENT: its writer has just removed it */
        c->unmade++;
    else
        c->unopened++;
    return 0;
}

/* Commits, then releases room in the logs, removes the ended imports, and begins a new transaction. */
static int commit(struct collect *c)
{
    struct store *store = c->job->store;
    for (size_t i = 0; i < c->count; i++)
        if (!c->imports[i]->refused)
            log_import_store_counts(c->imports[i], &c->context);
    if (store_commit(store))
        return -EIO;
    c->pending = 0;
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++) {
        struct log_import *import = c->imports[i];
        if (!import->refused)
            log_import_release(import);
        if (import->ended)
            log_import_remove(import, &c->context);
        else
            c->imports[kept++] = import;
    }
    c->count = kept;
    store_begin(store);
    return 0;
}

/* Stores the log's records, beginning with those that were set aside: as many as this round may. */
static int take_all(struct collect *c, struct log_import *import)
{
    for (size_t n; (n = log_import_take(import, &c->context));) {
        c->pending += n;
        if (c->pending >= COMMIT_RECORDS) {
            int error = commit(c);
            if (error)
                return error;
        }
        /* A writer wakes the collector when its log fills up. Then the round ends, so that all logs are looked at. */
        if (c->storing == STORE_FOR_A_WHILE &&
            (clock_now_ns() > c->until_ns || session_wake_count(c->job->session) != c->wakes))
            break;
    }
    return 0;
}

/* Do as many records wait to be stored as may? */
static bool is_full(const struct collect *c)
{
    return c->left_before >= c->left_max;
}

/* Looks at the log, and stores its records or sets them aside, as this round may. Raises *fill to how full the log was.
 */
static int process_log(struct collect *c, struct log_import *import, double *fill)
{
    double full = log_import_look(import);
    if (full > *fill)
        *fill = full;
    if (full > set_aside_above && c->storing != STORE_EVERYTHING && !is_full(c) && log_import_set_aside(import))
        return take_all(c, import); /* there was no room to set them aside */
    /* The few records of a dead process are stored in any case, so that its log can be recycled. */
    bool few = import->over_tsc && log_import_left(import) <= FEW_RECORDS;
    return c->storing != STORE_NOTHING || few ? take_all(c, import) : 0;
}

__attribute__((unused)) static bool each_file_once(const struct collect *c)
{
    for (size_t i = 1; i < c->count; i++)
        if (by_file(&c->imports[i - 1], &c->imports[i]) >= 0)
            return false;
    return true;
}

/* The log that this process wrote last before an exec, or NULL. Logs that are earlier still were ended when that one
 * was found, or are of another process with the same pid. */
static struct log_import *predecessor(const struct collect *c, const struct log_import *import)
{
    struct log_import *last = NULL;
    for (size_t i = 0; i < c->count; i++)
        if (log_import_continues(import, c->imports[i], &c->context) && (!last || by_start(&last, &c->imports[i]) < 0))
            last = c->imports[i];
    return last;
}

/* If the process of this new log wrote an earlier log before an exec, stores and ends that one: its records come first.
 */
static int end_predecessor(struct collect *c, const struct log_import *import, double *fill)
{
    struct log_import *before = predecessor(c, import);
    int error = 0;
    if (!before || before->ended)
        return 0;
    double full = log_import_look(before);
    *fill = full > *fill ? full : *fill;
    while (!error && log_import_left(before))
        error = take_all(c, before);
    if (!error)
        log_import_end(before, &c->context, false);
    return error;
}

/* Where the directory changed while it was read, a file may have been found twice. */
static void drop_found_twice(struct collect *c)
{
    size_t kept = 0;
    qsort(c->found, c->found_count, sizeof *c->found, by_file);
    for (size_t i = 0; i < c->found_count; i++)
        if (kept && by_file(&c->found[kept - 1], &c->found[i]) == 0)
            log_import_free(c->found[i]);
        else
            c->found[kept++] = c->found[i];
    c->found_count = kept;
}

/* Registers new logs, parents before their children. The kernel's records are read between finding and registering the
 * logs, so that the kernel's view has every process before its log is registered. */
static int scan(struct collect *c, double *fill)
{
    int error = 0;
    c->found_count = c->unmade = 0;
    c->open = c->unopened = 0;
    for (size_t i = 0; i < c->count; i++)
        c->open += !c->imports[i]->refused;
    if (discover_logs(c->context.dir_fd, found_one, c))
        c->unopened++; /* no descriptor for the directory: there may be logs in it */
    double full = kernel_poll(c->kernel);
    *fill = full > *fill ? full : *fill;
    if (!c->found_count)
        return 0;
    drop_found_twice(c);
    qsort(c->found, c->found_count, sizeof *c->found, by_start);
    for (size_t i = 0; i < c->found_count; i++) {
        struct log_import *import = c->found[i];
        if (!error)
            error = end_predecessor(c, import, fill);
        if (append(&c->imports, &c->count, &c->room, import)) {
            log_import_free(import); /* before it has rows: the next scan finds it again */
        } else if (!import->refused && log_import_register(import, &c->context)) {
            c->count--;
            log_import_free(import);
        }
    }
    qsort(c->imports, c->count, sizeof *c->imports, by_file);
    assert(each_file_once(c));
    return error;
}

/* Registers new logs, processes all, and ends those whose process is dead. *alive: processes that still run. */
static int one_round(struct collect *c, double *fill, size_t *alive)
{
    *alive = 0;
    c->left = 0;
    int error = scan(c, fill);
    for (size_t i = 0; i < c->count && !error; i++) {
        struct log_import *import = c->imports[i];
        if (import->refused || import->ended)
            continue;
        /* Checked before the look: if it is over here, nothing is written after the look. */
        bool ended = author_has_ended(&import->author, import->reader.fd);
        bool over = ended && author_is_over(&import->author, import->reader.fd);
        if (ended && !import->over_tsc && !c->job->recovering)
            import->over_tsc = clock_tsc();
        if (!ended)
            import->alive_tsc = clock_tsc();
        error = process_log(c, import, fill);
        /* A commit in process_log may have removed imports before this one, but not this one: find its place again. */
        while (i > 0 && (i >= c->count || c->imports[i] != import))
            i--;
        c->left += log_import_left(import);
        if (over && !error && !log_import_left(import))
            log_import_end(import, &c->context, false);
        *alive += !ended;
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
        c->program_over_ns = clock_now_ns();
    /* Even if no process is known to run: a child that was just forked may not have made its log yet. */
    int64_t over_ns = clock_now_ns() - c->program_over_ns;
    return over_ns > (alive ? grace_ns : settle_ns) ? COLLECT_STOP : v;
}

/* How much the coming round may store. */
static enum storing storing(struct collect *c, enum collect_verdict v)
{
    enum collect_store when = c->job->store_rows;
    /* not longer than the kernel's buffer has room for */
    c->until_ns = c->kernel ? clock_now_ns() + nap_max_kernel_ns : INT64_MAX;
    if (v == COLLECT_STOP || when == COLLECT_AT_ONCE)
        return STORE_EVERYTHING;
    if (v == COLLECT_LAST || is_full(c))
        return STORE_FOR_A_WHILE; /* until a log fills up */
    if (when == COLLECT_AT_THE_END || !idle_cpu_is_there(&c->idle_cpu))
        return STORE_NOTHING;
    if (!c->kernel)
        c->until_ns = clock_now_ns() + store_for_ns;
    return STORE_FOR_A_WHILE;
}

/* Divides the memory that the session may still use: how many records may wait, those that do already included, and how
 * much the traced processes may reserve. Spares are given back first. */
static void divide_room(struct collect *c)
{
    uint64_t records = (uint64_t)COLLECT_ASIDE_LOGS * c->context.capacity, room = room_bytes(c->context.dir_fd);
    uint64_t most = (room / sizeof(struct sf_record) + c->left) / 8;
    c->left_max = records < most ? records : most;
    session_grant(c->job->session, room / 4);
    spares_trim(c->context.dir_fd, c->context.capacity);
}

/* Prepares a spare log, if a CPU is idle. */
static void prepare_spare(struct collect *c)
{
    if (c->storing == STORE_FOR_A_WHILE && session_state(c->job->session) == SF_SESSION_ACTIVE)
        spares_prepare(c->context.dir_fd, c->context.capacity);
}

/* Starts a new watch for an idle CPU if the round that began at `began_ns` was so long that it disturbed the present
 * watch, or if the present watch was long enough to be evaluated. */
static void watch_idle_cpu(struct collect *c, int64_t began_ns)
{
    int64_t now = clock_now_ns();
    if (now - began_ns > short_round_ns || now - c->idle_cpu.since_ns >= IDLE_CPU_WINDOW_NS)
        idle_cpu_watch(&c->idle_cpu);
}

static void close_kernel(struct collect *c)
{
    kernel_close(c->kernel);
    c->kernel = NULL;
}

static int loop(struct collect *c)
{
    int64_t next_snapshot_ns = clock_now_ns() + snapshot_every_ns, nap_ns = nap_min_ns;
    size_t alive = 0;
    for (;;) {
        int64_t began_ns = clock_now_ns();
        session_look(c->job->session);
        c->wakes = session_wake_count(c->job->session);
        enum collect_verdict v = verdict(c, alive);
        double fill = 0;
        if (v == COLLECT_STOP) {
            c->stop_tsc = clock_tsc();
            close_kernel(c); /* before storing, which may take longer than its buffer has room for */
        }
        c->left_before = c->left;
        divide_room(c);
        c->storing = storing(c, v);
        int error = one_round(c, &fill, &alive);
        if (error || v == COLLECT_STOP)
            return error;
        if (clock_now_ns() >= next_snapshot_ns) {
            snapshot(c);
            next_snapshot_ns = clock_now_ns() + snapshot_every_ns;
        }
        /* A writer has to wake the collector when its log is half full. Sleep less, so that it need not. */
        nap_ns = fill > 0.25 ? nap_ns / 2 : nap_ns * 2;
        int64_t most_ns = c->kernel ? nap_max_kernel_ns : nap_max_ns;
        nap_ns = nap_ns < nap_min_ns ? nap_min_ns : nap_ns > most_ns ? most_ns : nap_ns;
        prepare_spare(c);
        watch_idle_cpu(c, began_ns);
        session_wait(c->job->session, c->wakes, v == COLLECT_LAST ? 5 * NS_PER_MS : nap_ns);
    }
}

/* Stores all records of the logs that can be opened, and ends their imports. */
static int end_all(struct collect *c)
{
    double fill = 0;
    size_t alive;
    int error = one_round(c, &fill, &alive);
    for (size_t i = 0; i < c->count && !error; i++) {
        struct log_import *import = c->imports[i];
        if (import->refused)
            continue;
        if (!import->over_tsc)
            import->over_tsc = c->stop_tsc;
        log_import_end(import, &c->context, !author_has_ended(&import->author, import->reader.fd));
    }
    return error;
}

/* After the session was closed: stores what the writers wrote until they saw that, and ends all logs. */
static int last_round(struct collect *c, struct finish_facts *facts)
{
    c->storing = STORE_EVERYTHING;
    usleep(1000); /* a writer that had read the state before it was closed completes its record */
    int error = end_all(c);
    while (!error && c->unopened && c->open) { /* logs that had to wait for descriptors */
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
    struct finish_facts facts = {
        .clock = job->clock, .state = job->state, .session = session, .in_another_file = job->in_another_file};
    struct ids *ids = ids_new(job->store);
    struct idle_cpu run;
    int error = ids ? 0 : output_explain(why, -ENOMEM, "no memory");

    c.context = (struct log_import_context){.store = job->store,
                                            .ids = ids,
                                            .clock = job->clock,
                                            .dir_fd = session->dir_fd,
                                            .capacity = session->last.log_records,
                                            .start_tsc = session->last.start_tsc,
                                            .deaths = job->recovering ? NULL : deaths_start(),
                                            .recovering = job->recovering};
    if (error)
        goto out;
    c.open_max = discover_limit();
    store_begin(job->store);
    idle_cpu_watch(&run);
    error = loop(&c);
    facts.idle_share = job->recovering ? -1 : idle_cpu_share(&run);
    facts.stopped = session_state(session) == SF_SESSION_STOPPING;
    facts.made_logs = session_made_logs(session); /* what is made after it is empty */
    session_set_state(session, SF_SESSION_CLOSED);
    if (!error)
        error = last_round(&c, &facts);
    facts.unopened_logs = c.unopened;
    if (!error)
        error = finish_database(job->store, &facts);
    if (error)
        output_explain(why, error, "%s; the rest is kept: snakefish-trace collect %s -o other.db",
                       store_why(job->store)->text, session->dir);
out:
    session_set_state(session, SF_SESSION_CLOSED);
    close_kernel(&c);
    for (size_t i = 0; i < c.count; i++)
        log_import_free(c.imports[i]);
    deaths_stop(c.context.deaths);
    free(c.imports);
    free(c.found);
    ids_free(ids);
    return error;
}
