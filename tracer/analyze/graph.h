/* The graph of a run: each process's life as a chain of steps, and between the chains who waits for whom: forks,
 * messages, items, results, ends. It can be run again with other costs, and walked back along its critical path.
 *
 * A step may need a signal and may give one, both at its end. Where several give the same signal (results for a
 * map, room in a channel), the last one before counts. */
#ifndef SF_TRACER_ANALYZE_GRAPH_H
#define SF_TRACER_ANALYZE_GRAPH_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "analyze/processes.h"
#include "store/category.h"

#define GRAPH_NONE UINT32_MAX

struct step {
    int64_t from_ns, to_ns, fault_ns, copy_ns, tracing_ns; /* as in struct stretch */
    uint32_t need, give;                                   /* dependencies; 0: none */
    uint32_t before;                                       /* the process's step before it, or GRAPH_NONE */
    uint32_t first;                                        /* of a wait: its first part; others: themselves */
    uint32_t by; /* the step that ended its wait, or forked its process; GRAPH_NONE: none did */
    int process;
    unsigned char category;
    bool starts;  /* the process begins with it */
    bool goes_on; /* a part of a wait of which a later part has been ended by somebody */
};

struct graph {
    const struct processes *processes;
    struct step *steps;
    uint32_t count;
    uint32_t *order;        /* of all steps, by their ends */
    uint32_t *last;         /* of each process its last step, or GRAPH_NONE */
    uint32_t dependencies;  /* there are so many; the highest number */
    int64_t from_ns, to_ns; /* first start, last end */
};

/* Reads it. The processes must outlive it. 0, -ENOMEM or -EIO (the connection knows the reason); fini in every
 * case. */
int graph_init(struct graph *graph, sqlite3 *db, const struct processes *processes);
void graph_fini(struct graph *graph);

/* A wait, of which there may be somebody who ended it. */
static inline bool graph_is_wait(const struct step *step)
{
    return category_is_wait(step->category);
}

/* What is left of a step's time when faults and tracing are taken from it. */
static inline int64_t graph_own_ns(const struct step *step)
{
    return step->to_ns - step->from_ns - step->fault_ns - step->tracing_ns;
}

#endif
