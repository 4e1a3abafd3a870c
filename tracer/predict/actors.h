/* The clock of a simulation, and its actors: who works on a CPU, who pauses, who is blocked until another one wakes it.
 * Knows nothing of what they do.
 *
 *     READY --(steps: it works or pauses)--> BUSY --(its time is over)--> READY
 *       |----(steps: it has to wait)-------> BLOCKED --(actors_wake)----> READY
 *       +----(steps: there is no more)-----> ENDED
 *
 * An actor's trail leads back through what it had to wait for: each of its segments lies behind the one before it,
 * which is another actor's where that has woken it. */
#ifndef SF_TRACER_PREDICT_ACTORS_H
#define SF_TRACER_PREDICT_ACTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACTORS_NONE UINT32_MAX

enum actor_state { ACTOR_READY, ACTOR_BUSY, ACTOR_BLOCKED, ACTOR_ENDED };

struct segment {
    double ns;
    uint32_t before; /* ACTORS_NONE: none */
    uint32_t detail; /* the caller's own */
    int who;         /* likewise */
    unsigned char activity;
};

struct actor {
    enum actor_state state;
    double left_ns, cpu; /* BUSY: what is left of its work, and the part of a CPU that it takes; 0: it pauses */
    double began_ns, work_ns, segment_ns;
    uint32_t trail; /* its last segment */
    uint32_t detail;
    int who;
    unsigned char activity;
    uint32_t next; /* the caller's own: lists of those that wait for the same */

    /* What it does is the caller's own too: */
    uint32_t at, end; /* operations */
    uint32_t over;    /* from this one on it waits for no other chunk */
    double part;      /* of the chunk, which is cut, that it does */
    bool ends_unit;   /* it does its last part, and sends its results */
    uint32_t release; /* BLOCKED until this step was done; ACTORS_NONE: it is not */
    int process;      /* whose operations these are */
    int call;         /* the map's call that it is in, as its process; -1: none */
    int crew;         /* the map's call that it is a worker of; -1: none */
    int stage;        /* of a worker */
    double factor;    /* of its work in f */
    double block;     /* guided: the most that it claims */
    double claimed, claimed_ns, task_ns, send_ns, take_ns; /* its last claim: arguments, when, and what they cost */
    uint32_t task;                                         /* its last claim's number */
};

struct actors {
    struct actor *rows;
    struct segment *segments;
    uint32_t *busy, *ready; /* indices; ready: the first one is to step first */
    size_t count, room, segment_count, segment_room, busy_count, busy_room, ready_at, ready_count, ready_room;
    double now_ns, cpus;
    int lack;                    /* the activity of waiting for a CPU */
    bool keeps_segments, failed; /* failed: no memory */
};

void actors_fini(struct actors *actors);

/* A new one, ready, whose trail goes on from that. Its index. */
uint32_t actors_add(struct actors *actors, uint32_t trail);

/* The actor works for so long, on that part of a CPU. False: no time, so it goes on. */
bool actors_work(struct actors *actors, uint32_t at, double ns, double cpu, int activity, int who, uint32_t detail);

/* The actor goes on so long after something happened at from_ns, whose trail this is. False: that is over, and the
 * trail is the actor's own as before. */
bool actors_pause_after(struct actors *actors, uint32_t at, double from_ns, double ns, uint32_t trail, int activity);

/* A blocked actor goes on, because of what has just happened: the trail is of that. */
void actors_wake(struct actors *actors, uint32_t at, uint32_t trail);

/* The next one to step. ACTORS_NONE: nobody is ready. */
uint32_t actors_next(struct actors *actors);

/* Lets time pass until somebody is ready. False: nobody is busy. */
bool actors_advance(struct actors *actors);

#endif
