/* Writes the object form of Chrome's trace JSON, as the Perfetto UI and speedscope read it.
 *
 * pid is the process's pid; processes that had the same pid get numbers above all pids instead. A row in the viewer is
 * a tid: a thread, with its spans, or with the kernel's view a row for the times of a thread on its CPUs. Those rows
 * have tids above all threads, so they are shown below them, and show also what the thread waited for where its own row
 * does not. Spans are complete events (X), outer ones before inner ones; nesting.h keeps their ends apart.
 * Spans that overlap others in their row without nesting are pairs of async events (b, e) of one id, category and name,
 * which the viewer draws in rows of their own. Each process has a slice from its start to its end, around its instants
 * and the ends of its arrows: both ends of an arrow must lie inside a slice. A counter shows how many page faults the
 * process has had. Memory: only SQLite's sorters, which use files. */
#include "export/chrome.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/json.h"
#include "export/nesting.h"
#include "export/overlaps.h"
#include "store/rows.h"

struct chrome {
    sqlite3 *db;
    FILE *to;
    bool comma;
    int64_t arrows;
    int64_t pid, tid;     /* of the row of a thread's times on CPUs that is being written */
    struct nesting strip; /* in that row */
    int error;
};

static const char views[] =
#include "export/chrome.inc"
    ;

static const char *text(sqlite3_stmt *s, int column)
{
    return (const char *)sqlite3_column_text(s, column);
}

/* Writes the beginning of an event, up to its name. The caller writes the rest. */
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

/* A trace from a stranger may have any times, so also two whose difference is no number of 64 bits. */
static void put_duration(struct chrome *c, int64_t from_ns, int64_t to_ns)
{
    int64_t ns;
    if (__builtin_sub_overflow(to_ns, from_ns, &ns))
        ns = to_ns < from_ns ? INT64_MIN : INT64_MAX;
    put_time(c, "dur", ns);
}

static void put_process(struct chrome *c, sqlite3_stmt *s)
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
    put_duration(c, start_ns, sqlite3_column_int64(s, 4));
    fprintf(c->to, ",\"args\":{\"process\":%" PRId64, (int64_t)sqlite3_column_int64(s, 2));
    if (sqlite3_column_type(s, 5) != SQLITE_NULL)
        fprintf(c->to, ",\"exit_status\":%" PRId64, (int64_t)sqlite3_column_int64(s, 5));
    fputs("}}", c->to);
}

static void put_thread(struct chrome *c, sqlite3_stmt *s)
{
    open_event(c, "M", sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1), NULL, "thread_name");
    fputs(",\"args\":{\"name\":", c->to);
    json_string(c->to, text(s, 2));
    fputs("}}", c->to);
}

/* An argument's key is the first words of its description in events.def. */
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

static void put_event(struct chrome *c, sqlite3_stmt *s)
{
    const char *kind = text(s, 2), *object = text(s, 3), *label = text(s, 4);
    int64_t pid = sqlite3_column_int64(s, 0), start_ns = sqlite3_column_int64(s, 9),
            end_ns = sqlite3_column_int64(s, 10);
    int64_t id = sqlite3_column_int64(s, 13); /* 0: none */
    bool instant = sqlite3_column_int(s, 12);
    bool of_text = object && (strcmp(object, "text") == 0 || strcmp(object, "stack") == 0) && label, comma = false;
    const char *name = of_text ? label : kind;
    open_event(c, instant ? "i" : id ? "b" : "X", pid, sqlite3_column_int64(s, 1), kind, name);
    put_time(c, "ts", start_ns);
    if (id)
        fprintf(c->to, ",\"id\":%" PRId64, id);
    else if (instant)
        fputs(",\"s\":\"t\"", c->to);
    else
        put_duration(c, start_ns, end_ns);
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
    if (!id)
        return;
    open_event(c, "e", pid, sqlite3_column_int64(s, 14), kind, name);
    put_time(c, "ts", end_ns);
    fprintf(c->to, ",\"id\":%" PRId64 "}", id);
}

static void put_cpu_row(struct chrome *c, sqlite3_stmt *s)
{
    int64_t pid = sqlite3_column_int64(s, 0), tid = sqlite3_column_int64(s, 1);
    if (pid != c->pid || tid != c->tid)
        c->strip = (struct nesting){0};
    c->pid = pid;
    c->tid = tid;
    int64_t end_ns = nesting_end(&c->strip, sqlite3_column_int64(s, 5));
    int64_t start_ns = nesting_begin(&c->strip, sqlite3_column_int64(s, 4));
    open_event(c, "X", pid, tid, text(s, 2), text(s, 3));
    put_time(c, "ts", start_ns);
    put_duration(c, start_ns, end_ns);
    fputs(",\"args\":{", c->to);
    if (text(s, 6)) {
        fputs("\"ended\":", c->to);
        json_string(c->to, text(s, 6));
    }
    if (sqlite3_column_type(s, 7) != SQLITE_NULL)
        fprintf(c->to, "%s\"woken by process\":%" PRId64, text(s, 6) ? "," : "", (int64_t)sqlite3_column_int64(s, 7));
    fputs("}}", c->to);
}

