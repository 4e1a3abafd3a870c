/* Starts a trace: stores in meta where it comes from, and the clock's first reading. */
#ifndef SF_TRACER_COLLECT_START_H
#define SF_TRACER_COLLECT_START_H

#include <sys/types.h>

#include "base/clock.h"
#include "collect/session.h"
#include "store/store.h"

/* One transaction. `command` is the command line that was run. 0, or the store's first error. */
int start_database(struct store *store, const struct session *session, const struct clock *clock, const char *command,
                   pid_t root);

/* Joins a command line to one text; words with blanks are quoted. Ends with a NUL within `size` bytes. */
void start_command(char *to, size_t size, char *const argv[]);

/* The command line of a running process; "" if it has none or has ended. */
void start_command_of(char *to, size_t size, pid_t pid);

#endif
