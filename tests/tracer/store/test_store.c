/* The database: which files it may be, and that an error sticks and loses nothing that was committed. */
#include "harness.h"

#include <errno.h>
#include <sys/resource.h>

#include "store/database.h"
#include "store/schema.h"
#include "store/store.h"
#include "store/trace_file.h"

static char path[64];
static struct sentence why;

static void leave(void)
{
    unlink(path);
}

static struct store *make(void)
{
    struct store *store;
    snprintf(path, sizeof path, "/tmp/test_store.%d.db", (int)getpid());
    atexit(leave);
    if (store_create(&store, path, &why))
        FAIL("%s", why.text);
    return store;
}

static long long ask(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
        FAIL("%s", sqlite3_errmsg(db));
    long long value = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : -1000;
    sqlite3_finalize(s);
    return value;
}

TEST(a_new_trace_has_the_event_kinds_and_its_state_is_running)
{
    struct store *store = make();
    sqlite3 *db = store_connection(store);
    CHECK_EQ(36, ask(db, "SELECT count(*) FROM event_kind"));
    CHECK_EQ(14, ask(db, "SELECT id FROM event_kind WHERE name = 'send' AND phase = 'span' AND object = 'channel'"));
    CHECK_EQ(1, ask(db, "SELECT value = 'running' FROM meta WHERE key = 'state'"));
    CHECK_EQ(TRACE_FILE_APPLICATION_ID, ask(db, "PRAGMA application_id"));
    CHECK_EQ(SCHEMA_VERSION, ask(db, "PRAGMA user_version"));
    store_close(store);
}

TEST(another_collector_at_work_is_not_disturbed)
{
    struct store *store = make(), *second;
    pid_t pid = fork(); /* locks are a process's: within one they would not show */
    if (pid == 0) {
        CHECK_EQ(-EBUSY, store_create(&second, path, &why));
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    CHECK_EQ(0, status);
    store_close(store);
    CHECK_EQ(0, store_create(&second, path, &why));
    store_close(second);
}

TEST(only_its_own_session_is_continued)
{
    struct store *store = make();
    store_begin(store);
    store_meta_text(store, "session", "snakefish-1-a");
    CHECK_EQ(0, store_commit(store));
    store_close(store);
    CHECK_EQ(-ENOENT, store_continue(&store, path, "snakefish-1-b", &why));
    CHECK_EQ(0, store_continue(&store, path, "snakefish-1-a", &why));
    store_close(store);
    CHECK_EQ(-ENOENT, store_continue(&store, "/tmp/no-such-trace.db", "snakefish-1-a", &why));
}

TEST(a_discarded_trace_leaves_nothing)
{
    struct store *store = make();
    store_discard(store);
    CHECK_EQ(-1, access(path, F_OK));
}

TEST(texts_are_interned_and_numbers_found_again)
{
    struct store *store = make();
    store_begin(store);
    int64_t a = store_text(store, "a"), b = store_text(store, "b");
    CHECK(a && b && a != b);
    CHECK_EQ(a, store_text(store, "a"));
    CHECK_EQ(0, store_number(store, STORE_TASK, 7, 1));
    int64_t task = store_new_number(store, STORE_TASK, 7, 1, 0);
    CHECK_EQ(task, store_number(store, STORE_TASK, 7, 1));
    CHECK_EQ(0, store_number(store, STORE_TASK, 8, 1));
    CHECK_EQ(0, store_number(store, STORE_CHANNEL, 7, 1));
    CHECK_EQ(0, store_commit(store));
    store_close(store);
}

TEST(a_full_disk_is_an_error_that_sticks_and_keeps_what_was_committed)
{
    struct store *store = make();
    struct rlimit limit = {.rlim_cur = 400000, .rlim_max = 400000}; /* as if the disk were so small */
    struct store_event event = {.process = 1, .kind = SF_EVENT_MARK};
    uint64_t committed = 0;
    int error = 0;
    signal(SIGXFSZ, SIG_IGN);
    CHECK_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
    for (int i = 0; i < 1000 && !error; i++) {
        store_begin(store);
        for (int j = 0; j < 1000; j++) {
            event.seq++;
            store_event(store, &event);
        }
        error = store_commit(store);
        committed += error ? 0 : 1000;
    }
    CHECK_EQ(-EIO, error);
    CHECK(strstr(store_why(store)->text, path) != NULL);
    store_begin(store);
    CHECK_EQ(0, store_event(store, &event));
    CHECK_EQ(-EIO, store_commit(store));
    store_close(store);
    sqlite3 *db;
    CHECK_EQ(0, database_open(&db, path, &why));
    CHECK(committed > 0);
    CHECK_EQ(committed, ask(db, "SELECT count(*) FROM event"));
    CHECK_EQ(1, ask(db, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"));
    sqlite3_close(db);
}

TEST_MAIN()
