/* See store.h. There is one prepared statement for each kind of row.
 *
 * Invariant: after an error nothing more is written. What was committed stays; what was not is rolled back, and is
 * still in the logs. Only the collector writes to the database. */
#include "store/store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "abi/log_format.h"
#include "store/category.h"
#include "store/database.h"
#include "store/inserts.h"

#define STATEMENTS(X)                                                                                                  \
    X(META, "INSERT OR REPLACE INTO meta VALUES(?, ?)")                                                                \
    X(STAT, "INSERT INTO stats VALUES(?, ?, ?, ?)")                                                                    \
    X(KIND, "INSERT OR REPLACE INTO event_kind VALUES(?, ?, ?, ?, ?, ?, ?)")                                           \
    X(SNAPSHOT, "INSERT OR REPLACE INTO clock_snapshot VALUES(?, ?, ?, ?)")                                            \
    X(SEGMENT, "INSERT OR REPLACE INTO clock_segment VALUES(?, ?, ?, ?)")                                              \
    X(PROCESS, "INSERT INTO process(pid, parent, name, start_ns, task) VALUES(?1, (SELECT process FROM log "           \
               "WHERE pid = ?2 AND (start_tsc = ?8 OR ?8 = 0 AND space = ?7 AND start_tsc <= ?3) "                     \
               "ORDER BY start_tsc DESC LIMIT 1), ?4, ?5, ?6)")                                                        \
    X(PARENT, "SELECT parent FROM process WHERE id = ?")                                                               \
    X(ADOPT, "UPDATE process SET parent = (SELECT process FROM log WHERE host_pid = ?2 AND process <> ?1 AND "         \
             "start_tsc <= (SELECT max(start_tsc) FROM log WHERE process = ?1) ORDER BY start_tsc DESC LIMIT 1) "      \
             "WHERE id = ?1 AND parent IS NULL")                                                                       \
    X(PROCESS_WITHOUT_LOG,                                                                                             \
      "SELECT process FROM kernel_life k WHERE pid = ?1 AND coalesce(start_ns, 0) <= ?2 + 1000000 AND "                \
      "coalesce(end_ns, ?2) >= ?2 AND NOT EXISTS (SELECT 1 FROM log WHERE log.process = k.process) "                   \
      "ORDER BY start_ns DESC LIMIT 1")                                                                                \
    X(ADD_LOG, "UPDATE process SET name = ?2, task = ?3 WHERE id = ?1")                                                \
    X(LOG_PROCESS, "SELECT process FROM log WHERE host_pid = ? ORDER BY start_tsc DESC LIMIT 1")                       \
    X(KERNEL_PROCESS, "INSERT INTO process(pid, parent, name, start_ns) VALUES(?, ?, ?, ?)")                           \
    X(PID, "UPDATE process SET pid = ?2 WHERE id = ?1")                                                                \
    X(KERNEL_LIFE, "INSERT OR IGNORE INTO kernel_life(process, pid, start_ns) VALUES(?, ?, ?)")                        \
    X(KERNEL_NAME, "UPDATE process SET name = ?2 WHERE id = ?1 AND "                                                   \
                   "NOT EXISTS (SELECT 1 FROM log WHERE process = ?1)")                                                \
    X(KERNEL_END, "UPDATE kernel_life SET end_ns = ?2, exit_status = iif(?4, NULL, ?3), running = ?4 "                 \
                  "WHERE process = ?1")                                                                                \
    X(SLICE, "INSERT INTO sched_slice VALUES(?, ?, ?, ?, ?, ?, ?, iif(?8, ?9, NULL))")                                 \
    X(FAULT, "INSERT INTO fault VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)")                                                    \
    X(KERNEL_WAIT, "INSERT INTO kernel_wait VALUES(?, ?, ?, ?, ?)")                                                    \
    X(NAME, "UPDATE process SET name = ?2 WHERE id = (SELECT process FROM log l WHERE l.id = ?1 AND NOT EXISTS ("      \
            "SELECT 1 FROM log m WHERE m.process = l.process AND m.start_tsc > l.start_tsc))")                         \
    X(PROCESS_SINCE, "SELECT process FROM log WHERE pid = ?1 AND start_tsc >= ?2 AND start_tsc < ?3 AND space = ?4 "   \
                     "ORDER BY start_tsc DESC LIMIT 1")                                                                \
    X(NEXT_SEQ, "SELECT coalesce(max(first_seq + taken), 0) FROM log WHERE process = ?")                               \
    X(LOG,                                                                                                             \
      "INSERT INTO log(process, first_seq, file, pid, parent_pid, family, start_tsc, space, host_pid, parent_tsc)"     \
      " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")                                                                         \
    X(COUNTS, "UPDATE log SET first_tsc = ?2, last_tsc = ?3, exit_tsc = ?4, exit_status = ?5, seen_tsc = ?6, "         \
              "taken = ?7, collected = ?8, begun = ?9, lost = ?10, elsewhere = ?11, bad_kind = ?12, bad_phase = ?13, " \
              "bad_time = ?14, unreadable = ?15, damaged = ?16, unmatched = ?17, backwards = ?18, gaps = ?19, "        \
              "running = ?20, begun_before = ?21 WHERE id = ?1")                                                       \
    X(REAP, "INSERT OR REPLACE INTO reap VALUES(?, ?, ?, ?)")                                                          \
    X(EVENT, "INSERT INTO event VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")                                                 \
    X(THREAD, "INSERT INTO thread(process, since_tsc, lane, first_tsc, first_seq, tid, name) VALUES(?1, ?2, ?3, ?4, "  \
              "?5, ?6, coalesce(?7, (SELECT text FROM text WHERE id = ?8))) "                                          \
              "ON CONFLICT DO UPDATE SET name = excluded.name")                                                        \
    X(OPEN_SPAN, "INSERT OR REPLACE INTO open_span VALUES(?)")                                                         \
    X(NEW_TASK, "INSERT INTO task(kind) VALUES(NULL)")                                                                 \
    X(TASK, "UPDATE task SET kind = coalesce(?2, kind), name = coalesce((SELECT text FROM text WHERE id = ?3), "       \
            "name), process = coalesce(?4, process), creator = coalesce(?5, creator) WHERE id = ?1")                   \
    X(NEW_CHANNEL, "INSERT INTO channel(capacity_bytes) VALUES(NULL)")                                                 \
    X(CHANNEL, "UPDATE channel SET kind = ?2, capacity_bytes = ?3, creator = coalesce(creator, ?4) WHERE id = ?1")     \
    X(CHANNEL_NAME, "UPDATE channel SET name = (SELECT text FROM text WHERE id = ?2) WHERE id = ?1")                   \
    X(NUMBER, "SELECT id FROM number WHERE type = ? AND scope = ? AND number = ?")                                     \
    X(NEW_NUMBER, "INSERT OR REPLACE INTO number VALUES(?, ?, ?, ?)")                                                  \
    X(CATEGORY, "INSERT OR REPLACE INTO category VALUES(?, ?, ?)")                                                     \
    X(TEXT, "SELECT id FROM text WHERE text = ?")                                                                      \
    X(NEW_TEXT, "INSERT INTO text(text) VALUES(?)")                                                                    \
    X(FRAME, "SELECT id FROM frame WHERE function = (SELECT text FROM text WHERE id = ?1) AND "                        \
             "file IS (SELECT text FROM text WHERE id = ?2) AND line = ?3")                                            \
    X(NEW_FRAME, "INSERT INTO frame(function, file, line) VALUES((SELECT text FROM text WHERE id = ?1), "              \
                 "(SELECT text FROM text WHERE id = ?2), ?3)")                                                         \
    X(STACK, "SELECT id FROM stack WHERE parent IS ? AND frame = ?")                                                   \
    X(NEW_STACK, "INSERT INTO stack(parent, frame) VALUES(?, ?)")

