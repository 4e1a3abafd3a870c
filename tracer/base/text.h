/* Makes valid text of bytes from outside, for the database and its readers. Pure functions. */
#ifndef SF_TRACER_BASE_TEXT_H
#define SF_TRACER_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_INVALID UINT32_MAX

/* Copies the `length` bytes at `from`, up to the first NUL, to to[0..size) and ends them with a NUL. Every byte that is
 * not part of valid UTF-8 becomes '?'; an incomplete character at the end is left out. Returns the length. */
size_t text_clean(char *to, size_t size, const char *from, size_t length);

/* Reads the first character of a text that is not empty. Returns its length in bytes. *code: its number in Unicode, or
 * TEXT_INVALID with length 1: the byte is no UTF-8. */
int text_next(const char *text, uint32_t *code);

/* May the character be sent to a terminal? No control, no character without width, and none that changes the direction
 * of writing: with these a name could overwrite or reorder what stands beside it. */
bool text_is_visible(uint32_t code);

#endif
