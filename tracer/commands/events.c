/* snakefish-trace events: the table of events, as Markdown, from ext/abi/events.def. */
#include <stddef.h>

#include "base/output.h"
#include "commands/commands.h"

static const char usage[] =
    "usage: snakefish-trace events\n"
    "\n"
    "Prints the table of the events that snakefish writes, as Markdown: their numbers, names, phases, what their\n"
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

/* A word of the table's own, in lower case. */
static void output_word(const char *word)
{
    for (; *word; word++)
        output_print("%c", *word >= 'A' && *word <= 'Z' ? *word + 'a' - 'A' : *word);
}

int cmd_events(int argc, char **argv)
{
    if (argc > 1 && command_help(argv[1], usage))
        return COMMAND_OK;
    if (argc > 1)
        return command_usage(usage, "events takes no argument", argv[1]);
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
