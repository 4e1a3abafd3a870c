/* What comes while a message is unpickled is one of two things. It is about the message: it cannot be unpickled here.
 * Or it would have come in any other call at that moment, and says nothing about the message: an interruption. Then the
 * message is kept, and the caller gets the exception as it is. */
#ifndef SF_PY_BASE_INTERRUPTION_H
#define SF_PY_BASE_INTERRUPTION_H

#include "py/base/compat.h"

#include <stdbool.h>

/* Whether the current exception, which unpickling raised, is an interruption. If one comes while this is found out, it
 * takes the exception's place. Interruptions are:
 * - what is no Exception: KeyboardInterrupt, SystemExit, GeneratorExit and the like;
 * - MemoryError and RecursionError: later there may be more room;
 * - whatever a signal handler raised. It is known by its frame in the traceback: its arguments hold the frame that it
 *   interrupted, which is its caller. No other function gets that. */
bool sf_interruption_is_raised(void);

#endif
