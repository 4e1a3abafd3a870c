/* What each process did, from its events and the kernel's view: its life as stretches of one category each, without
 * gap or overlap, and the events between them. The ledger sums the stretches; the graph connects the events. */
#ifndef SF_TRACER_ANALYZE_ACTIVITY_H
#define SF_TRACER_ANALYZE_ACTIVITY_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "analyze/processes.h"
#include "store/category.h"

/* The process spent the time from from_ns to to_ns on the category, but for fault_ns, which went into page faults
 * (copy_ns of them into copying on write), and tracing_ns, which went into writing events. */
struct stretch {
    int process;
    enum category category;
    int64_t from_ns, to_ns, fault_ns, copy_ns, tracing_ns;
};

/* An event, with its time held within the process's life and in order. */
struct activity_event {
    int process;
    int64_t ns, object, a, b; /* as in the table `event`; 0: none */
    unsigned kind, phase;
    unsigned inside; /* the kind of the innermost span around it; 0: none, or it is of another thread than the first */
    bool first_thread; /* it is of the process's first thread */
};

/* For each process its stretches and events come in the order of time; several processes come mixed, as their events
 * were collected. The stretch that ends at an event comes before the event. Stretches are those of the first thread,
 * events those of all threads. */
struct activity_visitor {
    void *arg;
    void (*stretch)(void *arg, const struct stretch *stretch);
    void (*event)(void *arg, const struct activity_event *event); /* may be NULL, like the next ones */
    /* a child begins, at that time of `process`: at its end, if the child's first record is later */
    void (*forked)(void *arg, int process, int child, int64_t ns);
    void (*ended)(void *arg, int process, int64_t ns);
};

/* 0, -ENOMEM or -EIO (the connection knows the reason). */
int activity_walk(sqlite3 *db, const struct processes *processes, const struct activity_visitor *visitor);

#endif
