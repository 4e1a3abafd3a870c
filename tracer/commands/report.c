/* snakefish-trace report: the report of a trace, by the R program analysis/report.R of the checkout that this
 * program was built in. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyze/analysis.h"
#include "commands/commands.h"
#include "store/database.h"

static const char usage[] =
    "usage: snakefish-trace report [-o DIRECTORY] FILE ...\n"
    "\n"
    "Writes DIRECTORY/index.html and its figures as SVG, PDF and CSV: where the speed-up went, the timeline, the\n"
    "ledger, channels. Traces that were not analysed yet are, and keep the analysis. Of several traces the first\n"
    "figures show all. Needs R (r-base-core and what else `make deps` installs) and the checkout of snakefish "
    "that\n"
    "this program was built in.\n"
    "\n"
    "  -o DIRECTORY  where to (build/report)\n"
    "\n"
    "exit status  0; 1 R, the checkout or a trace is missing, or the report failed; 2 wrong usage\n"
    "example      snakefish-trace report -o page run.db\n";

#define SCRIPT "/analysis/report.R"

/* The script, in the directory of this program or one above it. */
static int find_script(char path[PATH_MAX], struct sentence *why)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - sizeof SCRIPT);
    if (n < 0)
        return output_keep(why, -errno, "cannot find this program's own file: %s", strerror(errno));
    self[n] = '\0';
    for (char *slash; (slash = strrchr(self, '/'));) {
        *slash = '\0';
        stpcpy(stpcpy(path, self), SCRIPT); /* readlink left room for it */
        if (access(path, R_OK) == 0)
            return 0;
    }
    return output_keep(why, -ENOENT,
                       "there is no analysis/report.R above this program: run the one that a checkout of snakefish "
                       "has built, build/bin/snakefish-trace");
}

/* The report reads the analysis's tables. A trace that cannot be written is reported without them. */
static int analyse_once(const char *path, struct sentence *why)
{
    sqlite3 *db;
    sqlite3_stmt *s = NULL;
    int error = database_open(&db, path, 0, why);
    if (error)
        return error;
    bool done = sqlite3_prepare_v2(db, "SELECT 1 FROM critical_path LIMIT 1", -1, &s, NULL) == SQLITE_OK &&
                sqlite3_step(s) == SQLITE_ROW;
    sqlite3_finalize(s);
    if (!done && analysis_fill(db))
        error = output_keep(why, -EIO, "cannot analyse %s: %s", path, sqlite3_errmsg(db));
    sqlite3_close(db);
    return error;
}

int cmd_report(int argc, char **argv)
{
    struct sentence why;
    char script[PATH_MAX];
    const char *directory = "build/report";
    char **arguments = calloc((size_t)argc * 2 + 6, sizeof *arguments);
    int n = 2, error = arguments ? 0 : output_keep(&why, -ENOMEM, "no memory");
    for (int i = 1; i < argc && !error; i++) {
        if (command_help(argv[i], usage)) {
            free(arguments);
            return COMMAND_OK;
        }
        if (strcmp(argv[i], "-o") == 0 && i + 1 < argc) {
            directory = argv[++i];
        } else if (argv[i][0] == '-') {
            free(arguments);
            return command_usage(usage, "not an argument of report", argv[i]);
        } else {
            arguments[n++] = "--trace";
            arguments[n++] = argv[i];
        }
    }
    if (!error && n == 2) {
        free(arguments);
        return command_usage(usage, "report needs a database", NULL);
    }
    for (int i = 3; i < n && !error; i += 2)
        error = analyse_once(arguments[i], &why);
    if (!error)
        error = find_script(script, &why);
    if (!error) {
        arguments[0] = "Rscript";
        arguments[1] = script;
        arguments[n] = "-o";
        arguments[n + 1] = (char *)directory;
        execvp(arguments[0], arguments);
        if (errno == ENOENT)
            output_keep(&why, 0,
                        "the report needs R, and there is no Rscript: install r-base-core and what else "
                        "`make deps` installs");
        else
            output_keep(&why, 0, "cannot run Rscript: %s", strerror(errno));
    }
    output_note("%s", why.text);
    free(arguments);
    return COMMAND_FAILED;
}