enum statement {
#define X(name, sql) S_##name,
    STATEMENTS(X)
#undef X
        STATEMENT_COUNT
};

static const char *const statements[] = {
#define X(name, sql) [S_##name] = sql,
    STATEMENTS(X)
#undef X
};

struct store {
    struct database database;
    sqlite3_stmt *prepared[STATEMENT_COUNT];
    int error;
    struct sentence why;
};

void store_fail(struct store *store, int error)
{
    if (store->error)
        return;
    const char *path = sqlite3_db_filename(store->database.db, "main");
    store->error = output_explain(&store->why, error, "cannot write %s: %s", path ? path : "the database",
                                  error == -ENOMEM ? "no memory" : sqlite3_errmsg(store->database.db));
}

/* Binds the arguments (see inserts_bind) and runs the statement. Returns a query's first column of its first row, or a
 * new row's id. */
static int64_t run_statement(struct store *store, enum statement which, const char *types, ...)
{
    sqlite3_stmt *s = store->prepared[which];
    int64_t result = 0;
    va_list args;
    if (store->error)
        return 0;
    va_start(args, types);
    inserts_bind(s, types, args);
    va_end(args);
    int rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        result = sqlite3_column_int64(s, 0);
    else if (rc != SQLITE_DONE)
        store_fail(store, -EIO);
    else if (!sqlite3_stmt_readonly(s))
        result = sqlite3_last_insert_rowid(store->database.db);
    sqlite3_reset(s);
    return result;
}

