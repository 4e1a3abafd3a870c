/* What the program says, and to whom. output.c is the only file that prints: the others keep a sentence and hand it
 * up. Nothing here fails; standard output's errors are asked for at the end. */
#ifndef SF_TRACER_BASE_OUTPUT_H
#define SF_TRACER_BASE_OUTPUT_H

#include <stdarg.h>

/* Why something could not be done, for people; one line without its full stop and newline. */
struct sentence {
    char text[700];
};

/* Keeps the sentence in `why` (which may be NULL) and returns `error`, so that failing is one statement. */
int output_keep(struct sentence *why, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* "snakefish-trace: ..." on standard error. */
void output_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* To standard output, buffered. */
void output_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One line to standard output at once, for the program at the other end of a pipe, which may be gone. */
void output_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Flushes standard output. 0, or -errno when something said did not get through. */
int output_flush(void);

#endif
