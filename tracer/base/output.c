/* See output.h. Results go to standard output (info, events, help, the lines of serve), messages to standard error.
 * `record` leaves standard output to the program that it runs. */
#include "base/output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

int output_explain(struct sentence *why, int error, const char *format, ...)
{
    va_list args;
    if (why) {
        va_start(args, format);
        vsnprintf(why->text, sizeof why->text, format, args);
        va_end(args);
    }
    return error;
}

/* Replaces what a terminal should not get. */
static void make_visible(char *text)
{
    uint32_t code;
    char *to = text;
    for (int length; *text; text += length) {
        length = text_next(text, &code);
        if (!text_is_visible(code)) /* so is what is no UTF-8: a byte alone may be a control character of Latin-1 */
            *to++ = '?';
        else
            to = (char *)memmove(to, text, (size_t)length) + length;
    }
    *to = '\0';
}

void output_note(const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    make_visible(text);
    fprintf(stderr, "snakefish-trace: %s\n", text); /* by one call, since other processes write there too */
}

void output_print(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
}

int output_character(const char *text)
{
    uint32_t code;
    int length = text_next(text, &code);
    if (text_is_visible(code))
        output_print("%.*s", length, text);
    else
        output_print("?");
    return length;
}

void output_sentence(const char *text)
{
    while (*text)
        text += output_character(text);
    output_print("\n");
}

void output_line(const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text - 1, format, args);
    va_end(args);
    if (n < 0)
        return;
    if (n > (int)sizeof text - 2)
        n = (int)sizeof text - 2;
    text[n++] = '\n';
    ssize_t written;
    do
        written = write(STDOUT_FILENO, text, (size_t)n);
    while (written < 0 && errno == EINTR);
}

int output_flush(void)
{
    return fflush(stdout) || ferror(stdout) ? -EIO : 0;
}
