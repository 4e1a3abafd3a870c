/* Fuzzes what reads a trace from a stranger: a good trace is changed, then (for every fourth number of changes, after
 * `collect` has gone on with it) `info`, `analyze`, `export` and the report's queries read it. Each ends with status 0,
 * or with 1 and a sentence, and prints nothing that a terminal or a reader of JSON should not get.
 *
 * The input is changes of 8 bytes each: what to do, column, row, kind of value, and the value. Most change values in
 * the tables, so that the file is a sound database with our schema whose content is not ours; others its schema, and at
 * the end bytes of the file. */
#include <math.h>

#include "session_place.h"
#include "store/rows.h"

enum { CHANGE_BYTES = 8, CHANGES_MAX = 64 };

static char *good; /* the trace that is changed */
static size_t good_size;

/* All tables of the good trace. Inputs name them by their place: those that the corpus was made for come first, in
 * this order, and newer ones after them. */
enum { TABLES_MAX = 64 }; /* as many as a change can name */
static const char first_tables[] = " meta process task channel text event_kind event open_span clock_snapshot "
                                   "clock_segment sched_slice fault kernel_wait stats log kernel_life number reap "
                                   "category ledger critical_path path_activity efficiency what_if ";
static struct table {
    char name[32], row[32]; /* row: the column that finds a row */
    int columns;
} tables[TABLES_MAX];
static unsigned tables_count;

/* What a stranger may have done to the schema. */
static const char *const schemas[] = {
    "DROP VIEW message; CREATE VIEW message AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
    "SELECT x AS channel, x AS seq, x AS sender, x AS receiver, x AS bytes, x AS send_ns, x AS receive_ns FROM n",
    "ALTER TABLE event RENAME COLUMN tsc TO cst",
    "DROP TABLE stats",
    "DROP TABLE ledger; CREATE VIEW ledger AS SELECT 1 AS process, 'running' AS category, 1 AS ns",
    "CREATE TRIGGER t AFTER INSERT ON ledger BEGIN DELETE FROM event; END",
    "CREATE VIEW main.shown_note AS SELECT writefile('/dev/null', 'x') AS note",
    "CREATE TABLE more(a, b, c); INSERT INTO more VALUES(zeroblob(100000), 1, 2)",
    "PRAGMA user_version = 4",
    "PRAGMA application_id = 1",
    "CREATE UNIQUE INDEX once ON event(kind, phase, lane, process, seq)",
    "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE "
    "name = 'event') WHERE name = 'text'",
    "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = replace(sql, 'INTEGER', 'TEXT') WHERE name = 'process'",
    "PRAGMA journal_mode = WAL",
};
enum { SCHEMAS = sizeof schemas / sizeof *schemas };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static void bind(sqlite3_stmt *s, int at, unsigned kind, const uint8_t *value)
{
    static const char *const texts[] = {"\x1b[31mred\x07",
                                        "\xe2\x80\xae"
                                        "evil",
                                        "\x9b"
                                        "31m",
                                        "\xc2\x9b"
                                        "31m",
                                        "a\0b",
                                        "%s%n%d",
                                        "\xff\xfe\x80",
                                        "\"quoted\"\\",
                                        "line\nline\ttab",
                                        "<script>",
                                        "running",
                                        "recovered",
                                        "\xf0\x9f\x90\x9f",
                                        "\xed\xa0\x80",
                                        "1e999",
                                        "-5"};
    static char much[20000];
    int64_t number = value[0] | value[1] << 8;
    switch (kind % 14) {
    case 0:
        sqlite3_bind_int64(s, at, number);
        break;
    case 1:
        sqlite3_bind_int64(s, at, INT64_MAX - number);
        break;
    case 2:
        sqlite3_bind_int64(s, at, INT64_MIN + number);
        break;
    case 3:
        sqlite3_bind_int64(s, at, number << 40);
        break;
    case 4:
        sqlite3_bind_int64(s, at, -number);
        break;
    case 5:
        sqlite3_bind_double(s, at, (double)number * 1e303);
        break;
    case 6:
        sqlite3_bind_double(s, at, value[0] & 1 ? INFINITY : -INFINITY);
        break;
    case 7:
        sqlite3_bind_null(s, at);
        break;
    case 8:
        sqlite3_bind_blob(s, at, value, 4, SQLITE_STATIC);
        break;
    case 9:
        memset(much, value[0] ? value[0] : 'x', sizeof much);
        sqlite3_bind_text(s, at, much, sizeof much, SQLITE_STATIC);
        break;
    case 10:
        sqlite3_bind_double(s, at, (double)number / 7);
        break;
    case 11:
        sqlite3_bind_int64(s, at, value[0] % 4);
        break;
    case 12:
        sqlite3_bind_text(s, at, texts[value[0] % 16], value[0] % 16 == 4 ? 3 : -1, SQLITE_STATIC);
        break;
    default:
        sqlite3_bind_text(s, at, (const char *)value, 4, SQLITE_STATIC);
    }
}

