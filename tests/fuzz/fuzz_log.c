/* Fuzzes the reader and the import: two logs with any content are imported, the trace is finished, and its counts must
 * balance.
 *
 * Input: for each log one byte of flags, one for the identity, and five numbers of two bytes (head, begun, lost,
 * tail, age in ms); then records of 10 bytes, alternately for the first and the second log: kind, phase and lane,
 * object, time (2, around now), a (2), b (2), and one byte that widens a, b or the time to extreme values. Flags: 1:
 * the log's header is overwritten by the bytes of the records; 2: the file is cut short between the look and the
 * reading; 4: counts are above 2^32; 8: an earlier collector has set records aside, as the first record's bytes say;
 * 16: and its spill file's header is overwritten; 32: this collector sets the log's records aside. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analyze/ledger.h"
#include "analyze/processes.h"
#include "collect/log_import.h"

enum { CAPACITY = 256, HEAD = 12, RECORD = 10, LOGS = 2 };

static const char finish_sql[] =
#include "collect/finish.inc"
    ;
static char dir[] = "/dev/shm/fuzz-log-XXXXXX", path[64];
static int dir_fd = -1;
static struct store *store;
static struct clock clock_;

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition,                                         \
                    sqlite3_errmsg(store_connection(store)));                                                          \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static void leave(void)
{
    store_discard(store);
    unlinkat(dir_fd, "log.1.1", 0);
    unlinkat(dir_fd, "log.1.2", 0);
    unlinkat(dir_fd, "spill.1.1", 0);
    unlinkat(dir_fd, "spill.1.2", 0);
    rmdir(dir);
}

/* Called once: makes the database. The transaction of every input is rolled back. */
static void begin(void)
{
    struct sentence why;
    if (!mkdtemp(dir))
        abort();
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(path, sizeof path, "%s/db", dir);
    if (store_create(&store, path, &why))
        abort();
    clock_start(&clock_);
    store_begin(store);
    store_snapshot(store, &clock_.first);
    store_segment(store, &clock_.open);
    store_commit(store);
    atexit(leave);
}

static long long ask(const char *sql)
{
    sqlite3_stmt *s = NULL;
    REQUIRE(sqlite3_prepare_v2(store_connection(store), sql, -1, &s, NULL) == SQLITE_OK);
    REQUIRE(sqlite3_step(s) == SQLITE_ROW);
    long long value = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return value;
}

static uint64_t two(const uint8_t *at)
{
    return at[0] | (uint64_t)at[1] << 8;
}

static uint64_t widened(uint64_t value, unsigned how)
{
    return how == 1 ? UINT64_MAX - value : how == 2 ? value << 48 : how == 3 ? value << 30 : value;
}

static struct sf_record record_of(const uint8_t *at, uint64_t now)
{
    return (struct sf_record){.tsc = (at[9] & 3) ? widened(two(at + 3), at[9] & 3) : now - 65536 + two(at + 3),
                              .kind = at[0],
                              .flags = (uint16_t)((at[1] & 3) | (at[1] & 0xfc) << (at[1] & 128 ? 8 : 0)),
                              .object = at[2],
                              .a = widened(two(at + 5), at[9] >> 2 & 3),
                              .b = widened(two(at + 7), at[9] >> 4 & 3)};
}

/* The spill file of log `which`, by its flags. */
static void write_spill(unsigned which, unsigned flags, uint64_t tail, const uint8_t *records, size_t bytes)
{
    char name[] = "spill.1.1";
    struct {
        struct spill_header header;
        struct sf_record records[CAPACITY];
    } spill = {.header = {.magic = SPILL_MAGIC}};
    name[sizeof name - 2] += (char)which;
    unlinkat(dir_fd, name, 0);
    if (!(flags & 8) || bytes < 4)
        return;
    spill.header.end = tail + records[0] - (records[0] & 1 ? records[0] : 128);
    spill.header.first = spill.header.end - records[1];
    spill.header.taken = spill.header.first + records[2];
    if (flags & 16)
        memcpy(&spill.header, records, bytes < sizeof spill.header ? bytes : sizeof spill.header);
    for (size_t i = 0; i < CAPACITY; i++)
        spill.records[i] = record_of(records + i % (bytes / RECORD) * RECORD, clock_tsc());
    int fd = openat(dir_fd, name, O_CREAT | O_EXCL | O_WRONLY, 0600);
    size_t size = sizeof spill - (records[3] & 1 ? records[3] * 32u : 0);
    REQUIRE(fd >= 0 && write(fd, &spill, size) == (ssize_t)size);
    close(fd);
}

