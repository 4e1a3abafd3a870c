/* What the subcommands' arguments have in common. */
#include "commands/commands.h"

#include <stdlib.h>
#include <string.h>

#include "base/output.h"

bool command_help(const char *argument, const char *text)
{
    if (!argument || (strcmp(argument, "--help") && strcmp(argument, "-h")))
        return false;
    output_print("%s", text);
    return true;
}

int command_usage(const char *text, const char *problem, const char *argument)
{
    if (argument)
        output_note("%s: %s", problem, argument);
    else
        output_note("%s", problem);
    output_note("%.*s", (int)strcspn(text, "\n"), text);
    return COMMAND_USAGE;
}

uint32_t command_log_records(const char *argument)
{
    char *end;
    unsigned long n = strtoul(argument, &end, 10);
    return *end || n < 256 || n > 1ul << 24 || (n & (n - 1)) ? 0 : (uint32_t)n;
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

int command_in_out(int argc, char **argv, const char *text, const char **in, const char **out)
{
    for (int i = 1; i < argc; i++) {
        if (command_help(argv[i], text))
            return COMMAND_OK;
        if (strcmp(argv[i], "-o") == 0) {
            if (++i == argc)
                return command_usage(text, "a value is missing after", "-o");
            *out = argv[i];
        } else if (argv[i][0] == '-' || *in) {
            return command_usage(text, "an argument too many", argv[i]);
        } else {
            *in = argv[i];
        }
    }
    return *in && *out ? -1 : command_usage(text, "both what to read and -o are needed", NULL);
}
