/* A map's call in a simulation: its process and its workers, by the rules of the map. See simulate.h for the model. */
#ifndef SF_TRACER_PREDICT_MAP_RUN_H
#define SF_TRACER_PREDICT_MAP_RUN_H

#include "predict/actors.h"
#include "predict/maps.h"

struct message { /* results that have been sent and not been taken */
    double take_ns;
    uint32_t trail, next;
};

struct map_run {
    const struct map *map;
    double fork_ns, share; /* share: CPUs that its workers share */
    double chunk, left; /* arguments: of a chunk, where the number of chunks follows from that of workers; unclaimed */
    double used;        /* of the next unit, the part that was claimed */
    uint32_t next_unit; /* the next one to be claimed */
    uint32_t owner;     /* the actor of its process */
    uint32_t workers, chunks, started, ended, round_end; /* workers: at a time; chunks: MAP_PROCESSES */
    uint32_t claims;
    uint32_t forks; /* MAP_CREW: so many are started when its process goes on */
    uint32_t first_message, last_message;
    int stage;
    bool begun;
};

struct map_runs {
    struct actors *actors;
    const struct program *program;
    const struct map_changes *changes;
    struct map_run *rows; /* one for each map */
    uint32_t count;
    struct message *messages;
    size_t message_count, message_room;
};

/* 0 or -ENOMEM; fini in every case. */
int map_runs_init(struct map_runs *runs, struct actors *actors, const struct program *program, const struct maps *maps,
                  const struct map_changes *changes);
void map_runs_fini(struct map_runs *runs);

/* The actor calls the map. share: of the CPUs. False: it has called it before. */
bool map_runs_begin(struct map_runs *runs, uint32_t actor, uint32_t map, double share);

/* The actor forks those workers of a crew that its worker number `share_of` of the run stands for. As map_runs_begin.
 */
void map_runs_fork(struct map_runs *runs, uint32_t actor, uint32_t crew, uint32_t share_of, double share);

/* The step that the worker waits for before it can claim; GRAPH_NONE: it can. */
uint32_t map_runs_release(const struct map_runs *runs, uint32_t actor);

/* The actor, which is in a call, goes on. False: the call is over. Else it is busy or blocked. */
bool map_runs_step_owner(struct map_runs *runs, uint32_t actor);

/* The worker, which has no operations left to do, goes on. False: it has operations now, or has ended. */
bool map_runs_step_worker(struct map_runs *runs, uint32_t actor);

/* The CPUs that a map has which this actor calls. */
double map_runs_share(const struct map_runs *runs, uint32_t actor, double cpus);

#endif
