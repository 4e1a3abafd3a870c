/* snakefish-trace events: prints ext/abi/events.def as a table in Markdown. */
#include <stddef.h>

#include "base/output.h"
#include "commands/commands.h"

static const char usage[] =
    "usage: snakefish-trace events\n"
    "\n"
    "Prints the table of the events that snakefish writes, as Markdown: their numbers, names and phases, what their\n"
    "object, a and b mean, and what happened.\n"
    "\n"
    "exit status  0; 2 wrong usage\n";

static const struct {
    int id;
    const char *name, *phase, *object, *a, *b, *doc;
} events[] = {
#define X(id, name, phase, object, a, b, doc) {id, #name, #phase, #object, a, b, doc},
#include "abi/events.def"
#undef X
};

/* A name of events.def, in lower case. */
static void output_word(const char *word)
{
    for (; *word; word++)
        output_print("%c", *word >= 'A' && *word <= 'Z' ? *word + 'a' - 'A' : *word);
}

int cmd_events(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    struct command_line line = command_line(argc, argv, "+:h", options, usage);
    if (command_next(&line) == COMMAND_OPERAND)
        return command_usage(usage, "events takes no argument, not %s", optarg);
    if (line.status != COMMAND_GO_ON)
        return line.status;
    output_print("| id | kind | phase | object | a | b | what happened |\n"
                 "|---:|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        output_print("| %d | ", events[i].id);
        output_word(events[i].name);
        output_print(" | ");
        output_word(events[i].phase);
        output_print(" | ");
        output_word(events[i].object);
        output_print(" | %s | %s | %s |\n", events[i].a, events[i].b, events[i].doc);
    }
    return COMMAND_OK;
}
