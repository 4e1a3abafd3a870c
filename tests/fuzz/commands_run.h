/* Runs commands of snakefish-trace inside a fuzzer, and holds each to what it owes for any input: it ends with status 0
 * or 1, it says why when it failed, a terminal gets no control character, and JSON is JSON. What is broken aborts. */
#ifndef SF_TESTS_FUZZ_COMMANDS_RUN_H
#define SF_TESTS_FUZZ_COMMANDS_RUN_H

#include <getopt.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "commands/commands.h"
#include "json_check.h"

#ifndef REPORT_SQL
#define REPORT_SQL "analysis/trace.sql" /* for those that start at the top of the checkout */
#endif

#define REQUIRE(condition, ...)                                                                                        \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "\n%s:%d: %s: ", __FILE__, __LINE__, #condition);                                          \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fprintf(stderr, "\n");                                                                                     \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* ---- memory for SQLite ----
 *
 * It asks for memory some 100,000 times in each run, for which the sanitizer would take half of the time. So it gets
 * pieces of 2^n bytes, kept in lists, from here. Its memory is its own; ours stays with the sanitizer. */
enum { PIECE_MIN = 5, PIECE_MAX = 30 };
static void *pieces[PIECE_MAX + 1];

static int piece_class(int bytes)
{
    int n = PIECE_MIN;
    while (n < PIECE_MAX && (int64_t)1 << n < (int64_t)bytes + 16)
        n++;
    return n;
}

