/* bench-collect: how fast the collector is, beside bare SQLite inserts of the same rows. Prints one line of JSON.
 *
 *     bench-collect EVENTS DIRECTORY   EVENTS events (sends, begin and end) in the logs of 8 processes; the
 * databases are made in DIRECTORY
 *
 * "intake_ns": importing the logs, until their rows are committed. "end_ns": finishing the trace after that (processes,
 * statistics, ledger, index). "inserts_ns": inserting as many rows of the same shape by one prepared statement in one
 * transaction. Exit status 2: bad arguments. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collect/discover.h"
#include "collect/finish.h"
#include "collect/log_import.h"
#include "collect/recording.h"
#include "collect/start.h"
#include "core/log/log.h"
#include "store/database.h"
#include "store/ids.h"
#include "store/rows.h"

enum { WRITERS = 8, COMMIT_RECORDS = 16384 }; /* as in collect.c */

static struct sentence why;
static size_t pending;

static int write_events(const char *dir, long events)
{
    int failed = 0, status;
    for (int n = 0; n < WRITERS; n++) {
        pid_t pid = fork();
        if (pid == 0) {
            if (sf_log_init() || sf_log_attach(dir))
                _exit(1);
            for (long i = 0; i < events / WRITERS / 2; i++) {
                sf_log_write(SF_EVENT_SEND, SF_PHASE_BEGIN, 1, 0, 0);
                sf_log_write(SF_EVENT_SEND, SF_PHASE_END, 1, (uint64_t)i + 1, 64);
            }
            _exit(0);
        }
        failed += pid < 0;
    }
    while (wait(&status) > 0)
        failed += status != 0;
    return failed;
}

/* For discover_logs: imports a whole log, with commits as the collector makes them. */
static int import_log(void *arg, const char *file)
{
    const struct log_import_context *context = arg;
    struct log_import *import;
    int error = log_import_open(&import, context, file);
    if (!error)
        error = log_import_register(import, context);
    if (!error)
        log_import_look(import);
    for (size_t n; !error && (n = log_import_take(import, context));) {
        pending += n;
        if (pending >= COMMIT_RECORDS) {
            log_import_store_counts(import, context);
            error = store_commit(context->store);
            log_import_release(import);
            store_begin(context->store);
            pending = 0;
        }
    }
    if (!error)
        log_import_end(import, context, false);
    log_import_free(import);
    return error;
}

/* Imports logs with so many events and finishes the trace. */
static int collect(const char *path, long events, int64_t *intake_ns, int64_t *end_ns)
{
    static struct recording recording;
    uint32_t records = 256;
    while (records < (uint64_t)events / WRITERS)
        records *= 2;
    int error = recording_open(&recording, path, records, &why);
    if (error)
        return error;
    struct store *store = recording.store;
    error = start_database(store, &recording.session, &recording.clock, "bench-collect", getpid());
    if (!error && write_events(recording.session.dir, events))
        error = output_explain(&why, -EIO, "the writers failed");
    struct log_import_context context = {.store = store,
                                         .ids = ids_new(store),
                                         .clock = &recording.clock,
                                         .dir_fd = recording.session.dir_fd,
                                         .capacity = records,
                                         .start_tsc = recording.clock.first.tsc};
    int64_t began_ns = clock_now_ns();
    store_begin(store);
    if (!error)
        error = discover_logs(recording.session.dir_fd, import_log, &context);
    if (!error)
        error = store_commit(store);
    int64_t taken_ns = clock_now_ns();
    struct finish_facts facts = {.session = &recording.session, .clock = &recording.clock, .state = "complete"};
    store_begin(store);
    if (!error)
        error = finish_database(store, &facts);
    *intake_ns = taken_ns - began_ns;
    *end_ns = clock_now_ns() - taken_ns;
    if (!error && rows_number(store_connection(store), "SELECT count(*) FROM event") != events)
        error = output_explain(&why, -EIO, "not all events are there");
    ids_free(context.ids);
    recording_discard(&recording);
    return error;
}

/* The floor: the same rows, by SQLite alone. */
static int insert(const char *path, long events, int64_t *inserts_ns)
{
    struct database database;
    sqlite3_stmt *s = NULL;
    int error = database_create(&database, path, &why);
    if (error)
        return error;
    sqlite3 *db = database.db;
    uint64_t tsc = clock_tsc();
    sqlite3_prepare_v2(db, "INSERT INTO event VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", -1, &s, NULL);
    int64_t began_ns = clock_now_ns();
    sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
    for (long i = 0; i < events; i++) {
        int64_t end = i & 1;
        int64_t row[] = {1, i, (int64_t)tsc + i * 40, SF_EVENT_SEND, 1, end ? i / 2 + 1 : 0, end * 64, 1 + end, 0};
        for (int column = 0; column < 9; column++)
            sqlite3_bind_int64(s, column + 1, row[column]);
        if (end)
            sqlite3_bind_int64(s, 10, i);
        else
            sqlite3_bind_null(s, 10);
        sqlite3_step(s);
        sqlite3_reset(s);
    }
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    *inserts_ns = clock_now_ns() - began_ns;
    sqlite3_finalize(s);
    if (rows_number(db, "SELECT count(*) FROM event") != events)
        error = output_explain(&why, -EIO, "SQLite did not take all rows");
    database_discard(&database);
    return error;
}

int main(int argc, char **argv)
{
    char path[4096];
    long events = argc == 3 ? atol(argv[1]) / WRITERS / 2 * WRITERS * 2 : 0;
    if (events <= 0 || events > 1l << 28)
        return fprintf(stderr, "usage: bench-collect EVENTS DIRECTORY\n"), 2;
    int64_t intake_ns, end_ns, inserts_ns;
    snprintf(path, sizeof path, "%s/bench-collect.%d.db", argv[2], (int)getpid());
    if (collect(path, events, &intake_ns, &end_ns) || insert(path, events, &inserts_ns))
        return fprintf(stderr, "bench-collect: %s\n", why.text), 1;
    printf("{\"events\": %ld, \"intake_ns\": %lld, \"end_ns\": %lld, \"inserts_ns\": %lld}\n", events,
           (long long)intake_ns, (long long)end_ns, (long long)inserts_ns);
    return fflush(stdout) ? 1 : 0;
}