/* Runs the statement, if it can be run, with this value and row. */
static void run(sqlite3 *db, const char *sql, const uint8_t *change)
{
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK) {
        if (sqlite3_bind_parameter_count(s) > 1)
            bind(s, 2, change[3], change + 4);
        sqlite3_bind_int64(s, 1, change[2]);
        sqlite3_step(s);
    }
    sqlite3_finalize(s);
}

static void read_tables(sqlite3 *db)
{
    struct rows rows;
    char sql[1024];
    snprintf(
        sql, sizeof sql,
        "SELECT name, iif(sql LIKE '%%WITHOUT ROWID%%', (SELECT name FROM pragma_table_info(s.name) WHERE pk = 1), "
        "'rowid'), (SELECT count(*) FROM pragma_table_info(s.name)), instr('%s', ' ' || name || ' ') AS place "
        "FROM sqlite_schema s WHERE type = 'table' AND name NOT LIKE 'sqlite%%' ORDER BY place = 0, place, s.rowid",
        first_tables);
    rows_open(&rows, db, sql);
    while (rows_next(&rows)) {
        REQUIRE(tables_count < TABLES_MAX, "no change can name more than %d tables", TABLES_MAX);
        struct table *table = &tables[tables_count++];
        snprintf(table->name, sizeof table->name, "%s", (const char *)sqlite3_column_text(rows.s, 0));
        snprintf(table->row, sizeof table->row, "%s", (const char *)sqlite3_column_text(rows.s, 1));
        table->columns = (int)rows_integer(&rows, 2);
    }
    rows_close(&rows);
    REQUIRE(tables_count > 20, "the trace has %u tables", tables_count);
}

/* The names of the table's columns, with `value` in place of one of them and, if it is a number of rows, NULL for the
 * id. */
static void columns_of(sqlite3 *db, const struct table *table, int changed, char *to, size_t size)
{
    struct rows rows;
    char sql[128];
    int at = 0;
    snprintf(sql, sizeof sql, "SELECT name, pk AND type = 'INTEGER' FROM pragma_table_info('%s')", table->name);
    rows_open(&rows, db, sql);
    for (int i = 0; rows_next(&rows) && at < (int)size; i++)
        at += snprintf(to + at, size - (size_t)at, "%s%s", i ? ", " : "",
                       i == changed                       ? "?2"
                       : i == 0 && rows_integer(&rows, 1) ? "NULL"
                                                          : (const char *)sqlite3_column_text(rows.s, 0));
    rows_close(&rows);
}

static void name_of(sqlite3 *db, const struct table *table, int column, char to[64])
{
    struct rows rows;
    char sql[128];
    to[0] = '\0';
    snprintf(sql, sizeof sql, "SELECT name FROM pragma_table_info('%s') WHERE cid = %d", table->name, column);
    rows_open(&rows, db, sql);
    while (rows_next(&rows))
        snprintf(to, 64, "%s", (const char *)sqlite3_column_text(rows.s, 0));
    rows_close(&rows);
}

