/* A trace as Chrome trace JSON (the JSON array format's object form), as the Perfetto UI and speedscope read it.
 *
 * pid is the process's pid, or a number beyond all pids where two processes had the same one; tid is the lane.
 * Slices are complete events (X), outer ones before inner ones, so that equal times nest right too; each process
 * has one slice for its whole life, in which its instants and the ends of arrows lie. Every arrow's two ends lie
 * inside a slice. Memory: nothing but SQLite's sorters, which spill to disk. */
#include "chrome.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "json.h"

struct chrome {
    sqlite3 *db;
    FILE *to;
    bool comma;
    int64_t arrows;
    int error;
};

/* 4194304 is the highest pid that Linux gives. */
static const char prepare[] =
    "PRAGMA temp_store = FILE;"
    "CREATE TEMP TABLE shown AS SELECT p.id, iif(count(*) OVER (PARTITION BY p.pid) > 1, 4194304 + p.id, p.pid) AS "
    "pid,"
    "  coalesce(nullif(p.name, ''), 'process ' || p.pid) AS name, p.start_ns,"
    "  coalesce(p.end_ns, (SELECT max(t.ns) FROM event_time t WHERE t.process = p.id), p.start_ns) AS end_ns,"
    "  p.exit_status FROM process p;"
    "CREATE UNIQUE INDEX temp.shown_id ON shown(id);"
    "CREATE TEMP TABLE fork_end(task INTEGER PRIMARY KEY, id);"
    "INSERT OR REPLACE INTO fork_end SELECT object, rowid FROM event"
    "  WHERE kind = 5 AND phase = 2 AND begin IS NOT NULL AND object IS NOT NULL;"
    "CREATE TEMP TABLE process_of(task INTEGER PRIMARY KEY, id);"
    "INSERT OR REPLACE INTO process_of SELECT task, id FROM process WHERE task IS NOT NULL;";

static const char lives[] = "SELECT pid, name, id, start_ns, end_ns, exit_status FROM shown ORDER BY id";

static const char lanes[] =
    "SELECT s.pid, e.lane FROM (SELECT DISTINCT process, lane FROM event) e JOIN shown s ON s.id = e.process "
    "ORDER BY e.process, e.lane";

#define LABEL                                                                                                      \
    "CASE k.object WHEN 'text' THEN (SELECT text FROM text WHERE id = e.object)"                                   \
    " WHEN 'task' THEN (SELECT coalesce(name, kind || ' ' || id, 'task ' || id) FROM task WHERE id = e.object)"    \
    " WHEN 'channel' THEN 'channel ' || e.object END"

/* In all queries CROSS JOIN: SQLite is to take the tables in this order, whatever it thinks of their sizes. */

/* pid, tid, kind, kind's object, label, a's name, a, b's name, b, start, end, closed */
static const char slices[] =
    "SELECT p.pid, e.lane, k.name, k.object, " LABEL ", k.a, e.a, k.b, e.b, s.ns, e.ns, 1, e.process, s.id AS at"
    "  FROM event_time e CROSS JOIN event_time s ON s.id = e.begin CROSS JOIN event_kind k ON k.id = e.kind"
    "  CROSS JOIN shown p ON p.id = e.process WHERE e.phase = 2"
    " UNION ALL"
    " SELECT p.pid, e.lane, k.name, k.object, " LABEL
    ", k.a, e.a, k.b, e.b, e.ns, max(p.end_ns, e.ns), 0, e.process, e.id"
    "  FROM open_span o CROSS JOIN event_time e ON e.id = o.event CROSS JOIN event_kind k ON k.id = e.kind"
    "  CROSS JOIN shown p ON p.id = e.process"
    " ORDER BY 13, 2, at";

/* The same columns; the texts themselves are no event that anybody wants to see. */
static const char instants[] =
    "SELECT p.pid, e.lane, k.name, k.object, " LABEL ", k.a, e.a, k.b, e.b, e.ns, e.ns, 1"
    " FROM event_time e CROSS JOIN event_kind k ON k.id = e.kind CROSS JOIN shown p ON p.id = e.process"
    " WHERE e.phase = 0 AND k.name <> 'text'";

