/* Stored traces made by hand, in memory, with the real schema; a tick of their clock is a nanosecond. What
 * tests/tracer/handmade.py is for tests of the command, this is for tests of its parts. */
#ifndef SF_TESTS_TRACER_ANALYZE_HAND_TRACE_H
#define SF_TESTS_TRACER_ANALYZE_HAND_TRACE_H

#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>

#include "harness.h"

#include "abi/log_format.h"

static const char hand_schema[] =
#include "store/schema.inc"
    ;

/* Runs what sqlite3_mprintf makes of it. */
static inline void trace_sql(sqlite3 *db, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *sql = sqlite3_vmprintf(format, args);
    va_end(args);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        FAIL("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_free(sql);
}

static inline sqlite3 *trace_new(void)
{
    sqlite3 *db;
    CHECK_EQ(SQLITE_OK, sqlite3_open(":memory:", &db));
    trace_sql(db, "%s", hand_schema);
    trace_sql(db, "INSERT INTO clock_segment VALUES(0, 0, 0, 1.0)");
    return db;
}

/* Its pid is 100 + id. parent, task: 0: none. A task's number is also its row. */
static inline void trace_process(sqlite3 *db, int id, int64_t start_ns, int64_t end_ns, int parent, int task)
{
    if (task)
        trace_sql(db, "INSERT INTO task(id, process, kind, creator) VALUES(%d, %d, 'thread', %d)", task, id, parent);
    trace_sql(db, "INSERT INTO process VALUES(%d, %d, nullif(%d, 0), NULL, 0, %lld, %lld, nullif(%d, 0))", id, 100 + id,
              parent, (long long)start_ns, (long long)end_ns, task);
}

/* Adds an event to those that are there; returns its row. */
static inline int64_t trace_event(sqlite3 *db, int process, int64_t ns, int kind, int phase, int object, int64_t a,
                                  int64_t b, int64_t begin)
{
    trace_sql(db, "INSERT INTO event VALUES(%d, 0, %lld, %d, %d, %lld, %lld, %d, 0, nullif(%lld, 0))", process,
              (long long)ns, kind, object, (long long)a, (long long)b, phase, (long long)begin);
    return sqlite3_last_insert_rowid(db);
}

#define TRACE_BEGIN(db, process, ns, kind, object, a, b)                                                               \
    trace_event(db, process, ns, SF_EVENT_##kind, SF_PHASE_BEGIN, object, a, b, 0)
#define TRACE_END(db, process, ns, kind, object, a, b, begin)                                                          \
    trace_event(db, process, ns, SF_EVENT_##kind, SF_PHASE_END, object, a, b, begin)
#define TRACE_INSTANT(db, process, ns, kind, object, a, b)                                                             \
    trace_event(db, process, ns, SF_EVENT_##kind, SF_PHASE_INSTANT, object, a, b, 0)

/* A whole span, where nothing of the same process lies within it. */
#define TRACE_SPAN(db, process, from_ns, to_ns, kind, object, a, b)                                                    \
    TRACE_END(db, process, to_ns, kind, object, a, b, TRACE_BEGIN(db, process, from_ns, kind, object, a, b))

#endif
