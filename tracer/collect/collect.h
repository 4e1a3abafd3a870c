/* The collector's loop: finds logs, drains them, sees processes die, and finishes the database. */
#ifndef SF_TRACER_COLLECT_COLLECT_H
#define SF_TRACER_COLLECT_COLLECT_H

#include <stdbool.h>

#include "base/clock.h"
#include "collect/session.h"
#include "kernel/kernel.h"
#include "store/store.h"

enum collect_verdict {
    COLLECT_ON,   /* the program runs */
    COLLECT_LAST, /* the program has ended: wait a little for traced processes that are still dying */
    COLLECT_STOP  /* finish now */
};

/* When records become rows. Storing one takes some sixty times as long as writing it did, on a CPU that the program
 * could have; what waits is set aside beside the logs (spill.h), as much as COLLECT_ASIDE_LOGS logs hold or a
 * quarter of what is free there. Where more would wait, and at the end, it is stored whoever wants the CPU. */
enum collect_store { COLLECT_AT_ONCE, COLLECT_WHEN_SPARE /* spare.h */, COLLECT_AT_THE_END };
#define COLLECT_ASIDE_LOGS 64

struct collect_job {
    struct session *session;
    struct store *store;
    struct clock *clock;   /* started */
    struct kernel *kernel; /* or NULL; closed at the end */
    bool recovering;       /* the store may hold what an earlier collector took */
    enum collect_store store_rows;
    const char *state; /* what meta will say: complete or recovered */
    /* Asked in every round, at least each 100 ms; must not block. */
    enum collect_verdict (*verdict)(void *arg);
    void *arg;
};

/* Runs until the verdict or trace.stop() ends it, then drains all logs and finishes the database. Blocks as long as
 * the session lasts. The session is CLOSED afterwards, whatever happened; its directory stays for the caller to
 * remove. -errno: the database could not take everything, and `why` says how to get at the rest. */
int collect_run(const struct collect_job *job, struct sentence *why);

#endif
