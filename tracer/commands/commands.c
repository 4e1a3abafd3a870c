/* What the commands share: reading arguments, and opening the kernel's view. */
#include "commands/commands.h"

#include <assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/output.h"

struct command_line command_line(int argc, char **argv, const char *letters, const struct option *options,
                                 const char *usage)
{
    assert(letters[0] == '+' && letters[1] == ':');
    opterr = 0;
    return (struct command_line){
        .status = COMMAND_GO_ON, .argc = argc, .argv = argv, .letters = letters, .options = options, .usage = usage};
}

static int stop(struct command_line *line, int status)
{
    line->status = status;
    return COMMAND_END;
}

static int operand(struct command_line *line)
{
    if (optind == line->argc)
        return COMMAND_END;
    line->rest = line->argv + optind;
    optarg = line->argv[optind++];
    return COMMAND_OPERAND;
}

int command_next(struct command_line *line)
{
    if (line->only_operands)
        return operand(line);
    /* Because of the "+", getopt looks at no argument but the one at optind. If one is wrong, it is that one. */
    int at = optind, option = getopt_long(line->argc, line->argv, line->letters, line->options, NULL);
    const char *argument = at < line->argc ? line->argv[at] : "";
    bool is_long = strncmp(argument, "--", 2) == 0;
    int length = is_long ? (int)strcspn(argument, "=") : 2;
    char letter[3] = {'-', (char)optopt, '\0'};
    const char *name = is_long ? argument : letter;
    switch (option) {
    case -1:
        line->only_operands = optind > at; /* behind "--" */
        return operand(line);
    case 'h':
        output_print("%s", line->usage);
        return stop(line, COMMAND_OK);
    case ':':
        return stop(line, command_usage(line->usage, "%.*s needs a value", length, name));
    case '?':
        if (is_long && optopt)
            return stop(line, command_usage(line->usage, "%.*s takes no value", length, name));
        return stop(line, command_usage(line->usage, "%s has no option %.*s", line->argv[0], length, name));
    default:
        return option;
    }
}

int command_usage(const char *usage, const char *problem, ...)
{
    char text[512];
    va_list args;
    va_start(args, problem);
    vsnprintf(text, sizeof text, problem, args);
    va_end(args);
    output_note("%s", text);
    output_note("%.*s", (int)strcspn(usage, "\n"), usage);
    return COMMAND_USAGE;
}

uint32_t command_log_records(const char *argument)
{
    char *end;
    unsigned long n = strtoul(argument, &end, 10);
    return !argument[0] || *end || n < 256 || n > 1ul << 24 || (n & (n - 1)) ? 0 : (uint32_t)n;
}

uint32_t command_sample_hz(const char *argument)
{
    char *end;
    unsigned long n = strtoul(argument, &end, 10);
    return !argument[0] || *end || n > SF_SAMPLE_HZ_MAX ? 0 : (uint32_t)n;
}

struct kernel *command_kernel(bool wanted, struct store *store, const struct clock *clock, pid_t root)
{
    struct kernel *kernel = NULL;
    struct sentence why = {.text = "off"};
    if (wanted && kernel_open(&kernel, store, clock, root, &why))
        output_note("%s; the trace goes on without it", why.text);
    else if (wanted && why.text[0])
        output_note("%s", why.text);
    if (!kernel)
        store_meta_text(store, "kernel_view", why.text);
    return kernel;
}

/* Reads the arguments of a command with one operand, and -o if `out` is not NULL. */
static int read_files(struct command_line *line, const char **in, const char **out)
{
    for (int next; (next = command_next(line)) != COMMAND_END;) {
        if (next == 'o' && out)
            *out = optarg;
        else if (*in)
            return command_usage(line->usage, "%s takes one argument, and %s is one too many", line->argv[0], optarg);
        else
            *in = optarg;
    }
    if (line->status != COMMAND_GO_ON)
        return line->status;
    if (!*in)
        return command_usage(line->usage, "%s needs an argument", line->argv[0]);
    if (out && !*out)
        return command_usage(line->usage, "%s needs -o", line->argv[0]);
    return COMMAND_GO_ON;
}

int command_in_out(int argc, char **argv, const char *usage, const char **in, const char **out)
{
    static const struct option options[] = {
        {"output", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'}, {0}};
    struct command_line line = command_line(argc, argv, "+:ho:", options, usage);
    return read_files(&line, in, out);
}

int command_in(int argc, char **argv, const char *usage, const char **in)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    struct command_line line = command_line(argc, argv, "+:h", options, usage);
    return read_files(&line, in, NULL);
}

static void (*file_size_handler)(int) = SIG_DFL;

void command_ignore_file_size_signal(void)
{
    file_size_handler = signal(SIGXFSZ, SIG_IGN);
}

void command_restore_file_size_signal(void)
{
    signal(SIGXFSZ, file_size_handler);
}
