/* The beginning of a trace: where it comes from, for meta, and the clock's first reading. */
#ifndef SF_TRACER_COLLECT_START_H
#define SF_TRACER_COLLECT_START_H

#include <sys/types.h>

#include "base/clock.h"
#include "collect/session.h"
#include "store/store.h"

/* In one transaction of its own. `command` is what was run, in words. The store's first error, or 0. */
int start_database(struct store *store, const struct session *session, const struct clock *clock, const char *command,
                   pid_t root);

/* A command line as one text: words with blanks are quoted. Never longer than `size`, always ended. */
void start_command(char *to, size_t size, char *const argv[]);

/* The command line of a living process; its name if there is none, "" if it is gone. */
void start_command_of(char *to, size_t size, pid_t pid);

#endif
