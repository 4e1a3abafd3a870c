#include "commands.h"
#include "say.h"

int cmd_info(int argc, char **argv)
{
    (void)argc, (void)argv;
    say_note("not yet");
    return COMMAND_FAILED;
}