/* Writes the file of log `which`; returns its flags. */
static unsigned write_log(const char *name, unsigned which, const uint8_t *data, size_t size)
{
    const uint8_t *head = data + which * HEAD, *records = data + LOGS * HEAD;
    size_t count = (size - LOGS * HEAD) / RECORD;
    uint64_t high = head[0] & 4 ? UINT64_C(1) << 33 : 0;
    struct {
        struct sf_log_header header;
        char rest[SF_LOG_RECORDS_OFFSET - sizeof(struct sf_log_header)];
        struct sf_record records[CAPACITY];
    } log = {.header = {.magic = SF_LOG_MAGIC,
                        .version = SF_ABI_VERSION,
                        .capacity = CAPACITY,
                        .pid = INT32_MAX - (head[1] & 1), /* of no process */
                        .parent_pid = INT32_MAX - (head[1] >> 1 & 1),
                        .family = head[1] >> 2 & 1,
                        .task = head[1] >> 3 & 3,
                        .start_tsc = clock_.first.tsc + which * 1000u * (head[1] >> 5),
                        .head = high + two(head + 2),
                        .begun = high + two(head + 4),
                        .lost = two(head + 6),
                        .tail = high + two(head + 8),
                        .age_ns = two(head + 10) * 1000000}};
    uint64_t now = clock_tsc();
    memcpy(log.header.name, records, count * RECORD < SF_NAME_BYTES ? count * RECORD : SF_NAME_BYTES);
    for (size_t i = which, n = 0; i < count && n < CAPACITY; i += LOGS)
        log.records[n++] = record_of(records + i * RECORD, now);
    if (head[0] & 1)
        memcpy(&log.header, records, count * RECORD < sizeof log.header ? count * RECORD : sizeof log.header);
    int fd = openat(dir_fd, name, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    REQUIRE(fd >= 0 && write(fd, &log, sizeof log) == sizeof log);
    close(fd);
    write_spill(which, head[0], log.header.tail, records, count * RECORD);
    return head[0];
}

static void import_one(const struct log_import_context *context, const char *name, unsigned flags)
{
    struct log_import *import;
    if (log_import_open(&import, context, name))
        return;
    if (!import->refused) {
        REQUIRE(log_import_register(import, context) == 0);
        log_import_look(import);
        if (flags & 2)
            REQUIRE(ftruncate(import->reader.fd, SF_LOG_RECORDS_OFFSET + 33) == 0);
        if (flags & 32)
            log_import_set_aside(import);
        while (log_import_take(import, context))
            ;
        log_import_store_counts(import, context);
        log_import_release(import);
        log_import_end(import, context, false);
    }
    log_import_free(import);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct processes processes;
    if (size < LOGS * HEAD)
        return 0;
    if (!store)
        begin();
    store_begin(store);
    struct ids *ids = ids_new(store);
    struct log_import_context context = {.store = store,
                                         .ids = ids,
                                         .clock = &clock_,
                                         .dir_fd = dir_fd,
                                         .capacity = CAPACITY,
                                         .start_tsc = clock_.first.tsc};
    unsigned flags[LOGS] = {write_log("log.1.1", 0, data, size), write_log("log.1.2", 1, data, size)};
    import_one(&context, "log.1.1", flags[0]);
    import_one(&context, "log.1.2", flags[1]);
    store_run(store, finish_sql);
    sqlite3 *db = store_connection(store);
    REQUIRE(processes_init(&processes, db) == 0);
    REQUIRE(ledger_fill(db, &processes) == 0);
    processes_fini(&processes);
    REQUIRE(store_why(store)->text[0] == '\0');
    REQUIRE(ask("SELECT count(*) FROM event") == ask("SELECT total(collected) FROM log"));
    REQUIRE(ask("SELECT count(*) FROM (SELECT DISTINCT process, seq FROM event)") == ask("SELECT count(*) FROM event"));
    REQUIRE(ask("SELECT count(*) FROM process p WHERE (SELECT sum(ns) FROM ledger WHERE process = p.id)"
                " <> p.end_ns - p.start_ns") == 0);
    REQUIRE(ask("SELECT count(*) FROM span WHERE end_ns < start_ns") >= 0);
    REQUIRE(ask("SELECT count(*) FROM message") >= 0);
    ids_free(ids);
    REQUIRE(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK);
    return 0;
}
