/* snakefish-trace info: what is in a trace, and before that what was lost. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/log_format.h"
#include "base/table.h"
#include "commands/commands.h"
#include "commands/summary.h"
#include "store/database.h"
#include "store/rows.h"

static const char usage[] =
    "usage: snakefish-trace info FILE\n"
    "\n"
    "Prints what is in a trace: first what was lost, then where the trace comes from, its clock and the clock's\n"
    "error, its processes, tasks, channels and events.\n"
    "\n"
    "exit status  0; 1 FILE is no trace of this version; 2 wrong usage\n"
    "example      snakefish-trace info run.db\n";

enum { ROWS_MAX = 60 };

static const char views[] =
#include "commands/info.inc"
    ;

/* What the trace calls its session, if it is a name that the collector gives: the user may paste it into a shell. */
static const char *session_of(const char *name)
{
    bool ours = name && strncmp(name, SF_SESSION_PREFIX, strlen(SF_SESSION_PREFIX)) == 0 &&
                name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
    return ours ? name : "SESSION_DIR";
}

static int print(sqlite3 *db)
{
    if (sqlite3_exec(db, views, NULL, NULL, NULL) != SQLITE_OK)
        return -EIO;
    char *state = database_meta(db, "state");
    int found = table_print(db, "losses", "SELECT * FROM info_loss", ROWS_MAX);
    if (state && strcmp(state, "running") == 0) {
        char *session = database_meta(db, "session");
        output_print("\nerror: not finished; its collector died: snakefish-trace collect /dev/shm/%s -o FILE\n",
                     session_of(session));
        free(session);
    } else if (summary_says_nothing(db)) {
        output_print("\n%s\n", summary_no_events);
    } else if (found == 0) {
        output_print("\nno losses: every event that was begun is here\n");
    }
    free(state);
    int error = found < 0 ? found : 0;
    static const char *const tables[][2] = {{"trace", "SELECT * FROM info_fact"},
                                            {"processes", "SELECT * FROM info_process"},
                                            {"tasks", "SELECT * FROM info_task"},
                                            {"channels", "SELECT * FROM info_channel"},
                                            {"events by kind", "SELECT * FROM info_kind"}};
    for (size_t i = 0; i < sizeof tables / sizeof *tables && !error; i++) {
        int rows = table_print(db, tables[i][0], tables[i][1], ROWS_MAX);
        error = rows < 0 ? rows : 0;
    }
    return error;
}

int cmd_info(int argc, char **argv)
{
    const char *path = NULL;
    struct sentence why;
    sqlite3 *db;
    int status = command_in(argc, argv, usage, &path);
    if (status != COMMAND_GO_ON)
        return status;
    int error = database_open(&db, path, &why);
    if (!error) {
        error = print(db);
        if (error)
            output_explain(&why, error, "cannot read %s: %s", path, sqlite3_errmsg(db));
    }
    if (error)
        output_note("%s", why.text);
    sqlite3_close(db);
    return error ? COMMAND_FAILED : COMMAND_OK;
}
