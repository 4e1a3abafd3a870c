/* snakefish-trace report: runs analysis/report.R, of the checkout that this program was built in, on traces. */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analyze/analysis.h"
#include "commands/commands.h"
#include "predict/prediction_table.h"
#include "store/database.h"
#include "store/rows.h"

static const char usage[] =
    "usage: snakefish-trace report [-o DIRECTORY] FILE ...\n"
    "\n"
    "Writes DIRECTORY/index.html and its figures as SVG, PDF and CSV: where the speed-up went, the timeline, the\n"
    "ledger, channels, what `snakefish-trace predict` says. A trace that was not analysed yet is analysed first, and\n"
    "its times on other numbers of CPUs are predicted; the results are stored in it. With several traces, the first\n"
    "figures compare them. Needs R (r-base-core and what else `make deps` installs) and the checkout of snakefish\n"
    "that this program was built in.\n"
    "\n"
    "  -o, --output DIRECTORY  where to write (build/report)\n"
    "\n"
    "exit status  0; 1 R, the checkout or a trace is missing, or the report failed; 2 wrong usage\n"
    "example      snakefish-trace report -o page run.db\n";

#define SCRIPT "/analysis/report.R"

/* Whether only those who could change this program too can change the file. */
static bool is_trusted(const char *path, const struct stat *program)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_uid == 0 || st.st_uid == program->st_uid) &&
           !(st.st_mode & S_IWOTH);
}

/* The script of the checkout that this program was built in, CHECKOUT/build/bin or CHECKOUT/build/KIND/bin. Not simply
 * one in a directory above: that could be anybody's. */
static int find_script(char path[PATH_MAX], struct sentence *why)
{
    char self[PATH_MAX];
    struct stat program;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - sizeof SCRIPT);
    if (n < 0 || stat("/proc/self/exe", &program))
        return output_explain(why, -errno, "cannot find this program's own file: %s", strerror(errno));
    self[n] = '\0';
    for (int level = 0; level < 4; level++) {
        char *slash = strrchr(self, '/');
        bool is_build = level >= 2 && slash && strcmp(slash, "/build") == 0;
        if (!slash)
            break;
        *slash = '\0';
        if (!is_build)
            continue;
        stpcpy(stpcpy(path, self), SCRIPT); /* readlink left room for it */
        if (is_trusted(path, &program))
            return 0;
    }
    return output_explain(why, -ENOENT,
                          "this program is not in the checkout of snakefish that it was built in, so it has no "
                          "analysis/report.R of its own to run: use build/bin/snakefish-trace of a checkout");
}

/* The page lacks a figure without it, and nothing else; it says which. */
static void predict_once(sqlite3 *db)
{
    struct predict usual = {.cpus = predict_usual_cpus, .count = PREDICT_USUAL_COUNT, .with_run = true};
    struct sentence why;
    if (!rows_number(db, "SELECT count(*) FROM prediction") && !predict(&usual, db, &why) &&
        !prediction_table_make(db, &usual))
        prediction_table_store(db, &why);
}

/* The report reads the tables that the analysis and the prediction fill. A trace that cannot be written is reported
 * without them. */
static int analyse_once(const char *path, struct sentence *why)
{
    sqlite3 *db;
    struct sentence reason;
    int error = database_open(&db, path, why);
    if (error)
        return error;
    if (!rows_number(db, "SELECT 1 FROM critical_path LIMIT 1") && analysis_fill(db, &reason))
        error = output_explain(why, -EIO, "cannot analyse %s: %s", path, reason.text);
    if (!error && !sqlite3_db_readonly(db, "main"))
        predict_once(db);
    sqlite3_close(db);
    return error;
}

/* Replaces this program by Rscript, which reads the traces and writes the page. Returns only if that fails. */
static void exec_rscript(const char *directory, char **paths, int count, struct sentence *why)
{
    char script[PATH_MAX];
    char **arguments = calloc((size_t)count * 2 + 6, sizeof *arguments);
    if (!arguments) {
        output_explain(why, -ENOMEM, "no memory");
        return;
    }
    if (find_script(script, why) == 0) {
        int n = 0;
        arguments[n++] = "Rscript";
        arguments[n++] = "--vanilla"; /* no code and no settings from the user's or the current directory */
        arguments[n++] = script;
        for (int i = 0; i < count; i++) {
            arguments[n++] = "--trace";
            arguments[n++] = paths[i];
        }
        arguments[n++] = "-o";
        arguments[n++] = (char *)directory;
        execvp(arguments[0], arguments);
        if (errno == ENOENT)
            output_explain(why, 0,
                           "the report needs R, and there is no Rscript: install r-base-core and what else "
                           "`make deps` installs");
        else
            output_explain(why, 0, "cannot run Rscript: %s", strerror(errno));
    }
    free(arguments);
}

int cmd_report(int argc, char **argv)
{
    static const struct option options[] = {
        {"output", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'}, {0}};
    struct command_line line = command_line(argc, argv, "+:ho:", options, usage);
    struct sentence why;
    const char *directory = "build/report";
    char **paths = argv + 1; /* the operands are moved to the front: those places have been read */
    int count = 0, error = 0;
    for (int next; (next = command_next(&line)) != COMMAND_END;) {
        if (next == 'o')
            directory = optarg;
        else
            paths[count++] = optarg;
    }
    if (line.status != COMMAND_GO_ON)
        return line.status;
    if (!count)
        return command_usage(usage, "report needs a trace");
    for (int i = 0; i < count && !error; i++)
        error = analyse_once(paths[i], &why);
    if (!error)
        exec_rscript(directory, paths, count, &why);
    output_note("%s", why.text);
    return COMMAND_FAILED;
}
