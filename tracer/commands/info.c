/* snakefish-trace info: what is in a trace; what it lacks comes first. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "commands/commands.h"
#include "store/database.h"

static const char usage[] =
    "usage: snakefish-trace info FILE\n"
    "\n"
    "Prints what is in a trace: losses first, then where it comes from, its clock and the clock's error, its\n"
    "processes, tasks, channels and events.\n"
    "\n"
    "exit status  0; 1 FILE is no trace of this version; 2 wrong usage\n"
    "example      snakefish-trace info run.db\n";

enum { ROWS_MAX = 60 };

static const char losses[] =
    "SELECT s.severity, s.name AS what, s.value, coalesce('process ' || p.id || ' (' || p.name || ', pid ' || "
    "p.pid || ')', "
    "'the session') AS \"where\" FROM stats s LEFT JOIN process p ON p.id = s.process WHERE s.severity <> 'info' "
    "ORDER BY s.severity <> 'error', s.process, s.name";

static const char facts[] =
    "SELECT key AS '', value AS '' FROM ("
    " SELECT 1 AS n, 'command' AS key, value FROM meta WHERE key = 'command'"
    " UNION ALL SELECT 2, 'state', value FROM meta WHERE key = 'state'"
    " UNION ALL SELECT 3, 'started', value FROM meta WHERE key = 'started'"
    " UNION ALL SELECT 4, 'duration', printf('%.6f s', value / 1e9) FROM meta WHERE key = 'duration_ns'"
    " UNION ALL SELECT 5, 'clock', printf('%.6f GHz, error at most %d ns', m.value / 1e9,"
    "   (SELECT max(error_ns) FROM clock_snapshot)) FROM meta m WHERE m.key = 'tsc_hz'"
    " UNION ALL SELECT 6, 'machine', m.value || ', ' || (SELECT value FROM meta WHERE key = 'cpus') || ' CPUs, '"
    "   || (SELECT value FROM meta WHERE key = 'kernel') FROM meta m WHERE m.key = 'cpu_model'"
    " UNION ALL SELECT 7, 'events', (SELECT count(*) FROM event)"
    " UNION ALL SELECT 8, 'books', value FROM stats WHERE name = 'books'"
    " UNION ALL SELECT 9, 'kernel''s view', printf('%s; %d times on a CPU, %d page faults %s', m.value,"
    "   (SELECT count(*) FROM sched_slice), (SELECT total(count) FROM fault), f.value)"
    "   FROM meta m JOIN meta f ON f.key = 'kernel_faults' WHERE m.key = 'kernel_view') ORDER BY n";

static const char processes[] =
    "SELECT p.id, p.pid, p.parent, p.name, t.name AS task, p.exit_status AS status,"
    " printf('%.6f', p.start_ns / 1e9) AS 'start s', printf('%.6f', (p.end_ns - p.start_ns) / 1e9) AS 'life s',"
    " s.value AS events FROM process p LEFT JOIN task t ON t.id = p.task"
    " LEFT JOIN (SELECT process, value FROM stats WHERE name = 'collected') s ON s.process = p.id ORDER BY p.id";

static const char tasks[] =
    "SELECT t.id, t.kind, t.name, t.process, t.creator AS 'started by' FROM task t ORDER BY t.id";

static const char channels[] =
    "SELECT c.id, c.capacity_bytes AS 'capacity bytes', c.creator AS 'made by', coalesce(m.sent, 0) AS sent,"
    " coalesce(m.received, 0) AS received, coalesce(m.bytes, 0) AS bytes FROM channel c LEFT JOIN ("
    "  SELECT object, sum(kind = 14) AS sent, sum(kind = 15) AS received, sum(iif(kind = 14, b, 0)) AS bytes"
    "  FROM event WHERE kind IN (14, 15) AND phase = 2 AND a > 0 GROUP BY object) m ON m.object = c.id ORDER BY "
    "c.id";

static const char kinds[] = "SELECT k.name AS kind, count(*) AS events, sum(e.phase = 2) AS spans FROM event e"
                            " JOIN event_kind k ON k.id = e.kind GROUP BY e.kind ORDER BY e.kind";

static int print(sqlite3 *db)
{
    char *state = database_meta(db, "state");
    int found = table_print(db, "losses", losses, ROWS_MAX);
    if (state && strcmp(state, "running") == 0) {
        char *session = database_meta(db, "session");
        output_print("\nerror: not finished; its collector died: snakefish-trace collect /dev/shm/%s -o FILE\n",
                     session ? session : "SESSION_DIR");
        free(session);
    } else if (found == 0) {
        output_print("\nno losses: every event that was begun is here\n");
    }
    free(state);
    int error = found < 0 ? found : 0;
    const char *const tables[][2] = {{"trace", facts},
                                     {"processes", processes},
                                     {"tasks", tasks},
                                     {"channels", channels},
                                     {"events by kind", kinds}};
    for (size_t i = 0; i < sizeof tables / sizeof *tables && !error; i++) {
        int rows = table_print(db, tables[i][0], tables[i][1], ROWS_MAX);
        error = rows < 0 ? rows : 0;
    }
    return error;
}

int cmd_info(int argc, char **argv)
{
    struct sentence why;
    sqlite3 *db;
    if (argc > 1 && command_help(argv[1], usage))
        return COMMAND_OK;
    if (argc != 2)
        return command_usage(usage, "info needs one database", NULL);
    int error = database_open(&db, argv[1], 0, &why);
    if (!error) {
        error = print(db);
        if (error)
            output_keep(&why, error, "cannot read %s: %s", argv[1], sqlite3_errmsg(db));
    }
    if (error)
        output_note("%s", why.text);
    sqlite3_close(db);
    return error ? COMMAND_FAILED : COMMAND_OK;
}
