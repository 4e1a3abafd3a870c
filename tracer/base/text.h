/* Makes valid text of bytes from outside, for the database and its readers. Pure functions. */
#ifndef SF_TRACER_BASE_TEXT_H
#define SF_TRACER_BASE_TEXT_H

#include <stddef.h>

/* Copies the `length` bytes at `from`, up to the first NUL, to to[0..size) and ends them with a NUL. Every byte that is
 * not part of valid UTF-8 becomes '?'; an incomplete character at the end is left out. Returns the length. */
size_t text_clean(char *to, size_t size, const char *from, size_t length);

#endif
