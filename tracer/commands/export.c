/* snakefish-trace export: a trace for other programs. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/commands.h"
#include "export/chrome.h"
#include "export/collapsed.h"
#include "export/speedscope.h"
#include "store/database.h"
#include "store/rows.h"

static const char usage[] =
    "usage: snakefish-trace export [--format FORMAT] FILE -o OUT\n"
    "\n"
    "Writes a trace for other programs:\n"
    "\n"
    "  chrome      Chrome trace JSON, which the Perfetto UI opens: processes and their threads, spans, marks, and an\n"
    "              arrow from each send to its receive, from fork to start and from exit to join. With the kernel's\n"
    "              view also, below each process's own rows, one row for each of its threads, which shows when it was\n"
    "              on a CPU and why not, and a count of the process's page faults so far. Times are in us since the\n"
    "              session's start. Samples of Python's stacks are marks, named by their line, and also the file's\n"
    "              stackFrames and samples, which the Perfetto UI does not read\n"
    "  speedscope  speedscope's own JSON: for each thread a profile of its samples, in CPU time (flame graphs: \"Left\n"
    "              Heavy\", \"Sandwich\"), and one of its spans\n"
    "  collapsed   a line for each stack, \"kind of task;frame;...;frame samples\", for makers of flame graphs\n"
    "\n"
    "  --format FORMAT   one of these (default: chrome)\n"
    "  -o, --output OUT  the file to write; it is replaced\n"
    "\n"
    "exit status  0; 1 FILE is no trace of this version, has no samples (collapsed), or OUT cannot be written; 2 "
    "wrong\n"
    "             usage\n"
    "example      snakefish-trace export run.db -o run.json\n";

static const struct format {
    const char *name;
    int (*write)(sqlite3 *db, FILE *to);
} formats[] = {{"chrome", chrome_write}, {"speedscope", speedscope_write}, {"collapsed", collapsed_write}};

static const struct format *find_format(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (name && strcmp(name, formats[i].name) == 0)
            return &formats[i];
    return NULL;
}

/* Protects traces, and all SQLite files, from being overwritten by mistake. */
static int check_target(const char *path, struct sentence *why)
{
    char magic[16] = "";
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    size_t n = fread(magic, 1, sizeof magic, f);
    fclose(f);
    if (n == sizeof magic && memcmp(magic, "SQLite format 3", 16) == 0)
        return output_explain(why, -EEXIST, "%s is a database; it is not replaced by an export", path);
    return 0;
}

static int export(const char *from, const char *path, const struct format *format, struct sentence *why)
{
    struct stat st;
    sqlite3 *db;
    int error = database_open(&db, from, why);
    if (error)
        return error;
    bool regular = stat(path, &st) || S_ISREG(st.st_mode);
    error = regular ? check_target(path, why) : 0;
    if (!error && format->write == collapsed_write && !rows_number(db, "SELECT 1 FROM stack LIMIT 1"))
        error = output_explain(why, -ENODATA, "%s has no samples of stacks: record --sample 199 takes them", from);
    FILE *to = error ? NULL : fopen(path, "we");
    if (!error && !to)
        error = output_explain(why, -errno, "cannot write %s: %s", path, strerror(errno));
    if (!error) {
        error = format->write(db, to);
        int file_error = ferror(to) ? errno : 0;
        if (fclose(to) && !file_error)
            file_error = errno;
        if (file_error)
            error = output_explain(why, -EIO, "cannot write %s: %s", path, strerror(file_error));
        else if (error)
            output_explain(why, error, "cannot read %s: %s", from, sqlite3_errmsg(db));
        if (error && regular)
            unlink(path);
    }
    sqlite3_close(db);
    return error;
}

int cmd_export(int argc, char **argv)
{
    static const struct option options[] = {{"format", required_argument, NULL, 'f'},
                                            {"output", required_argument, NULL, 'o'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct command_line line = command_line(argc, argv, "+:ho:", options, usage);
    const struct format *format = &formats[0];
    const char *from = NULL, *path = NULL;
    struct sentence why;
    for (int next; (next = command_next(&line)) != COMMAND_END;) {
        if (next == 'f')
            format = find_format(optarg);
        if (!format)
            return command_usage(usage, "--format is chrome, speedscope or collapsed, not %s", optarg);
        if (next == 'o')
            path = optarg;
        else if (next == COMMAND_OPERAND && from)
            return command_usage(usage, "export takes one argument, and %s is one too many", optarg);
        else if (next == COMMAND_OPERAND)
            from = optarg;
    }
    if (line.status != COMMAND_GO_ON)
        return line.status;
    if (!from)
        return command_usage(usage, "export needs an argument");
    if (!path)
        return command_usage(usage, "export needs -o");
    if (export(from, path, format, &why)) {
        output_note("%s", why.text);
        return COMMAND_FAILED;
    }
    return COMMAND_OK;
}
