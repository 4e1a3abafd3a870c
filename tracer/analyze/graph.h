/* The graph of a run. Each process's life is a chain of steps; between the chains there are dependencies: forks,
 * messages, items, results, ends. The graph can be replayed with other costs, and walked back along its critical
 * path.
 *
 * A step may require one dependency and may provide one; it does both at its end. Several steps may provide the same
 * dependency (results for a map, room in a channel): the last one before a step that requires it is its provider. */
#ifndef SF_TRACER_ANALYZE_GRAPH_H
#define SF_TRACER_ANALYZE_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "analyze/processes.h"
#include "store/category.h"

#define GRAPH_NONE UINT32_MAX

struct step {
    int64_t from_ns, to_ns, fault_ns, copy_ns, tracing_ns; /* as in struct stretch */
    uint32_t required, provided;                           /* numbers of dependencies; 0: none */
    uint32_t before;   /* the process's step before it, which ends where this one begins; GRAPH_NONE: none */
    uint32_t first;    /* the first part of a wait that was interrupted; of every other step the step itself */
    uint32_t provider; /* the step that ended this wait, or that forked this process; GRAPH_NONE: none is known. If
                          `outside`, the last step of the process that had ended last */
    int process;
    unsigned char category;
    bool starts;  /* the first step of its process, without duration */
    bool outside; /* it starts, and no traced process is known to have started it */
    bool goes_on; /* part of a wait that went on: it was ended in a later part */
};

/* A begin, an end or an instant that says which steps belong together: of MAP, CHUNK and FORK of a first thread, of
 * SEND and RECEIVE that have a message, SUBMIT, EXIT, PICKLED, USAGE, EXTRACT and MERGE. It is right behind a step,
 * whose end is its time, and no step goes on over one. */
struct mark {
    int64_t object, a, b; /* as in the table `event` */
    uint32_t step;        /* of the same process */
    uint32_t dependency;  /* of SEND and RECEIVE: the message's number */
    int process;
    unsigned char kind, phase;
    bool elsewhere; /* in another thread than the first */
};

struct graph {
    const struct processes *processes;
    struct step *steps; /* of one process in the order of time; those of several processes are mixed */
    uint32_t count;
    uint32_t *order;    /* all steps, sorted by their ends; each after the step before it and after its provider */
    struct mark *marks; /* likewise */
    uint32_t mark_count;
    uint32_t dependencies;  /* the highest number of a dependency */
    int64_t from_ns, to_ns; /* the first start, the last end */
    int cpus;               /* of the machine; 0: not known */
    bool knows_no_cpu;      /* by the kernel's view */
};

/* Puts the steps in order and finds their providers: fills `order`, and of each step `provider`, `outside` and
 * `goes_on`; all else must be there. 0 or -ENOMEM. */
int graph_link(struct graph *graph);

void graph_fini(struct graph *graph);

/* Was it a wait that another process may have ended? */
static inline bool graph_is_wait(const struct step *step)
{
    return category_is_wait(step->category);
}

/* The step's time without page faults and tracing. */
static inline int64_t graph_own_ns(const struct step *step)
{
    return step->to_ns - step->from_ns - step->fault_ns - step->tracing_ns;
}

#endif
