/* The commands, and what they share. A command gets its own arguments, argv[0] being its name, and returns the
 * program's exit status. */
#ifndef SF_TRACER_COMMANDS_COMMANDS_H
#define SF_TRACER_COMMANDS_COMMANDS_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel/kernel.h"

enum { COMMAND_OK = 0, COMMAND_FAILED = 1, COMMAND_USAGE = 2 };

int cmd_record(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_collect(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_analyze(int argc, char **argv);
int cmd_predict(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_events(int argc, char **argv);

/* A command's arguments, read one after the other by getopt_long: options may be shortened and stand anywhere before
 * "--", also behind operands. Every command has the option "help". */
struct command_line {
    char **rest; /* after COMMAND_OPERAND: the operand and all that follows it */
    int status;  /* after COMMAND_END: COMMAND_GO_ON, or the command's exit status: it has nothing more to do */

    int argc;
    char **argv;
    const char *letters, *usage;
    const struct option *options;
    bool only_operands; /* "--" was read */
};
enum { COMMAND_GO_ON = -1 };
enum { COMMAND_END = -1, COMMAND_OPERAND = 1 };

/* `letters` and `options` as for getopt_long, the letters with "+:" before them; `usage` is what --help prints. */
struct command_line command_line(int argc, char **argv, const char *letters, const struct option *options,
                                 const char *usage);

/* Returns the next option, with its value in optarg; COMMAND_OPERAND, with the operand in optarg; or COMMAND_END: no
 * argument is left, help was printed, or an argument was wrong and standard error says why. */
int command_next(struct command_line *line);

/* Writes what is wrong with the arguments, and the usage's first line, to standard error. Returns COMMAND_USAGE. */
int command_usage(const char *usage, const char *problem, ...) __attribute__((format(printf, 2, 3)));

/* Reads the arguments "IN -o OUT". COMMAND_GO_ON: both are there; else the exit status. */
int command_in_out(int argc, char **argv, const char *usage, const char **in, const char **out);

/* Reads the arguments of a command that takes one operand and no option. Returns the same. */
int command_in(int argc, char **argv, const char *usage, const char **in);

/* The value of --log-records, a power of two from 256 to 2^24; 0: it is something else. */
uint32_t command_log_records(const char *argument);

/* The argument of --sample: stacks in a second of CPU time. 0: it is not from 1 to SF_SAMPLE_HZ_MAX. */
uint32_t command_sample_hz(const char *argument);

/* Opens the kernel's view if `wanted`. NULL: it is not wanted, or not possible; then standard error and meta say why.
 * root: see kernel_open. */
struct kernel *command_kernel(bool wanted, struct store *store, const struct clock *clock, pid_t root);

/* A write beyond RLIMIT_FSIZE fails with EFBIG from here on, as one to a full disk does with ENOSPC. Without this,
 * SIGXFSZ would end the collector. */
void command_ignore_file_size_signal(void);

/* In a child, before exec: as the caller of this program had it. */
void command_restore_file_size_signal(void);

#endif
