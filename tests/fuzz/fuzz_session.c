/* Fuzzes the tracer from end to end: hostile logs lie beside healthy ones in a session whose collector died. `collect`
 * recovers it; then `info`, `analyze`, `export` and the report's queries read the trace. None may fail, and what is
 * stored of the healthy processes must be what is stored when no hostile log is there: events, counts, times, exit
 * status, messages and ledger. A hostile log that poses as one of them may add to that process; the healthy log's own
 * events and counts must be the same even then. session_files.h says how an input becomes a session. */
#include "session_place.h"

static char *sound_logs, *sound_processes; /* what is stored where no hostile log is */

/* What may not change, with numbers and texts in place of row ids, which depend on what else is in the trace. */
static const char logs_query[] =
    "SELECT taken, collected, begun, lost, elsewhere, bad_kind, bad_phase, bad_time, unreadable, damaged, unmatched, "
    "backwards, gaps, running, first_tsc, last_tsc, exit_tsc, exit_status, seen_tsc, pid, parent_pid, start_tsc, "
    "'', '' FROM log WHERE file IN (SELECT file FROM healthy) "
    "UNION ALL SELECT * FROM ("
    "SELECT l.pid, e.seq - l.first_seq, e.tsc, t.ns, k.name, e.phase, e.lane, "
    "iif(k.object = 'text', (SELECT text FROM text WHERE id = e.object), (SELECT number FROM number "
    "WHERE id = e.object AND type = substr(k.object, 1, 1) AND scope = l.family)), "
    "iif(k.name = 'task', (SELECT text FROM text WHERE id = e.a), e.a), "
    "iif(k.name = 'wait', (SELECT number FROM number WHERE id = e.b AND type = iif(e.a IN (1, 2), 'c', 't') "
    "AND scope = l.family), e.b), (SELECT b.seq - l.first_seq FROM event b WHERE b.rowid = e.begin), "
    "'', '', '', '', '', '', '', '', '', '', '', '', '' "
    "FROM log l JOIN event e ON e.process = l.process AND e.seq >= l.first_seq AND e.seq < l.first_seq + l.taken "
    "JOIN event_time t ON t.id = e.rowid JOIN event_kind k ON k.id = e.kind "
    "WHERE l.file IN (SELECT file FROM healthy) ORDER BY l.pid, e.seq)";
static const char processes_query[] =
    "WITH ours AS (SELECT * FROM process WHERE id IN (SELECT process FROM log WHERE file IN "
    "(SELECT file FROM healthy))) "
    "SELECT * FROM (SELECT p.pid, (SELECT pid FROM process WHERE id = p.parent), p.name, p.exit_status, p.start_ns, "
    "p.end_ns, (SELECT number FROM number WHERE type = 't' AND id = p.task) FROM ours p ORDER BY p.pid) UNION ALL "
    "SELECT * FROM (SELECT p.pid, s.name, s.severity, s.value, '', '', '' FROM ours p JOIN stats s ON s.process = p.id "
    "ORDER BY p.pid, s.name) UNION ALL "
    "SELECT * FROM (SELECT p.pid, l.category, l.ns, '', '', '', '' FROM ours p JOIN ledger l ON l.process = p.id "
    "ORDER BY p.pid, l.category) UNION ALL "
    "SELECT * FROM (SELECT p.pid, s.kind, s.start_ns, s.end_ns, s.lane, s.a, s.closed FROM ours p "
    "JOIN span s ON s.process = p.id ORDER BY p.pid, s.start_ns, s.end_ns, s.kind) UNION ALL "
    "SELECT * FROM (SELECT p.pid, t.lane, t.since_tsc, t.first_tsc, t.start_ns, t.tid, t.name FROM ours p "
    "JOIN thread t ON t.process = p.id ORDER BY p.pid, t.since_tsc) UNION ALL "
    "SELECT (SELECT pid FROM process WHERE id = m.sender), (SELECT pid FROM process WHERE id = m.receiver), m.seq, "
    "m.bytes, m.send_ns, m.receive_ns, m.late_sender_ns FROM message m JOIN ours p ON p.id = m.sender";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
