/* snakefish-trace export: a trace for other programs. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/commands.h"
#include "export/chrome.h"
#include "store/database.h"

static const char usage[] =
    "usage: snakefish-trace export FILE -o JSON\n"
    "\n"
    "Writes a trace as Chrome trace JSON, which the Perfetto UI and speedscope open: processes and their threads,\n"
    "spans, marks, and an arrow from each send to its receive, from fork to start and from exit to join. With the\n"
    "kernel's view also, below each process's own rows, one row for each of its threads, which shows when it was on\n"
    "a CPU and why not, and a count of the process's page faults so far. Times are in us since the session's start.\n"
    "\n"
    "  -o, --output JSON  the file to write; it is replaced\n"
    "\n"
    "exit status  0; 1 FILE is no trace of this version, or JSON cannot be written; 2 wrong usage\n"
    "example      snakefish-trace export run.db -o run.json\n";

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

static int export(const char *from, const char *path, struct sentence *why)
{
    struct stat st;
    sqlite3 *db;
    int error = database_open(&db, from, why);
    if (error)
        return error;
    bool regular = stat(path, &st) || S_ISREG(st.st_mode);
    error = regular ? check_target(path, why) : 0;
    FILE *to = error ? NULL : fopen(path, "we");
    if (!error && !to)
        error = output_explain(why, -errno, "cannot write %s: %s", path, strerror(errno));
    if (!error) {
        error = chrome_write(db, to);
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
    const char *from = NULL, *path = NULL;
    struct sentence why;
    int status = command_in_out(argc, argv, usage, &from, &path);
    if (status != COMMAND_GO_ON)
        return status;
    if (export(from, path, &why)) {
        output_note("%s", why.text);
        return COMMAND_FAILED;
    }
    return COMMAND_OK;
}
