/* The subcommands. Each gets its own arguments, argv[0] being its name, and returns the program's exit status. */
#ifndef SF_TRACER_COMMANDS_COMMANDS_H
#define SF_TRACER_COMMANDS_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/kernel.h"

#define COMMAND_VERSION "0.1.0"

enum { COMMAND_OK = 0, COMMAND_FAILED = 1, COMMAND_USAGE = 2 };

int cmd_record(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_collect(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_analyze(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_events(int argc, char **argv);

/* Does the argument ask for help? Then its text, "usage: ...", goes to standard output. */
bool command_help(const char *argument, const char *text);

/* What was wrong with the arguments, and the usage's first line, on standard error. Returns COMMAND_USAGE. */
int command_usage(const char *text, const char *problem, const char *argument);

/* Reads the arguments "IN -o OUT" of the command argv[0]. -1: both are there; else the program's exit status. */
int command_in_out(int argc, char **argv, const char *text, const char **in, const char **out);

/* A number of records for --log-records: a power of two from 256 to 2^24; 0: it is not. */
uint32_t command_log_records(const char *argument);

/* The kernel's view, if it is wanted and to be had (else NULL, and why, on standard error and in meta); root as in
 * kernel_open. */
struct kernel *command_kernel(bool wanted, struct store *store, const struct clock *clock, pid_t root);

#endif