static void change_rows(sqlite3 *db, const uint8_t *change)
{
    const struct table *table = &tables[(change[0] >> 3 | change[1] >> 7 << 5) % tables_count];
    int column = change[1] % table->columns;
    char sql[2048], names[1024], where[256];
    snprintf(where, sizeof where, "%s = (SELECT %s FROM %s LIMIT 1 OFFSET ?1 %% (SELECT count(*) FROM %s))", table->row,
             table->row, table->name, table->name);
    if ((change[0] & 7) < 5) {
        name_of(db, table, column, names);
        snprintf(sql, sizeof sql, "UPDATE OR IGNORE %s SET %s = ?2 WHERE %s", table->name, names, where);
    } else if ((change[0] & 7) == 5) {
        columns_of(db, table, column, names, sizeof names);
        snprintf(sql, sizeof sql, "INSERT OR IGNORE INTO %s SELECT %s FROM %s WHERE %s", table->name, names,
                 table->name, where);
    } else {
        snprintf(sql, sizeof sql, "DELETE FROM %s WHERE %s", table->name, where);
    }
    run(db, sql, change);
}

static void change_database(const uint8_t *data, size_t count)
{
    sqlite3 *db;
    REQUIRE(sqlite3_open_v2(place.db, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK, "%s", place.db);
    sqlite3_exec(db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY; BEGIN", NULL, NULL, NULL);
    for (const uint8_t *change = data; change < data + count * CHANGE_BYTES; change += CHANGE_BYTES)
        if ((change[0] & 7) != 7)
            change_rows(db, change);
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    for (const uint8_t *change = data; change < data + count * CHANGE_BYTES; change += CHANGE_BYTES)
        if ((change[0] & 7) == 7 && change[0] >> 3 < 8)
            sqlite3_exec(db, schemas[change[1] % SCHEMAS], NULL, NULL, NULL);
    sqlite3_close(db);
}

static void change_bytes(const uint8_t *data, size_t count)
{
    int fd = openat(place.root_fd, "run.db", O_RDWR | O_CLOEXEC);
    for (const uint8_t *change = data; change < data + count * CHANGE_BYTES; change += CHANGE_BYTES)
        if ((change[0] & 7) == 7 && change[0] >> 3 >= 8) {
            off_t at = (off_t)((change[1] | (unsigned)change[2] << 8 | (unsigned)change[3] << 16) % good_size);
            ssize_t n = change[7] & 1 ? ftruncate(fd, at) : pwrite(fd, change + 4, 1 + change[7] / 2 % 3, at);
            REQUIRE(n >= 0, "%s", place.db);
        }
    close(fd);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char kernel[] =
        "INSERT INTO sched_slice VALUES(1, 7, 0, 1000, 200000, 'preempted', NULL, 500), (1, 7, 1, 300000, 400000, "
        "'blocked', 2, 250000), (2, 8, 1, 200000, 900000, 'exited', 1, 190000);"
        "INSERT INTO fault VALUES(1, 7, 'copy-on-write', 'user', 1000, 3000, 2, 900, 0), "
        "(2, 8, 'first-write', 'kernel', 210000, 250000, 5, 4000, 1);"
        "INSERT INTO kernel_wait VALUES(1, 7, 'pipe', 400000, 500000), (2, 8, 'futex', 300000, 310000);"
        "INSERT INTO kernel_life VALUES(1, 7, 0, 2000000, 0, 0), (2, 8, 190000, 1900000, 3, 0);"
        "INSERT INTO open_span VALUES(4); INSERT INTO reap VALUES(7, 5, 0, 0);"
        "INSERT INTO stats VALUES('kernel_lost_slices', NULL, 'loss', 5)";
    struct session_plan plan;
    sqlite3 *db;
    (void)argc, (void)argv;
    place_make();
    REQUIRE(place_collect(true, NULL, 0, &plan), "the healthy session is refused");
    REQUIRE(sqlite3_open_v2(place.db, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
                sqlite3_exec(db, kernel, NULL, NULL, NULL) == SQLITE_OK,
            "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
    read_trace(place.db, place.json, true);
    REQUIRE(sqlite3_open_v2(place.db, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK, "%s", place.db);
    read_tables(db);
    sqlite3_close(db);
    good = place_read(place.db, &good_size);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t count = size / CHANGE_BYTES;
    if (!count || count > CHANGES_MAX)
        return -1;
    place_empty(place.root_fd); /* what belongs to a database lies beside it, such as a journal */
    write_file(place.root_fd, "run.db", good, good_size);
    change_database(data, count);
    change_bytes(data, count);
    if (count % 4 == 3) {
        struct session_plan plan;
        place_collect(false, NULL, 0, &plan);
    }
    read_trace(place.db, place.json, false);
    return 0;
}
