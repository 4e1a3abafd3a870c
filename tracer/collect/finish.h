/* Finishes a trace: stores what can be known only when all records are in the database. */
#ifndef SF_TRACER_COLLECT_FINISH_H
#define SF_TRACER_COLLECT_FINISH_H

#include "base/clock.h"
#include "collect/session.h"
#include "store/store.h"

struct finish_facts {
    const struct clock *clock;
    const char *state;    /* for meta: complete or recovered */
    bool in_another_file; /* a dead collector has stored a part of the session, and not in this file */
    bool stopped;         /* by trace.stop(): then processes may still run, and that is no loss */
    struct session *session;
    double idle_share;  /* of the CPUs, while the program ran; -1: not known */
    unsigned made_logs; /* by processes that found the session active; files that were removed before they were found
                           are among them */
    unsigned unopened_logs; /* there was no descriptor for them */
    unsigned refused_logs;  /* files with a log's name that are no logs of this session */
    unsigned unmade_logs;   /* logs whose making was never completed, so nothing was written to them */
};

/* Stores the ends and parents of the processes, the statistics, the ledger and the state, and makes the index, all in
 * one transaction. The transaction that is open is committed first. May be called again on the same trace. -EIO:
 * store_why says why. */
int finish_database(struct store *store, const struct finish_facts *facts);

#endif
