/* snakefish-trace events: the table of events, as Markdown, from ext/abi/events.def. */
#include <stddef.h>

#include "commands.h"
#include "say.h"

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
static void say_word(const char *word)
{
    for (; *word; word++)
        say_out("%c", *word >= 'A' && *word <= 'Z' ? *word + 'a' - 'A' : *word);
}

int cmd_events(int argc, char **argv)
{
    if (argc > 1 && command_help(argv[1], usage))
        return COMMAND_OK;
    if (argc > 1)
        return command_usage(usage, "events takes no argument", argv[1]);
    say_out("| id | kind | phase | object | a | b | what happened |\n"
            "|---:|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        say_out("| %d | ", events[i].id);
        say_word(events[i].name);
        say_out(" | ");
        say_word(events[i].phase);
        say_out(" | ");
        say_word(events[i].object);
        say_out(" | %s | %s | %s |\n", events[i].a, events[i].b, events[i].doc);
    }
    return COMMAND_OK;
}
