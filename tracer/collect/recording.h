/* What `record` and `serve` have in common: the database, the session and its clock, made together and collected into
 * until the program has ended. */
#ifndef SF_TRACER_COLLECT_RECORDING_H
#define SF_TRACER_COLLECT_RECORDING_H

#include <sys/resource.h>

#include "base/clock.h"
#include "collect/collect.h"
#include "collect/session.h"
#include "kernel/kernel.h"
#include "store/store.h"

struct recording {
    struct store *store;
    struct session session;
    struct clock clock;
    struct kernel *kernel; /* NULL: the trace has no kernel's view; the caller opens it */
};

/* Creates the database at `path`, starts the clock and makes the session, which is ACTIVE from here on.
 * -errno and a sentence: nothing is left of any of them. */
int recording_open(struct recording *recording, const char *path, uint32_t log_records, struct sentence *why);

/* Removes everything that recording_open made: nothing was recorded. */
void recording_discard(struct recording *recording);

/* Collects until `verdict` (see collect.h) or trace.stop() ends it; then the database is closed and the session is
 * CLOSED. Its directory stays: after success it is empty of records, so session_remove it; after -errno it holds what
 * the database does not, and `why` says how to recover it. Call session_close at the end. */
int recording_run(struct recording *recording, enum collect_verdict (*verdict)(void *arg), void *arg,
                  struct sentence *why);

/* Lets this process open as many descriptors as it may: each traced process needs up to three. *before is the limit
 * that was in force. */
void recording_raise_limit(struct rlimit *before);

#endif
