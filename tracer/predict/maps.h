/* The calls of maps of a program, as work that can be handed out again: units of work, what each costs the worker and
 * the map's process, and what forking, starting and ending take besides. */
#ifndef SF_TRACER_PREDICT_MAPS_H
#define SF_TRACER_PREDICT_MAPS_H

#include <stddef.h>

#include "predict/program.h"

/* How chunks are handed out; ext/py/workers/ has the rules. */
enum map_rule {
    MAP_GUIDED,   /* without chunksize: each worker claims some milliseconds of what is left */
    MAP_CHUNKS,   /* with chunksize: the next chunk to whoever is free */
    MAP_CREW,     /* workers that stay (crew.h): the next chunk, when it was submitted, to whoever is free */
    MAP_PROCESSES /* with extract and merge, or share: a process for each chunk; merges in order, at the end */
};

/* A chunk, as it was in the run. If it is plain, its arguments may be claimed apart: each is as long as the others. */
struct unit {
    double arguments;       /* at least 1, whole */
    double task_ns;         /* in f, or whatever else runs */
    double send_ns;         /* pickling and sending results, and extracting */
    double take_ns;         /* in the map's process: copying and unpickling them */
    uint32_t from, to;      /* operations of its worker */
    uint32_t over;          /* of these, the first one after the chunk: MAP_CREW waits for no other chunk there */
    int worker;             /* process */
    struct release release; /* MAP_CREW */
    bool cut;               /* MAP_CREW: more workers get smaller chunks, in proportion */
    bool plain;
};

/* One observation of what a worker costs. */
enum cost_kind { COST_FORK, COST_BETWEEN, COST_LATENCY, COST_BEGIN, COST_END, COST_AGAIN };
struct cost {
    double ns;
    int process; /* the map's */
    enum cost_kind kind;
};

struct map {
    struct unit *units;              /* in the order of the arguments */
    uint32_t unit_count, first_unit; /* first_unit: how many the maps before have */
    double arguments;                /* of all units */
    const struct region *region;
    enum map_rule rule;
    bool rounds;    /* MAP_PROCESSES: merges after as many processes as run at a time */
    bool is_split;  /* MAP_PROCESSES: as many chunks as workers: another number of workers has another one of chunks */
    bool by_map;    /* MAP_CREW: it has chunks of an Executor's map */
    bool is_nested; /* called in a worker of another map: has the worker's share of the CPUs */
    int workers;    /* in the run, at a time */
    /* What each worker costs. These are the lower medians of all workers that the map's process has had: what is longer
     * has been kept from a CPU, or was the first of its kind. */
    double between_ns;    /* the map's process, between two forks */
    double fork_ns;       /* the map's process, in a fork */
    double begin_ns;      /* the worker, until its first chunk */
    double end_ns;        /* the worker, after its last chunk */
    double latency_ns;    /* from the begin of the fork to the worker's begin */
    struct cpu_share cpu; /* means over the map's workers */
    /* And the map, besides: */
    double lead_ns;           /* the map's process, from the call to the first fork */
    double again_ns;          /* MAP_PROCESSES: the map's process, from a worker's end or a merge to the next fork */
    double merge_ns;          /* the map's process, for each unit */
    double ending_ns;         /* the map's process, after the last worker's end and the last result, without merges */
    const struct cost *forks; /* the costs of all forks that fork_ns is the median of, to draw from */
    uint32_t fork_count;
};

struct maps {
    struct map *rows; /* one for each region of the program */
    uint32_t count, unit_count;
    struct cost *costs; /* sorted */
    size_t cost_count;
};

/* Where the maps are others than in the run; all zero: nowhere. */
struct map_changes {
    const double *unit_factors; /* for each unit of all maps, of its time in f; NULL: 1 */
    const double *map_fork_ns;  /* for each map: in place of its fork_ns; NULL: that */
    const double *slowdowns;    /* [n]: how many times as long f takes where n workers are at it; NULL: as long */
    int machine;                /* the CPUs that are there, where maps have more workers; 0: as many as workers */
    int slowdowns_most;         /* the last n */
};

/* The program must outlive it. 0 or -ENOMEM; fini in every case. */
int maps_init(struct maps *maps, const struct program *program);
void maps_fini(struct maps *maps);

#endif
