/* All output of the program. Only output.c prints: other files keep a sentence and return an error to their callers.
 * Nothing here fails; output_flush reports the errors of standard output at the end. */
#ifndef SF_TRACER_BASE_OUTPUT_H
#define SF_TRACER_BASE_OUTPUT_H

#include <stdarg.h>

/* Why something could not be done: one line for the user, without full stop and newline. */
struct sentence {
    char text[700];
};

/* Puts the sentence into `why`, which may be NULL, and returns `error`, so that a function can fail by one statement:
 * return output_explain(why, -EINVAL, ...). */
int output_explain(struct sentence *why, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Writes "snakefish-trace: ..." to standard error. */
void output_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes to standard output, buffered. */
void output_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes the first character of a text from outside, '?' where a terminal should not get it. Returns its length in
 * bytes. The text must not be empty. */
int output_character(const char *text);

/* Writes such a text, and a newline. */
void output_sentence(const char *text);

/* Writes one line to standard output, unbuffered: a program reads it from a pipe. It is no error if that program has
 * ended. */
void output_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Flushes standard output. 0, or -EIO: some of the output could not be written. */
int output_flush(void);

#endif
