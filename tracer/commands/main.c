/* snakefish-trace: finds the command that its first argument names. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/output.h"
#include "base/version.h"
#include "commands/commands.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *doc;
} commands[] = {
    {"record", cmd_record, "run a program and trace it"},
    {"collect", cmd_collect, "recover a session whose collector died"},
    {"info", cmd_info, "show what is in a trace, and what was lost"},
    {"analyze", cmd_analyze, "show where the time went, and what would make the program faster"},
    {"predict", cmd_predict, "say how long the run would take on other numbers of CPUs"},
    {"report", cmd_report, "write an HTML page with figures"},
    {"export", cmd_export, "write a trace as Chrome trace JSON, for the Perfetto UI or speedscope"},
    {"events", cmd_events, "print the table of events"},
    {"serve", cmd_serve, "collect for a program that already runs (used by snakefish.trace.start)"},
};

static void help(void)
{
    output_print("usage: snakefish-trace COMMAND ...\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        output_print("  %-9s %s\n", commands[i].name, commands[i].doc);
    output_print("\n`snakefish-trace COMMAND --help` describes a command. Long options may be shortened (--out) and "
                 "values joined to\n"
                 "them (--output=FILE, -oFILE). Exit status: 0, 1 for an error, 2 for wrong usage; record's is the "
                 "program's.\n");
}

/* A caller may have closed standard streams. A file that is opened later must not get such a number: messages would be
 * written into it. The traced program gets them closed, as the caller left them. */
static void open_standard_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    open_standard_streams();
    command_ignore_file_size_signal();
    if (argc < 2) {
        output_note("a command is missing; `snakefish-trace --help` lists them");
        return COMMAND_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        help();
        return output_flush() ? COMMAND_FAILED : COMMAND_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        output_print("snakefish-trace %s\n", TRACER_VERSION);
        return output_flush() ? COMMAND_FAILED : COMMAND_OK;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0) {
            int status = commands[i].run(argc - 1, argv + 1);
            return output_flush() && status == COMMAND_OK ? COMMAND_FAILED : status;
        }
    output_note("there is no command %s; `snakefish-trace --help` lists them", argv[1]);
    return COMMAND_USAGE;
}
