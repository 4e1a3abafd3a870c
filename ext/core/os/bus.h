/* SIGBUS, where a file that is mapped was cut short by somebody else.
 *
 * An access behind the file's new end raises SIGBUS, and the program would die of it. So memory that is mapped from
 * such files is guarded: the first access that fails puts zeros, private to this process, in the place of the whole
 * mapping, and goes on. What was in it is gone.
 *
 * The handler is installed with the first guard and stays. A handler that was there before gets every other SIGBUS; one
 * that the program sets later replaces ours, and then nothing is guarded. The handler blocks nothing and allocates
 * nothing. Guarding and unguarding: one thread at a time. Everything is inherited over a fork. */
#ifndef SF_CORE_OS_BUS_H
#define SF_CORE_OS_BUS_H

#include <stdbool.h>
#include <stddef.h>

enum { SF_BUS_GUARDS_MAX = 4 };

/* Guards a mapping. False: it is not guarded, because there is no place or no handler can be installed. */
bool sf_bus_guard(void *mapped, size_t bytes);

/* Call this before the memory is unmapped. */
void sf_bus_unguard(const void *mapped);

#endif