/* Each piece begins with its class, and while it is free with the next one. */
static void *piece_new(int bytes)
{
    static char *chunk;
    static size_t left;
    int n = piece_class(bytes);
    size_t size = (size_t)1 << n;
    char *piece = pieces[n];
    if (piece) {
        memcpy(&pieces[n], piece + 8, sizeof(void *));
        return piece + 16;
    }
    if (left < size) {
        left = size > 1u << 22 ? size : 1u << 22;
        chunk = mmap(NULL, left, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        REQUIRE(chunk != MAP_FAILED, "no memory");
    }
    piece = chunk;
    chunk += size;
    left -= size;
    memcpy(piece, &n, sizeof n);
    return piece + 16;
}

static void piece_free(void *memory)
{
    int n;
    char *piece = (char *)memory - 16;
    memcpy(&n, piece, sizeof n);
    memcpy(piece + 8, &pieces[n], sizeof(void *));
    pieces[n] = piece;
}

static int piece_size(void *memory)
{
    int n = 0;
    if (memory)
        memcpy(&n, (char *)memory - 16, sizeof n);
    return n ? (1 << n) - 16 : 0;
}

static void *piece_resize(void *memory, int bytes)
{
    if (bytes <= piece_size(memory))
        return memory;
    void *grown = piece_new(bytes);
    memcpy(grown, memory, (size_t)piece_size(memory));
    piece_free(memory);
    return grown;
}

static int piece_round(int bytes)
{
    return (1 << piece_class(bytes)) - 16;
}

static int pieces_begin(void *unused)
{
    (void)unused;
    return SQLITE_OK;
}

static void pieces_end(void *unused)
{
    (void)unused;
}

/* Before SQLite is used. */
static void give_sqlite_memory(void)
{
    static sqlite3_mem_methods methods = {piece_new,   piece_free,   piece_resize, piece_size,
                                          piece_round, pieces_begin, pieces_end,   NULL};
    REQUIRE(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK, "SQLite was used before");
}

/* ---- commands ---- */

/* What a command said. command_forget frees it. */
struct said {
    int status;
    char *out, *err;
};

static void command_forget(struct said *said)
{
    free(said->out);
    free(said->err);
}

/* Characters that change what a terminal does, or the order in which it shows others. */
static bool is_control(uint32_t code)
{
    return (code < 0x20 && code != '\n') || (code >= 0x7f && code < 0xa0) || code == 0x61c || code == 0x200e ||
           code == 0x200f || (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

static void check_for_terminal(const char *command, const char *text)
{
    uint32_t code = 0;
    for (const char *at = text; *at;) {
        int bytes = utf8_next(at, &code);
        REQUIRE(bytes && !is_control(code), "%s prints byte %zu, U+%04X: %s", command, (size_t)(at - text),
                bytes ? code : (unsigned char)*at, text);
        at += bytes;
    }
}

/* words[0] is the command's name; NULL ends them. */
static struct said command_run(int (*command)(int, char **), const char *const words[])
{
    struct said said = {0};
    size_t sizes[2];
    char *arguments[8] = {NULL};
    int count = 0;
    FILE *const out = stdout, *const err = stderr;
    for (; words[count] && count < 7; count++)
        arguments[count] = strdup(words[count]);
    stdout = open_memstream(&said.out, &sizes[0]);
    stderr = open_memstream(&said.err, &sizes[1]);
    optind = 1; /* getopt begins anew */
    said.status = command(count, arguments);
    fclose(stdout);
    fclose(stderr);
    stdout = out;
    stderr = err;
    for (int i = 0; i < count; i++)
        free(arguments[i]);
    REQUIRE(said.status == COMMAND_OK || said.status == COMMAND_FAILED, "%s: status %d: %s", words[0], said.status,
            said.err);
    REQUIRE(said.status == COMMAND_OK || said.err[0], "%s fails without a word", words[0]);
    REQUIRE(strlen(said.out) == sizes[0] && strlen(said.err) == sizes[1], "%s prints a NUL", words[0]);
    REQUIRE(!strstr(said.err, "integer overflow"), "%s says: %s", words[0], said.err);
    check_for_terminal(words[0], said.err);
    check_for_terminal(words[0], said.out);
    return said;
}

static char *read_whole(const char *path)
{
    FILE *f = fopen(path, "re");
    REQUIRE(f, "there is no %s", path);
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    char *text = calloc(1, (size_t)size + 1);
    rewind(f);
    REQUIRE(text && fread(text, 1, (size_t)size, f) == (size_t)size && strlen(text) == (size_t)size, "%s", path);
    fclose(f);
    return text;
}

static int show_nothing(void *arg, int columns, char **values, char **names)
{
    (void)arg, (void)columns, (void)values, (void)names;
    return 0;
}

/* Runs what analysis/load_trace.R runs before it draws: analysis/trace.sql, and a query over each of its views. */
static int load_for_report(sqlite3 *db)
{
    static const char prepare[] =
        "PRAGMA temp_store = MEMORY;"
        "CREATE TEMP TABLE drawn(process INTEGER PRIMARY KEY);"
        "INSERT INTO drawn SELECT id FROM process WHERE start_ns IS NOT NULL ORDER BY start_ns, id LIMIT 40;"
        "CREATE TEMP TABLE page_limits AS SELECT 700 AS timeline_columns, 300 AS channel_slots, 60 AS arrows, "
        "512 AS arrow_stretches, 15 AS variables, 6 AS functions;";
    static char *script;
    char query[128];
    sqlite3_stmt *views = NULL;
    if (!script)
        script = read_whole(REPORT_SQL);
    int rc = sqlite3_exec(db, prepare, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, script, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db,
                                "SELECT 'temp.' || name FROM sqlite_temp_schema WHERE type = 'view' "
                                "UNION ALL SELECT 'main.' || name FROM main.sqlite_schema WHERE type = 'view'",
                                -1, &views, NULL);
    while (rc == SQLITE_OK && sqlite3_step(views) == SQLITE_ROW) {
        snprintf(query, sizeof query, "SELECT * FROM %.80s", (const char *)sqlite3_column_text(views, 0));
        rc = sqlite3_exec(db, query, show_nothing, NULL, NULL);
    }
    sqlite3_finalize(views);
    return rc;
}

/* Runs every command that reads a trace, and the report's queries. `ours`: the collector has made it, so none may fail.
 */
static void read_trace(const char *path, const char *json, bool ours)
{
    const struct {
        int (*command)(int, char **);
        const char *words[6];
    } all[] = {{cmd_info, {"info", path}},
               {cmd_analyze, {"analyze", path}},
               {cmd_analyze, {"analyze", "--json", path}},
               {cmd_export, {"export", path, "-o", json}},
               {cmd_predict, {"predict", "--json", "--cpus", "1,3,100", path}}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct said said = command_run(all[i].command, all[i].words);
        /* Predict may refuse what cannot be handed out anew, and for no other reason. */
        bool refused = i == 4 && said.status == COMMAND_FAILED &&
                       (strstr(said.err, ": a map on an Executor (executor=) cuts") ||
                        strstr(said.err, ": nobody can tell from where"));
        REQUIRE(!ours || said.status == COMMAND_OK || refused, "%s: %s", all[i].words[0], said.err);
        if ((i == 2 || i == 4) && said.status == COMMAND_OK)
            REQUIRE(json_is_valid(said.out), "%s --json: %s", all[i].words[0], said.out);
        if (i == 3 && said.status == COMMAND_OK) {
            char *text = read_whole(json);
            REQUIRE(json_is_valid(text), "export: %s", text);
            free(text);
        }
        command_forget(&said);
    }
    sqlite3 *db;
    int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL);
    if (rc == SQLITE_OK)
        rc = load_for_report(db);
    REQUIRE(!ours || rc == SQLITE_OK, "the report's queries: %s", sqlite3_errmsg(db));
    REQUIRE(!strstr(sqlite3_errmsg(db), "integer overflow"), "the report's queries: %s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

#endif
