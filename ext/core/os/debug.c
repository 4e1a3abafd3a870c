/* The hook of debug.h. Set once, at the start, and after that only read. */
#include "core/os/debug.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

static unsigned wanted_parts;
static void (*sentence_hook)(enum sf_debug_part part, const char *sentence);

void sf_debug_set(unsigned parts, void (*hook)(enum sf_debug_part part, const char *sentence))
{
    wanted_parts = hook ? parts : 0;
    sentence_hook = hook;
}

void sf_debug(enum sf_debug_part part, const char *format, ...)
{
    char sentence[PATH_MAX + 64]; /* a session's directory fits */
    va_list arguments;
    int error = errno;
    if (!(wanted_parts & part))
        return;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    sentence_hook(part, sentence);
    errno = error;
}
