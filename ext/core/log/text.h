/* Names of marks, spans and tasks as a log can hold them: not longer than SF_TEXT_BYTES_MAX, and without NUL, which
 * ends a text there. */
#ifndef SF_CORE_LOG_TEXT_H
#define SF_CORE_LOG_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/log_format.h"

bool sf_text_is_writable(const char *text, uint64_t bytes);

/* Makes the text writable: NUL becomes U+2400, and what is too long is cut, with the size and a hash of the whole at
 * its end, so that two texts with the same beginning stay two. The text has to be UTF-8. Returns the length. */
uint64_t sf_text_make_writable(char to[SF_TEXT_BYTES_MAX], const char *text, uint64_t bytes);

#endif
