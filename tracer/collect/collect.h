/* The collector's loop: finds logs, stores their records, notices when processes die, and finishes the database. */
#ifndef SF_TRACER_COLLECT_COLLECT_H
#define SF_TRACER_COLLECT_COLLECT_H

#include <stdbool.h>

#include "base/clock.h"
#include "collect/session.h"
#include "kernel/kernel.h"
#include "store/store.h"

enum collect_verdict {
    COLLECT_ON,   /* the program runs */
    COLLECT_LAST, /* the program has ended: wait a little for traced processes that are about to end */
    COLLECT_STOP  /* finish now */
};

/* When records are stored. Storing a record takes some sixty times as long as writing it did, on a CPU that the program
 * could use. Records that wait are set aside (spill.h): as many as COLLECT_ASIDE_LOGS logs hold, or as fit into an
 * eighth of the session's room (room.h). When more would have to wait, and at the end, records are stored in any case.
 */
enum collect_store { COLLECT_AT_ONCE, COLLECT_WHEN_IDLE /* idle_cpu.h */, COLLECT_AT_THE_END };
#define COLLECT_ASIDE_LOGS 64

struct collect_job {
    struct session *session;
    struct store *store;
    struct clock *clock;   /* running */
    struct kernel *kernel; /* or NULL; closed at the end */
    bool recovering;       /* the store may hold what an earlier collector took */
    bool in_another_file;  /* what an earlier collector took is in another file */
    enum collect_store store_rows;
    const char *state; /* for meta: complete or recovered */
    /* Called in every round, at least every 100 ms; must not block. */
    enum collect_verdict (*verdict)(void *arg);
    void *arg;
};

/* Runs until the verdict or trace.stop() ends it, then stores everything and finishes the database. Blocks as long as
 * the session lasts. Afterwards the session is CLOSED, also on errors; the caller removes its directory. -errno: not
 * everything could be stored, and `why` says how to recover the rest. */
int collect_run(const struct collect_job *job, struct sentence *why);

#endif
