/* The end of a trace: what can be said only when everything is there. */
#ifndef SF_TRACER_COLLECT_FINISH_H
#define SF_TRACER_COLLECT_FINISH_H

#include "base/clock.h"
#include "store/store.h"

struct finish_facts {
    const struct clock *clock;
    const char *state;     /* for meta: complete or recovered */
    bool stopped;          /* by trace.stop(): that processes still run is as it should be */
    unsigned lost_logs;    /* processes that could not make a log, and logs that could not be opened */
    unsigned refused_logs; /* files called like a log that are none of this session */
    unsigned unmade_logs;  /* logs that were never completed: nothing was written to them */
};

/* Ends of processes, parents, books, indexes, state; in one transaction, and as often as one likes. The transaction
 * that is open is committed first. -EIO: the store's sentence says why. */
int finish_database(struct store *store, const struct finish_facts *facts);

#endif
