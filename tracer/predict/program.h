/* What the processes of a run did, as operations that can be done again in another order and on another number of CPUs:
 * for each process a list. A graph says when things happened; a program only says what has to be there before.
 *
 * A map's call is one operation of the process that called it, and what its workers did are units of work, which
 * whoever is free may do (struct map in maps.h). The workers of such a map have operations, but are not launched.
 *
 * What a program leaves out, because it depends on the number of CPUs: the time without a CPU, the waits of a map's
 * process for its workers, and those of the workers for room for results. */
#ifndef SF_TRACER_PREDICT_PROGRAM_H
#define SF_TRACER_PREDICT_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "analyze/graph.h"
#include "predict/cpu_shares.h"

/* What time is spent on: a part of what a prediction says of its longest path. */
enum activity {
    ACTIVITY_RUNNING,  /* the program's own work, outside of maps */
    ACTIVITY_TASKS,    /* f, in the workers of a map */
    ACTIVITY_FORKING,  /* a map's process starts its workers; other forks */
    ACTIVITY_STARTING, /* of a worker: from its fork to its first chunk, from its last one to its end */
    ACTIVITY_TAKING,   /* a map's process copies and unpickles results */
    ACTIVITY_PICKLING, /* also copying */
    ACTIVITY_MERGING,  /* and extracting */
    ACTIVITY_ENDING,   /* of a map, after its last worker's end */
    ACTIVITY_HANDOVER, /* from the moment at which something is there until the process that waits for it goes on */
    ACTIVITY_WAITING,  /* nobody knows for what */
    ACTIVITY_NO_CPU,   /* more processes than CPUs */
    ACTIVITY_OTHER,
    ACTIVITY_COUNT
};

enum op_kind {
    OP_WORK,    /* for ns, on a CPU by the process's share */
    OP_PAUSE,   /* for ns, without a CPU */
    OP_PROVIDE, /* `what` is there from now on: the index of a step */
    OP_AWAIT,   /* goes on ns after `what` was provided, or at once if that is longer ago */
    OP_SEND,    /* into the queue `what` */
    OP_RECEIVE, /* out of the queue `what`; goes on ns after it was sent, or at once if that is longer ago */
    OP_MAP,     /* runs map number `what` */
};

struct op {
    double ns;
    uint32_t what;
    unsigned char kind, activity;
};

/* How a process comes to run. */
struct launch {
    uint32_t provider; /* the step that forks it; GRAPH_NONE: see below */
    int after;         /* without that: the process whose end it follows, or PROCESS_NONE: it starts by itself */
    double lag_ns;     /* so long after that, or after the begin of the run */
    int map;           /* the map whose worker it is, or that of one of its ancestors, at most 64 above it; -1: none */
    bool is_worker;    /* of a map: not launched */
};

struct program {
    const struct graph *graph;
    struct op *ops; /* those of process p are [first[p], first[p + 1]) */
    uint32_t *first;
    uint32_t *mark_ops;           /* for each mark of the graph: the first operation behind it */
    uint32_t *marks, *mark_first; /* the graph's marks of each process, in order: likewise */
    uint32_t op_count;
    struct launch *launches; /* one for each process */
    struct cpu_share *cpu;   /* likewise */
    uint32_t queue_count;
    struct region *regions; /* the calls of maps */
    uint32_t region_count;
};

/* A map's call, in the process that made it: what is between two marks. */
struct region {
    uint32_t begin, end; /* marks */
    uint32_t worker_count;
    int process;
    int *workers; /* processes, in the order of their forks */
};

/* The graph must outlive it. cpus: of the machine of the run; 0: not known. Where all of them were in use, the time of
 * a process that it was on none was lack of a CPU, and not sleep. 0 or -ENOMEM; fini in every case. */
int program_init(struct program *program, const struct graph *graph, int64_t cpus);
void program_fini(struct program *program);

/* The part of a CPU that an activity of the process takes. */
static inline double program_cpu(const struct cpu_share *cpu, int activity)
{
    return activity == ACTIVITY_RUNNING || activity == ACTIVITY_TASKS ? cpu->running : cpu->other;
}

/* The time of a mark. */
static inline int64_t program_mark_ns(const struct program *program, uint32_t mark)
{
    const struct graph *graph = program->graph;
    return graph->steps[graph->marks[mark].step].to_ns;
}

/* Does it only work and pause, as far as anybody else can tell? */
bool program_is_plain(const struct program *program, uint32_t from, uint32_t to);

#endif
