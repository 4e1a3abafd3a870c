/* SNAKEFISH_DEBUG. See debug.h. Writes to descriptor 2 and not to sys.stderr, because the core also calls it without
 * the interpreter lock, and in the middle of a fork. */
#include "py/base/debug.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/os/debug.h"
#include "py/base/compat.h"

static void print(enum sf_debug_part part, const char *sentence)
{
    dprintf(STDERR_FILENO, "snakefish %d %s: %s\n", (int)getpid(), part == SF_DEBUG_LOG ? "log" : "ring", sentence);
}

void sf_debug_from_environment(void)
{
    if (PySys_GetObject("__stderr__") == Py_None) /* closed at the start: 2 may be a file of the program's by now */
        return;
    const char *at = getenv("SNAKEFISH_DEBUG");
    unsigned parts = 0;
    while (at && *at) {
        size_t length = strcspn(at, ",");
        if (length == 3 && !strncmp(at, "log", length))
            parts |= SF_DEBUG_LOG;
        else if (length == 4 && !strncmp(at, "ring", length))
            parts |= SF_DEBUG_RING;
        else if (length)
            dprintf(STDERR_FILENO, "snakefish: SNAKEFISH_DEBUG: no part is called '%.*s'; the parts are log and ring\n",
                    (int)length, at);
        at += length + (at[length] == ',');
    }
    sf_debug_set(parts, print);
}