/* The rows of the query, a line each. The caller frees it. */
static char *rows_of(sqlite3 *db, const char *query)
{
    char *text = NULL;
    size_t size;
    sqlite3_stmt *s = NULL;
    FILE *to = open_memstream(&text, &size);
    REQUIRE(sqlite3_prepare_v2(db, query, -1, &s, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    while (sqlite3_step(s) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(s); i++)
            fprintf(to, "%s|", sqlite3_column_text(s, i) ? (const char *)sqlite3_column_text(s, i) : "-");
        fputc('\n', to);
    }
    REQUIRE(sqlite3_finalize(s) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    fclose(to);
    return text;
}

static void require_none(sqlite3 *db, const char *query)
{
    char *rows = rows_of(db, query);
    REQUIRE(!rows[0], "%s gives\n%s", query, rows);
    free(rows);
}

static sqlite3 *open_db(void)
{
    sqlite3 *db;
    char sql[256];
    REQUIRE(sqlite3_open_v2(place.db, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK, "%s", place.db);
    snprintf(sql, sizeof sql,
             "CREATE TEMP TABLE healthy AS SELECT 'log.%u.%llu' AS file UNION ALL SELECT 'log.%u.%llu'", PARENT,
             (unsigned long long)session_start_tsc + 1000, CHILD,
             (unsigned long long)session_start_tsc + 6 * (session_ticks / 64) - 10);
    REQUIRE(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    return db;
}

static void require_same(sqlite3 *db, const char *query, const char *sound)
{
    char *rows = rows_of(db, query);
    REQUIRE(strcmp(rows, sound) == 0, "the healthy processes are not what they were:\n%s\nbut were\n%s", rows, sound);
    free(rows);
}

static void check_trace(const struct session_plan *plan)
{
    sqlite3 *db = open_db();
    if (!plan->page_damaged)
        require_same(db, logs_query, sound_logs);
    if (!plan->page_damaged && !plan->poses)
        require_same(db, processes_query, sound_processes);
    require_none(db, "SELECT process, count(*) FROM event GROUP BY process HAVING count(*) <> "
                     "(SELECT total(collected) FROM log WHERE process = event.process)");
    require_none(db, "SELECT process, seq FROM event GROUP BY process, seq HAVING count(*) > 1");
    require_none(db, "SELECT id, start_ns, end_ns FROM process p WHERE start_ns IS NULL OR end_ns < start_ns OR "
                     "(SELECT sum(ns) FROM ledger WHERE process = p.id) <> end_ns - start_ns");
    require_none(db, "SELECT * FROM ledger WHERE ns < 0");
    require_none(db, "SELECT * FROM pragma_integrity_check WHERE integrity_check <> 'ok'");
    sqlite3_close(db);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct session_plan plan;
    (void)argc, (void)argv;
    place_make();
    REQUIRE(place_collect(true, NULL, 0, &plan), "the healthy session is refused");
    read_trace(place.db, place.json, true);
    sqlite3 *db = open_db();
    sound_logs = rows_of(db, logs_query);
    sound_processes = rows_of(db, processes_query);
    sqlite3_close(db);
    REQUIRE(strstr(sound_logs, "working") && strlen(sound_processes) > 500, "the healthy logs are not stored:\n%s\n%s",
            sound_logs, sound_processes);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct session_plan plan;
    if (size < HEADER_BYTES || size > INPUT_MAX)
        return -1;
    if (place_collect(true, data, size, &plan)) {
        read_trace(place.db, place.json, true);
        check_trace(&plan);
    }
    return 0;
}

/* Mutates whole records, so that what stands behind a change keeps its meaning. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    max = max < INPUT_MAX ? max : INPUT_MAX;
    if (max < HEADER_BYTES + 2 * RECORD_BYTES)
        return LLVMFuzzerMutate(data, size, max);
    if (size < HEADER_BYTES) {
        memset(data + size, 0, HEADER_BYTES - size);
        size = HEADER_BYTES;
    }
    size_t count = (size - HEADER_BYTES) / RECORD_BYTES, room = (max - HEADER_BYTES) / RECORD_BYTES;
    uint8_t *records = data + HEADER_BYTES, *at = records + (count ? seed / 16 % count : 0) * RECORD_BYTES;
    size_t behind = (size_t)(records + count * RECORD_BYTES - at);
    switch (seed % 16) {
    case 0: /* the session and the logs */
    case 1:
        LLVMFuzzerMutate(data + seed / 16 % HEADER_BYTES, 1, 1);
        break;
    case 2:
        LLVMFuzzerMutate(data, HEADER_BYTES, HEADER_BYTES);
        break;
    case 3: /* one record goes */
        if (count) {
            memmove(at, at + RECORD_BYTES, behind - RECORD_BYTES);
            count--;
        }
        break;
    case 4: /* many copies of one */
        for (unsigned n = seed >> 24; n > 0 && count && count < room; n--)
            memcpy(records + count++ * RECORD_BYTES, at, RECORD_BYTES);
        break;
    case 5: /* a begin and its end around those that follow */
    case 6:
        if (count && count + 1 < room) {
            size_t inside = seed >> 20 & 7;
            inside = inside * RECORD_BYTES > behind ? 0 : inside;
            memmove(at + RECORD_BYTES, at, behind);
            at[2 + RECORD_BYTES] &= 0xfe;
            memmove(at + (2 + inside) * RECORD_BYTES, at + (1 + inside) * RECORD_BYTES, behind - inside * RECORD_BYTES);
            memcpy(at + (1 + inside) * RECORD_BYTES, at, RECORD_BYTES);
            at[2] &= 0xfe;
            at[2 + (1 + inside) * RECORD_BYTES] |= 1;
            count += 2;
        }
        break;
    case 7: /* a new one */
    case 8:
    case 9:
        if (count < room) {
            memmove(at + RECORD_BYTES, at, behind);
            memset(at, 0, RECORD_BYTES);
            at[0] = (uint8_t)(seed >> 8 & 3);
            at[1] = (uint8_t)(seed >> 16);
            at[4] = (uint8_t)(seed >> 24);
            LLVMFuzzerMutate(at, RECORD_BYTES, RECORD_BYTES);
            count++;
        }
        break;
    default: /* one byte of one record */
        if (count)
            LLVMFuzzerMutate(at + (seed >> 20) % RECORD_BYTES, 1, 1);
    }
    return HEADER_BYTES + count * RECORD_BYTES;
}