static void put_faults(struct chrome *c, sqlite3_stmt *s)
{
    open_event(c, "C", sqlite3_column_int64(s, 0), 0, "fault", "page faults");
    put_time(c, "ts", sqlite3_column_int64(s, 1));
    for (int i = 2; i < 5; i++)
        fprintf(c->to, "%s\"%s\":%" PRId64, i == 2 ? ",\"args\":{" : ",", sqlite3_column_name(s, i),
                (int64_t)sqlite3_column_int64(s, i));
    fputs("}}", c->to);
}

/* One earlier, where there is an earlier time. */
static int64_t just_before(int64_t ns)
{
    return ns > INT64_MIN ? ns - 1 : ns;
}

/* An arrow: its ends are as late in their slices as possible, and the second is not before the first. */
static void put_arrow(struct chrome *c, sqlite3_stmt *s)
{
    int64_t from_first = sqlite3_column_int64(s, 3), from_ns = just_before(sqlite3_column_int64(s, 4));
    int64_t to_first = sqlite3_column_int64(s, 7), to_ns = just_before(sqlite3_column_int64(s, 8));
    to_ns = to_ns < to_first ? to_first : to_ns;
    from_ns = from_ns > to_ns ? to_ns : from_ns;
    from_ns = from_ns < from_first ? from_first : from_ns;
    if (from_ns > to_ns)
        return; /* the times are in the wrong order: by the clock's error, or the child was seen dead after the join */
    c->arrows++;
    open_event(c, "s", sqlite3_column_int64(s, 1), sqlite3_column_int64(s, 2), "flow", text(s, 0));
    put_time(c, "ts", from_ns);
    fprintf(c->to, ",\"id\":%" PRId64 "}", c->arrows);
    open_event(c, "f", sqlite3_column_int64(s, 5), sqlite3_column_int64(s, 6), "flow", text(s, 0));
    put_time(c, "ts", to_ns);
    fprintf(c->to, ",\"id\":%" PRId64 ",\"bp\":\"e\"}", c->arrows);
}

static void put_stack(struct chrome *c, sqlite3_stmt *s)
{
    fprintf(c->to, "%s\n\"%" PRId64 "\":{\"name\":", c->comma ? "," : "", (int64_t)sqlite3_column_int64(s, 0));
    json_string(c->to, text(s, 2));
    fputs(",\"category\":", c->to);
    json_string(c->to, text(s, 3));
    if (sqlite3_column_type(s, 1) != SQLITE_NULL)
        fprintf(c->to, ",\"parent\":\"%" PRId64 "\"", (int64_t)sqlite3_column_int64(s, 1));
    fputc('}', c->to);
    c->comma = true;
}

static void put_sample(struct chrome *c, sqlite3_stmt *s)
{
    fprintf(c->to, "%s\n{\"cpu\":0,\"pid\":%" PRId64 ",\"tid\":%" PRId64 ",\"name\":\"sample\"", c->comma ? "," : "",
            (int64_t)sqlite3_column_int64(s, 0), (int64_t)sqlite3_column_int64(s, 1));
    put_time(c, "ts", sqlite3_column_int64(s, 2));
    fprintf(c->to, ",\"sf\":%" PRId64 ",\"weight\":%" PRId64 "}", (int64_t)sqlite3_column_int64(s, 3),
            (int64_t)sqlite3_column_int64(s, 4));
    c->comma = true;
}

static void write_each(struct chrome *c, const char *sql, void (*put)(struct chrome *c, sqlite3_stmt *s))
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

int chrome_prepare(sqlite3 *db)
{
    if (sqlite3_exec(db, views, NULL, NULL, NULL) != SQLITE_OK)
        return -EIO;
    int error = overlaps_find(db);
    return error ? error : nesting_fit(db);
}

int chrome_write(sqlite3 *db, FILE *to)
{
    struct chrome c = {.db = db, .to = to};
    int error = chrome_prepare(db);
    if (error)
        return error;
    fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", to);
    write_each(&c, "SELECT * FROM chrome_process", put_process);
    write_each(&c, "SELECT * FROM chrome_thread", put_thread);
    write_each(&c, "SELECT * FROM chrome_event", put_event);
    write_each(&c, "SELECT * FROM chrome_cpu", put_cpu_row);
    write_each(&c, "SELECT * FROM chrome_faults", put_faults);
    write_each(&c, "SELECT * FROM chrome_message", put_arrow);
    write_each(&c, "SELECT * FROM chrome_fork", put_arrow);
    write_each(&c, "SELECT * FROM chrome_join", put_arrow);
    write_each(&c, "SELECT * FROM chrome_submit", put_arrow);
    fputs("\n]", to);
    if (rows_number(db, "SELECT 1 FROM stack LIMIT 1")) {
        c.comma = false;
        fputs(",\"stackFrames\":{", to);
        write_each(&c, "SELECT * FROM chrome_stack", put_stack);
        c.comma = false;
        fputs("\n},\"samples\":[", to);
        write_each(&c, "SELECT * FROM chrome_sample", put_sample);
        fputs("\n]", to);
    }
    fputs("}\n", to);
    return c.error;
}