/* name; from: pid, tid, earliest, latest; to: the same. Kinds by their ids in events.def. */
static const char messages[] =
    "SELECT 'message', p.pid, s.lane, sb.ns, s.ns, q.pid, r.lane, rb.ns, r.ns"
    " FROM event_time s CROSS JOIN event_time r ON r.object = s.object AND r.a = s.a AND r.kind = 15 AND r.phase = "
    "2"
    " CROSS JOIN event_time sb ON sb.id = s.begin CROSS JOIN event_time rb ON rb.id = r.begin"
    " CROSS JOIN shown p ON p.id = s.process CROSS JOIN shown q ON q.id = r.process"
    " WHERE s.kind = 14 AND s.phase = 2 AND +s.a > 0"; /* +: or the bound moves to r.a, and takes the place of r.a =
                                                          s.a */

static const char forks[] =
    "SELECT 'fork', p.pid, e.lane, b.ns, e.ns, q.pid, 0, max(t.ns, q.start_ns), max(t.ns, q.start_ns)"
    " FROM (SELECT process, object, min(ns) AS ns FROM event_time WHERE kind = 6 AND lane = 0 GROUP BY 1, 2) t"
    " CROSS JOIN fork_end f ON f.task = t.object CROSS JOIN event_time e ON e.id = f.id"
    " CROSS JOIN event_time b ON b.id = e.begin"
    " CROSS JOIN shown p ON p.id = e.process CROSS JOIN shown q ON q.id = t.process";

static const char joins[] =
    "SELECT 'join', q.pid, 0, q.start_ns, q.end_ns, p.pid, e.lane, b.ns, e.ns"
    " FROM (SELECT object AS task, max(rowid) AS id FROM event WHERE kind = 11 AND phase = 2 AND begin IS NOT NULL"
    "       GROUP BY object) j"
    " CROSS JOIN process_of c ON c.task = j.task CROSS JOIN event_time e ON e.id = j.id"
    " CROSS JOIN event_time b ON b.id = e.begin"
    " CROSS JOIN shown q ON q.id = c.id CROSS JOIN shown p ON p.id = e.process WHERE q.id <> p.id";

static const char *text(sqlite3_stmt *s, int column)
{
    return (const char *)sqlite3_column_text(s, column);
}

/* The beginning of an event up to its name; the caller adds the rest. */
static void open_event(struct chrome *c, const char *phase, int64_t pid, int64_t tid, const char *category,
                       const char *name)
{
    fprintf(c->to, "%s\n{\"ph\":\"%s\",\"pid\":%" PRId64 ",\"tid\":%" PRId64, c->comma ? "," : "", phase, pid, tid);
    if (category) {
        fputs(",\"cat\":", c->to);
        json_string(c->to, category);
    }
    fputs(",\"name\":", c->to);
    json_string(c->to, name);
    c->comma = true;
}

static void put_time(struct chrome *c, const char *key, int64_t ns)
{
    fprintf(c->to, ",\"%s\":", key);
    json_us(c->to, ns);
}

static void put_life(struct chrome *c, sqlite3_stmt *s)
{
    int64_t pid = sqlite3_column_int64(s, 0), start_ns = sqlite3_column_int64(s, 3);
    open_event(c, "M", pid, 0, NULL, "process_name");
    fputs(",\"args\":{\"name\":", c->to);
    json_string(c->to, text(s, 1));
    fputs("}}", c->to);
    open_event(c, "M", pid, 0, NULL, "process_sort_index");
    fprintf(c->to, ",\"args\":{\"sort_index\":%" PRId64 "}}", (int64_t)sqlite3_column_int64(s, 2));
    open_event(c, "X", pid, 0, "process", text(s, 1));
    put_time(c, "ts", start_ns);
    put_time(c, "dur", sqlite3_column_int64(s, 4) - start_ns);
    fprintf(c->to, ",\"args\":{\"process\":%" PRId64, (int64_t)sqlite3_column_int64(s, 2));
    if (sqlite3_column_type(s, 5) != SQLITE_NULL)
        fprintf(c->to, ",\"exit_status\":%" PRId64, (int64_t)sqlite3_column_int64(s, 5));
    fputs("}}", c->to);
}

static void put_lane(struct chrome *c, sqlite3_stmt *s)
{
    int64_t lane = sqlite3_column_int64(s, 1);
    open_event(c, "M", sqlite3_column_int64(s, 0), lane, NULL, "thread_name");
    fprintf(c->to, ",\"args\":{\"name\":\"lane %" PRId64 "\"}}", lane);
}

