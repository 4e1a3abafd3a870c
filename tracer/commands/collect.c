/* snakefish-trace collect: recovers a session whose collector died.
 *
 * The session is closed first, so that processes which still run stop writing. What follows is the last round of an
 * ordinary collector. The dead collector's own database knows how much of each log it holds. A new database begins with
 * a copy of that. Where it cannot be read, the records that the dead collector had taken out of the logs count as lost.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "collect/collect.h"
#include "collect/start.h"
#include "commands/commands.h"

static const char usage[] =
    "usage: snakefish-trace collect SESSION_DIR -o FILE\n"
    "\n"
    "Recovers a session (/dev/shm/" SF_SESSION_PREFIX
    "...) whose collector died: stores what its logs still hold, and what the\n"
    "collector had set aside, and removes the directory. If FILE is the trace that the dead collector was writing, it\n"
    "is completed. A new file begins with a copy of that trace; if that is gone, what it had counts as lost.\n"
    "Processes of the session that still run stop writing events. A session that is still being collected is\n"
    "refused.\n"
    "\n"
    "  -o, --output FILE  the database\n"
    "\n"
    "exit status  0; 1 it is no session of this user, it is still being collected, or the database failed: then\n"
    "             the session stays; 2 wrong usage\n"
    "example      snakefish-trace collect /dev/shm/" SF_SESSION_PREFIX "... -o run.db\n";

/* The clock of a session of which only the counter's value at its start is known: the present rate, measured over
 * 100 ms, is assumed for all the time since then. error_ns is the error of that rate over that time. */
static void clock_from_now(struct clock *clock, uint64_t start_tsc)
{
    struct timespec pause = {.tv_nsec = 100 * NS_PER_MS};
    struct clock_segment closed;
    clock_start(clock);
    struct clock_snapshot from = clock->last;
    nanosleep(&pause, NULL);
    struct clock_snapshot to = clock_take(clock->open.ns_per_tick);
    clock_advance(clock, &to, &closed);
    double ns_per_tick = clock->open.ns_per_tick, ago_ns = 0;
    if (to.tsc > start_tsc) /* else the session's page is damaged */
        ago_ns = fmin((double)(to.tsc - start_tsc) * ns_per_tick, (double)CLOCK_MAX_NS);
    double error = (double)(from.error_ns + to.error_ns) / (double)(to.monotonic_ns - from.monotonic_ns);
    struct clock_snapshot first = {.tsc = start_tsc,
                                   .monotonic_ns = to.monotonic_ns - (int64_t)ago_ns,
                                   .realtime_ns = to.realtime_ns - (int64_t)ago_ns,
                                   .error_ns = to.error_ns + (int64_t)(error * ago_ns)};
    clock_resume(clock, &first, &first, ns_per_tick);
}

/* Could a clock have shown this? The database may be anybody's. */
static bool is_reading(const struct clock_snapshot *s)
{
    return s->tsc <= INT64_MAX && s->monotonic_ns >= 0 && s->monotonic_ns <= CLOCK_MAX_NS && s->error_ns >= 0 &&
           s->error_ns <= CLOCK_MAX_NS;
}

static bool are_readings(const struct clock_snapshot *first, const struct clock_snapshot *last, double ns_per_tick)
{
    return is_reading(first) && is_reading(last) && last->tsc >= first->tsc &&
           last->monotonic_ns >= first->monotonic_ns && ns_per_tick > 0 && ns_per_tick <= (double)NS_PER_S;
}

/* The clock that the dead collector used, from the readings it stored. false: it stored none that can be. */
static bool clock_from_store(struct clock *clock, sqlite3 *db)
{
    struct clock_snapshot ends[2] = {0};
    sqlite3_stmt *s = NULL;
    int rows = 0;
    double ns_per_tick = 0;
    if (sqlite3_prepare_v2(db,
                           "SELECT s.tsc, s.monotonic_ns, s.realtime_ns, s.error_ns, g.ns_per_tick "
                           "FROM clock_snapshot s JOIN clock_segment g ON g.tsc = s.tsc WHERE s.tsc IN "
                           "((SELECT min(tsc) FROM clock_snapshot), (SELECT max(tsc) FROM clock_snapshot)) ORDER BY 1",
                           -1, &s, NULL) != SQLITE_OK)
        return false;
    while (rows < 2 && sqlite3_step(s) == SQLITE_ROW) {
        ends[rows++] = (struct clock_snapshot){(uint64_t)sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1),
                                               sqlite3_column_int64(s, 2), sqlite3_column_int64(s, 3)};
        ns_per_tick = sqlite3_column_double(s, 4);
    }
    sqlite3_finalize(s);
    if (!rows || !are_readings(&ends[0], &ends[rows - 1], ns_per_tick))
        return false;
    clock_resume(clock, &ends[0], &ends[rows - 1], ns_per_tick);
    return true;
}

/* Opens the trace at `path`: it goes on where it is of this session. Otherwise it begins with what another database has
 * of the session, if the collector of that has failed; else it is new. */
static int open_store(struct store **store, const struct session *session, const char *path, struct sentence *why)
{
    char before[PATH_MAX];
    int error = store_continue(store, path, session_name(session), why);
    if (error != -ENOENT)
        return error;
    if (session_database(session, before)) {
        why->text[0] = '\0';
        error = store_copy(store, before, path, session_name(session), why);
        if (!error) {
            output_note("began with a copy of %s, which has the first part of this session", before);
            return 0;
        }
        if (why->text[0])
            output_note("what %s has of this session is not copied: %s", before, why->text);
    }
    return store_create(store, path, why);
}

static int recover(const char *dir, const char *path)
{
    static struct session session;
    struct store *store = NULL;
    struct sentence why;
    struct clock clock;

    int error = session_take(&session, dir, &why);
    if (error) {
        output_note("%s", why.text);
        return COMMAND_FAILED;
    }
    error = open_store(&store, &session, path, &why);
    bool goes_on = !error && clock_from_store(&clock, store_connection(store));
    if (!error)
        session_note_database(&session, path);
    if (!error && !goes_on) {
        clock_from_now(&clock, session.last.start_tsc);
        start_database(store, &session, &clock, "", 0); /* collect_run reports the store's errors */
    }
    if (error)
        goto out;
    session_set_state(&session, SF_SESSION_CLOSED);
    struct collect_job job = {.session = &session,
                              .store = store,
                              .clock = &clock,
                              .recovering = true,
                              .in_another_file = !goes_on,
                              .state = "recovered"};
    error = collect_run(&job, &why);
    store_close(store);
    if (!error)
        error = session_remove(&session, &why);
out:
    if (error)
        output_note("%s", why.text);
    session_close(&session);
    return error ? COMMAND_FAILED : COMMAND_OK;
}

int cmd_collect(int argc, char **argv)
{
    const char *dir = NULL, *path = NULL;
    int status = command_in_out(argc, argv, usage, &dir, &path);
    if (status != COMMAND_GO_ON)
        return status;
    return recover(dir, path);
}
