/* Bytes from outside as text that the database and its readers can hold. Pure functions. */
#ifndef SF_TRACER_BASE_TEXT_H
#define SF_TRACER_BASE_TEXT_H

#include <stddef.h>

/* Copies the `length` bytes at `from`, or what stands before the first NUL, into to[0..size), ends them with a NUL
 * and puts '?' for every byte that is not part of valid UTF-8; a character cut in two at the end is left out.
 * Returns the length. */
size_t text_clean(char *to, size_t size, const char *from, size_t length);

#endif
