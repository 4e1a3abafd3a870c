/* A session with its database for a C test, questions to the database, and children that write logs. */
#ifndef SF_TESTS_TRACER_RECORDED_H
#define SF_TESTS_TRACER_RECORDED_H

#include "harness.h"
#include "tracer/writer.h"

#include <sqlite3.h>
#include <sys/wait.h>

#include "collect/recording.h"
#include "collect/start.h"

static struct recording recorded;
static struct sentence why;
static char recorded_path[64];

static void recorded_leave(void)
{
    session_remove(&recorded.session, NULL);
    session_close(&recorded.session);
    unlink(recorded_path);
}

/* A session with logs of so many records. All files are removed when the test ends. */
static inline void recorded_begin(uint32_t records)
{
    snprintf(recorded_path, sizeof recorded_path, "/tmp/test_recorded.%d.db", (int)getpid());
    if (recording_open(&recorded, recorded_path, records, &why))
        FAIL("%s", why.text);
    atexit(recorded_leave);
    CHECK_EQ(0, start_database(recorded.store, &recorded.session, &recorded.clock, "test", getpid()));
}

/* The first column of the first row; -1000 for none or NULL. */
static inline long long ask_in(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
        FAIL("%s: %s", sql, sqlite3_errmsg(db));
    long long value =
        sqlite3_step(s) == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL ? sqlite3_column_int64(s, 0) : -1000;
    sqlite3_finalize(s);
    return value;
}

/* The same of the database's file, which no store has open any more. */
static inline long long ask(const char *sql)
{
    sqlite3 *db;
    CHECK_EQ(SQLITE_OK, sqlite3_open(recorded_path, &db));
    long long value = ask_in(db, sql);
    sqlite3_close(db);
    return value;
}

/* Runs `act` in a child with a log of its own, until it has ended. */
static inline void in_child(void (*act)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_EQ(0, writer_open(recorded.session.dir, 0, "child"));
        act();
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static inline void write_marks(int from, int to)
{
    for (int i = from; i < to; i++)
        W_INSTANT(MARK, 0, (uint64_t)i, 0);
}

#endif
