/* The struct of a crew, and its events. See crew.h. */
#ifndef SF_PY_WORKERS_CREW_STRUCT_H
#define SF_PY_WORKERS_CREW_STRUCT_H

#include "py/workers/engine.h"
#include "py/workers/feed.h"

enum sf_crew_event {
    SF_CREW_RESULT, /* (RESULT, task, value) */
    SF_CREW_ERROR,  /* (ERROR, task, exception): what `call` raised, or what pickling or unpickling it did */
    SF_CREW_ENDED,  /* (ENDED, task or None, pid, exit status or None, by itself, reason): a worker was reaped. reason:
                       an  exception, ChildDied or its last one; None if it ended by itself */
    SF_CREW_BROKEN, /* (BROKEN, None, exception): what `prepare` raised in a worker, which ends */
};

struct sf_crew_fork { /* a start() under way, on the stack of its thread */
    unsigned long thread;
    struct sf_crew_fork *next;
};

struct sf_crew {
    struct sf_engine engine; /* f is owned: called with each item */
    struct sf_feed feed;
    PyObject *prepare;         /* called in each worker, first; owned; NULL: nothing */
    PyObject *name;            /* of the crew, for its workers' names; owned */
    PyObject *sent;            /* dict: number to task, in the order of sending */
    PyObject *events;          /* list: what wait() returns next */
    uint64_t tasks_per_worker; /* 0: no limit */
    int users;                 /* calls under way that may release the interpreter lock */
    bool packing;              /* a send() is pickling */
    bool refused;              /* another one found it so */
    bool waiting;              /* a wait() is under way */
    bool nudged;               /* the next wait(), or that one, returns at once */
    bool attended;             /* wait() has to see each outcome */
    uint64_t taken;            /* results that it has not seen: see direct.h */
    bool finished;             /* nothing is sent any more, and nobody forked */
    bool closed;
    bool prepared; /* in a worker */

    struct sf_crew_fork *forks; /* calls of start() under way */
};

static inline struct sf_crew *sf_crew_of(const struct sf_engine *engine)
{
    return (struct sf_crew *)((char *)engine - offsetof(struct sf_crew, engine));
}

#endif
