/* What every process did, from its events and the kernel's view: its life as stretches of one category each,
 * without gap or overlap, and the events between them. The ledger sums the stretches, the graph connects the
 * events. */
#ifndef SF_TRACER_ANALYZE_ACTIVITY_H
#define SF_TRACER_ANALYZE_ACTIVITY_H

#include <sqlite3.h>
#include <stdint.h>

#include "analyze/processes.h"
#include "store/category.h"

/* Of the time from from_ns to to_ns, fault_ns went into page faults, of these copy_ns into copying on write, and
 * tracing_ns into writing events; the rest is the category's. */
struct stretch {
    int process;
    enum category category;
    int64_t from_ns, to_ns, fault_ns, copy_ns, tracing_ns;
};

struct moment {
    int process;
    int64_t ns, object, a, b; /* as in `event`; 0: none */
    unsigned kind, phase;
    unsigned inside; /* kind of the innermost span around it in the process's first thread; 0: none */
};

/* For each process its stretches and moments come in order; of several processes in the order in which their events
 * were collected. The stretch that ends at a moment comes before it. Events of other threads are moments, too. */
struct activity_visitor {
    void *arg;
    void (*stretch)(void *arg, const struct stretch *stretch);
    void (*event)(void *arg, const struct moment *moment);         /* may be NULL, like the next ones */
    void (*forked)(void *arg, int process, int child, int64_t ns); /* a child begins, at that moment of `process` */
    void (*ended)(void *arg, int process, int64_t ns);
};

/* 0, -ENOMEM or -EIO (the connection knows the reason). event_cost_ns: what writing one event takes. */
int activity_walk(sqlite3 *db, const struct processes *processes, double event_cost_ns,
                  const struct activity_visitor *visitor);

#endif