/* Makes a store of the database, which it owns from here on, also if it fails. */
static int prepare_statements(struct store **out, struct database *database, struct sentence *why)
{
    struct store *store = calloc(1, sizeof *store);
    *out = NULL;
    if (!store) {
        database_close(database);
        return output_explain(why, -ENOMEM, "no memory");
    }
    store->database = *database;
    for (int i = 0; i < STATEMENT_COUNT && !store->error; i++)
        if (sqlite3_prepare_v3(store->database.db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &store->prepared[i],
                               NULL))
            store_fail(store, -EIO);
    if (store->error) {
        int error = store->error;
        *why = store->why;
        store_close(store);
        return error;
    }
    *out = store;
    return 0;
}

static void put_kinds(struct store *store)
{
    enum { INSTANT, SPAN };
    enum { TASK, CHANNEL, TEXT, FRAME, STACK, NONE };
    static const char *const phases[] = {"instant", "span"}, *const objects[] = {"task",  "channel", "text",
                                                                                 "frame", "stack",   "none"};
    char name[32];
#define X(id, NAME_, phase, object, a, b, doc)                                                                         \
    for (size_t i = 0; i < sizeof #NAME_; i++)                                                                         \
        name[i] = #NAME_[i] >= 'A' && #NAME_[i] <= 'Z' ? (char)(#NAME_[i] + 'a' - 'A') : #NAME_[i];                    \
    run_statement(store, S_KIND, "issssss", (int64_t)(id), name, doc, phases[phase], objects[object], a, b);
#include "abi/events.def"
#undef X
}

static void put_categories(struct store *store)
{
#define X(name, word, doc) run_statement(store, S_CATEGORY, "iss", (int64_t)CATEGORY_##name, word, doc);
    CATEGORIES(X)
#undef X
}

int store_create(struct store **store, const char *path, struct sentence *why)
{
    struct database database;
    *store = NULL;
    int error = database_create(&database, path, why);
    if (!error)
        error = prepare_statements(store, &database, why);
    if (error)
        return error;
    store_begin(*store);
    put_kinds(*store);
    put_categories(*store);
    store_meta_text(*store, "state", "running");
    error = store_commit(*store);
    if (error) {
        *why = (*store)->why;
        store_discard(*store);
        *store = NULL;
    }
    return error;
}

static bool is_of_session(sqlite3 *db, const char *session)
{
    char *its_session = database_meta(db, "session");
    bool same = its_session && strcmp(its_session, session) == 0;
    free(its_session);
    return same;
}

int store_continue(struct store **store, const char *path, const char *session, struct sentence *why)
{
    struct database database;
    *store = NULL;
    int error = database_continue(&database, path, why);
    if (error)
        return error == -EBUSY ? error : -ENOENT; /* store_create reports what is there instead */
    if (!is_of_session(database.db, session)) {
        database_close(&database);
        return -ENOENT;
    }
    return prepare_statements(store, &database, why);
}

int store_copy(struct store **store, const char *from, const char *path, const char *session, struct sentence *why)
{
    struct database database;
    sqlite3 *source;
    *store = NULL;
    int error = database_open(&source, from, why);
    if (!error && !is_of_session(source, session))
        error = -ENOENT;
    sqlite3_close(source);
    if (!error)
        error = database_copy(&database, from, path, why);
    return error ? error : prepare_statements(store, &database, why);
}

/* Frees the store, but not its database, and returns that. */
static struct database detach_database(struct store *store)
{
    struct database database = store->database;
    for (int i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(store->prepared[i]);
    free(store);
    return database;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    struct database database = detach_database(store);
    database_close(&database);
}

void store_discard(struct store *store)
{
    struct database database = detach_database(store);
    database_discard(&database);
}

void store_run(struct store *store, const char *sql)
{
    if (!store->error && sqlite3_exec(store->database.db, sql, NULL, NULL, NULL) != SQLITE_OK)
        store_fail(store, -EIO);
}

void store_begin(struct store *store)
{
    store_run(store, "BEGIN");
}

int store_commit(struct store *store)
{
    store_run(store, "COMMIT");
    if (store->error && !sqlite3_get_autocommit(store->database.db))
        sqlite3_exec(store->database.db, "ROLLBACK", NULL, NULL, NULL);
    return store->error;
}

const struct sentence *store_why(const struct store *store)
{
    return &store->why;
}

sqlite3 *store_connection(struct store *store)
{
    return store->database.db;
}

void store_meta_text(struct store *store, const char *key, const char *value)
{
    run_statement(store, S_META, "ss", key, value);
}

void store_meta_number(struct store *store, const char *key, int64_t value)
{
    run_statement(store, S_META, "si", key, value);
}

void store_stat(struct store *store, const char *name, int64_t process, const char *severity, int64_t value)
{
    run_statement(store, S_STAT, "sosi", name, process, severity, value);
}

void store_snapshot(struct store *store, const struct clock_snapshot *s)
{
    run_statement(store, S_SNAPSHOT, "iiii", (int64_t)s->tsc, s->monotonic_ns, s->realtime_ns, s->error_ns);
}

void store_segment(struct store *store, const struct clock_segment *s)
{
    run_statement(store, S_SEGMENT, "iiir", (int64_t)s->from_tsc, (int64_t)s->tsc, s->ns, s->ns_per_tick);
}

/* How parent_tsc is bound: NULL ('o') if it is known that the parent had no log. A log that tells its namespace has
 * this field, too; and a process that was just forked knew whether there was a log. */
static char parent_tsc_type(const struct sf_log_header *header)
{
    return header->space && !header->age_ns ? 'o' : 'i';
}

int64_t store_process(struct store *store, const struct sf_log_header *header, pid_t host_pid, const char *name,
                      int64_t task, int64_t start_ns)
{
    const char types[] = {'i', 'i', 'i', 's', 'i', 'o', 'i', parent_tsc_type(header), '\0'};
    int64_t process = host_pid ? run_statement(store, S_PROCESS_WITHOUT_LOG, "ii", (int64_t)host_pid, start_ns) : 0;
    if (process)
        run_statement(store, S_ADD_LOG, "iso", process, name, task);
    else
        process = run_statement(store, S_PROCESS, types, (int64_t)header->pid, (int64_t)header->parent_pid,
                                (int64_t)header->start_tsc, name, start_ns, task, (int64_t)header->space,
                                (int64_t)header->parent_tsc);
    return process;
}

bool store_parent(struct store *store, int64_t process, pid_t host_pid)
{
    run_statement(store, S_ADOPT, "ii", process, (int64_t)host_pid);
    return run_statement(store, S_PARENT, "i", process) != 0;
}

int64_t store_process_since(struct store *store, const struct sf_log_header *header, uint64_t from_tsc)
{
    return run_statement(store, S_PROCESS_SINCE, "iiii", (int64_t)header->pid, (int64_t)from_tsc,
                         (int64_t)header->start_tsc, (int64_t)header->space);
}

int64_t store_family(const struct sf_log_header *header)
{
    return (int64_t)(((uint64_t)header->family_high << 32 | header->family) & INT64_MAX);
}

void store_new_log(struct store *store, struct store_log *log, const char *file, const struct sf_log_header *header,
                   pid_t host_pid)
{
    const char types[] = {'i', 'i', 's', 'i', 'i', 'i', 'i', 'i', 'o', parent_tsc_type(header), '\0'};
    log->first_seq = (uint64_t)run_statement(store, S_NEXT_SEQ, "i", log->process);
    log->id = run_statement(store, S_LOG, types, log->process, (int64_t)log->first_seq, file, (int64_t)header->pid,
                            (int64_t)header->parent_pid, store_family(header), (int64_t)header->start_tsc,
                            (int64_t)header->space, (int64_t)host_pid, (int64_t)header->parent_tsc);
}

void store_log_name(struct store *store, int64_t log, const char *name)
{
    run_statement(store, S_NAME, "is", log, name);
}

int64_t store_kernel_process(struct store *store, uint32_t pid, int64_t parent, const char *name, int64_t start_ns)
{
    int64_t process = name ? 0 : run_statement(store, S_LOG_PROCESS, "i", (int64_t)pid);
    if (process)
        run_statement(store, S_PID, "ii", process, (int64_t)pid);
    else
        process = run_statement(store, S_KERNEL_PROCESS, "ioso", (int64_t)pid, parent, name, start_ns);
    run_statement(store, S_KERNEL_LIFE, "iio", process, (int64_t)pid, start_ns);
    return process;
}

void store_kernel_name(struct store *store, int64_t process, const char *name)
{
    run_statement(store, S_KERNEL_NAME, "is", process, name);
}

void store_kernel_end(struct store *store, int64_t process, int64_t end_ns, int64_t exit_status, bool running)
{
    run_statement(store, S_KERNEL_END, "iiii", process, end_ns, exit_status, (int64_t)running);
}

void store_slice(struct store *store, const struct store_slice *s)
{
    run_statement(store, S_SLICE, "iiiiisoii", s->process, s->tid, s->cpu, s->start_ns, s->end_ns, s->state, s->waker,
                  (int64_t)s->woken, s->wake_ns);
}

void store_fault(struct store *store, const struct store_fault *f)
{
    run_statement(store, S_FAULT, "iissiiiii", f->process, f->tid, f->kind, f->mode, f->start_ns, f->end_ns, f->count,
                  f->cost_ns, (int64_t)f->estimate);
}

void store_kernel_wait(struct store *store, int64_t process, int64_t tid, const char *what, int64_t start_ns,
                       int64_t end_ns)
{
    run_statement(store, S_KERNEL_WAIT, "iisii", process, tid, what, start_ns, end_ns);
}

void store_log(struct store *store, const struct store_log *l)
{
    run_statement(store, S_COUNTS, "ioooioiiiiiiiiiiiiiii", l->id, (int64_t)l->first_tsc, (int64_t)l->last_tsc,
                  (int64_t)l->exit_tsc, l->exit_status, (int64_t)l->seen_tsc, (int64_t)l->taken, (int64_t)l->collected,
                  (int64_t)l->begun, (int64_t)l->lost, (int64_t)l->elsewhere, (int64_t)l->bad_kind,
                  (int64_t)l->bad_phase, (int64_t)l->bad_time, (int64_t)l->unreadable, (int64_t)l->damaged,
                  (int64_t)l->unmatched, (int64_t)l->backwards, (int64_t)l->gaps, (int64_t)l->running,
                  (int64_t)l->begun_before);
}

void store_reap(struct store *store, int64_t pid, uint64_t tsc, int64_t reaper, int64_t status)
{
    run_statement(store, S_REAP, "iiii", pid, (int64_t)tsc, reaper, status);
}

int64_t store_event(struct store *store, const struct store_event *e)
{
    return run_statement(store, S_EVENT, "iiiioiiiio", e->process, (int64_t)e->seq, (int64_t)e->tsc, (int64_t)e->kind,
                         e->object, e->a, e->b, (int64_t)e->phase, (int64_t)e->lane, e->begin);
}

void store_thread(struct store *store, const struct store_thread *t)
{
    run_statement(store, S_THREAD, "iiiiiiso", t->process, (int64_t)t->since_tsc, (int64_t)t->lane,
                  (int64_t)t->first_tsc, (int64_t)t->first_seq, t->tid, t->name, t->text);
}

void store_open_span(struct store *store, int64_t event)
{
    run_statement(store, S_OPEN_SPAN, "i", event);
}

void store_task(struct store *store, int64_t task, const char *kind, int64_t name, int64_t process, int64_t creator)
{
    run_statement(store, S_TASK, "isooo", task, kind, name, process, creator);
}

void store_channel(struct store *store, int64_t channel, const char *kind, int64_t capacity_bytes, int64_t creator)
{
    run_statement(store, S_CHANNEL, "isio", channel, kind, capacity_bytes, creator);
}

void store_channel_name(struct store *store, int64_t channel, int64_t name)
{
    run_statement(store, S_CHANNEL_NAME, "io", channel, name);
}

int64_t store_number(struct store *store, enum store_object type, int64_t scope, uint64_t number)
{
    char name[2] = {(char)type, '\0'};
    return run_statement(store, S_NUMBER, "sii", name, scope, (int64_t)number);
}

int64_t store_new_number(struct store *store, enum store_object type, int64_t scope, uint64_t number, int64_t id)
{
    char name[2] = {(char)type, '\0'};
    if (!id)
        id = run_statement(store, type == STORE_TASK ? S_NEW_TASK : S_NEW_CHANNEL, "");
    run_statement(store, S_NEW_NUMBER, "siii", name, scope, (int64_t)number, id);
    return id;
}

int64_t store_text(struct store *store, const char *text)
{
    int64_t id = run_statement(store, S_TEXT, "s", text);
    return id ? id : run_statement(store, S_NEW_TEXT, "s", text);
}

int64_t store_frame(struct store *store, int64_t function, int64_t file, int64_t line)
{
    int64_t id = run_statement(store, S_FRAME, "ioi", function, file, line);
    return id ? id : run_statement(store, S_NEW_FRAME, "ioi", function, file, line);
}

int64_t store_stack(struct store *store, int64_t parent, int64_t frame)
{
    int64_t id = run_statement(store, S_STACK, "oi", parent, frame);
    return id ? id : run_statement(store, S_NEW_STACK, "oi", parent, frame);
}