/* What an argument is called: the first words of its description in events.def. */
static void put_argument(struct chrome *c, const char *description, int64_t value, bool *comma)
{
    char key[40];
    size_t n = description ? strcspn(description, ",;(") : 0;
    while (n && description[n - 1] == ' ')
        n--;
    if (!n)
        return;
    snprintf(key, sizeof key, "%.*s", (int)n, description);
    fputs(*comma ? "," : "", c->to);
    json_string(c->to, key);
    fprintf(c->to, ":%" PRId64, value);
    *comma = true;
}

static void put_event(struct chrome *c, sqlite3_stmt *s, bool slice)
{
    const char *kind = text(s, 2), *object = text(s, 3), *label = text(s, 4);
    int64_t start_ns = sqlite3_column_int64(s, 9), end_ns = sqlite3_column_int64(s, 10);
    bool of_text = object && strcmp(object, "text") == 0 && label, comma = false;
    open_event(c, slice ? "X" : "i", sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1), kind,
               of_text ? label : kind);
    put_time(c, "ts", start_ns);
    if (slice)
        put_time(c, "dur", end_ns - start_ns);
    else
        fputs(",\"s\":\"t\"", c->to);
    fputs(",\"args\":{", c->to);
    if (label && !of_text) {
        json_string(c->to, object);
        fputc(':', c->to);
        json_string(c->to, label);
        comma = true;
    }
    put_argument(c, text(s, 5), sqlite3_column_int64(s, 6), &comma);
    put_argument(c, text(s, 7), sqlite3_column_int64(s, 8), &comma);
    if (!sqlite3_column_int(s, 11))
        fprintf(c->to, "%s\"closed\":false", comma ? "," : "");
    fputs("}}", c->to);
}

static void put_slice(struct chrome *c, sqlite3_stmt *s)
{
    put_event(c, s, true);
}

static void put_instant(struct chrome *c, sqlite3_stmt *s)
{
    put_event(c, s, false);
}

/* An arrow, as late in both slices as can be, and never backwards. */
static void put_arrow(struct chrome *c, sqlite3_stmt *s)
{
    int64_t from_first = sqlite3_column_int64(s, 3), from_ns = sqlite3_column_int64(s, 4) - 1;
    int64_t to_first = sqlite3_column_int64(s, 7), to_ns = sqlite3_column_int64(s, 8) - 1;
    to_ns = to_ns < to_first ? to_first : to_ns;
    from_ns = from_ns > to_ns ? to_ns : from_ns;
    from_ns = from_ns < from_first ? from_first : from_ns;
    if (from_ns > to_ns)
        return; /* the two clocks' error, or a join that was over before its child was seen dead */
    c->arrows++;
    open_event(c, "s", sqlite3_column_int64(s, 1), sqlite3_column_int64(s, 2), "flow", text(s, 0));
    put_time(c, "ts", from_ns);
    fprintf(c->to, ",\"id\":%" PRId64 "}", c->arrows);
    open_event(c, "f", sqlite3_column_int64(s, 5), sqlite3_column_int64(s, 6), "flow", text(s, 0));
    put_time(c, "ts", to_ns);
    fprintf(c->to, ",\"id\":%" PRId64 ",\"bp\":\"e\"}", c->arrows);
}

static void each(struct chrome *c, const char *sql, void (*put)(struct chrome *c, sqlite3_stmt *s))
{
    sqlite3_stmt *s = NULL;
    int rc = c->error ? SQLITE_ERROR : sqlite3_prepare_v2(c->db, sql, -1, &s, NULL);
    if (rc == SQLITE_OK)
        while ((rc = sqlite3_step(s)) == SQLITE_ROW && !ferror(c->to))
            put(c, s);
    sqlite3_finalize(s);
    if (rc != SQLITE_DONE || ferror(c->to))
        c->error = -EIO;
}

int chrome_write(sqlite3 *db, FILE *to)
{
    struct chrome c = {.db = db, .to = to};
    if (sqlite3_exec(db, prepare, NULL, NULL, NULL) != SQLITE_OK)
        return -EIO;
    fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", to);
    each(&c, lives, put_life);
    each(&c, lanes, put_lane);
    each(&c, slices, put_slice);
    each(&c, instants, put_instant);
    each(&c, messages, put_arrow);
    each(&c, forks, put_arrow);
    each(&c, joins, put_arrow);
    fputs("\n]}\n", to);
    return c.error;
}
