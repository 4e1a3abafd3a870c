/* What a program consists of: see program.h. */
#ifndef SF_TRACER_PREDICT_PROGRAM_STRUCT_H
#define SF_TRACER_PREDICT_PROGRAM_STRUCT_H

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
    OP_FORKS,   /* forks the share of crew `what` that worker number ns of the run stands for */
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
    struct region *regions; /* the calls of maps, and behind these the crews */
    uint32_t region_count;
    struct release *releases; /* for each mark: of the chunk of a crew that begins there */
    int unclear;              /* a process that had chunks, and nobody knows from where; PROCESS_NONE: there is none */
};

/* When a chunk can be claimed. */
struct release {
    uint32_t step; /* after this one; GRAPH_NONE: at once */
    bool by_map; /* with the next ones of an Executor's map: a number by the number of workers is under way at a time */
    bool is_share; /* a call of a Pool's map has cut it by the number of workers */
};

/* A map's call, in the process that made it: what is between two marks. Or a crew. */
struct region {
    uint32_t begin, end; /* marks; of a crew the FORKs of its first and its last worker */
    bool is_crew;
    uint32_t worker_count;
    int process;
    int *workers; /* processes, in the order of their forks */
};

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

#endif
