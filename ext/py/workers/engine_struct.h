/* The structs of the worker engine: what a job is, and what the parent and the workers know. See engine.h. */
#ifndef SF_PY_WORKERS_ENGINE_STRUCT_H
#define SF_PY_WORKERS_ENGINE_STRUCT_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/os/eventcount.h"
#include "core/os/pid.h"
#include "core/result/stream.h"
#include "py/message/arrival.h"
#include "py/task/task.h"
#include "py/workers/claim.h"

#define SF_ENGINE_MOST_WORKERS (1 << 15) /* more processes do not fit a ring's table of holders */
/* With a message's tag: */
#define SF_ENGINE_ALONE 0x100u     /* it is one result, not a list of them */
#define SF_ENGINE_EXTRACTED 0x200u /* it is what `extract` returned; its number is the first argument of the chunk */
#define SF_ENGINE_WHAT_BYTES 160   /* what job->describe may write */
#define SF_BLAS_THREADS_SHARE (-1)

struct sf_engine;
struct sf_worker;

/* In a worker: the chunk it works through. */
struct sf_chunk {
    PyObject *items;      /* list, tuple or range with the arguments, owned */
    Py_ssize_t at, end;   /* the next position in items, and the one after the last */
    uint64_t offset;      /* the number of argument items[0] */
    uint64_t number;      /* of the chunk */
    Py_ssize_t arguments; /* for its event; 0: as many as items */
    PyObject *iterator;   /* over a range; owned */
    PyObject *failure;    /* what is raised instead of one more argument: it cannot be unpickled; owned, may be NULL */
};

/* What map, imap and merge each do in their own way. */
struct sf_job {
    enum sf_task_kind kind; /* of its workers */
    /* In the worker: the task's `run`, sf_worker_run. */
    PyObject *(*run)(struct sf_task *task);
    /* In the worker: fills in the next chunk, which is zeroed before, and notes the claim. 1, 0: there is none, -1 with
     * an exception that ends the worker. */
    int (*next_chunk)(struct sf_worker *worker, struct sf_chunk *chunk);
    /* In the worker, after a chunk of which nothing has failed: what else belongs to it. 0, or -1 with an exception
     * that ends the worker. May be NULL. */
    int (*after_chunk)(struct sf_worker *worker, const struct sf_chunk *chunk);
    /* In both: what a message is, for errors: "its result for argument 6", or "what it extracted". */
    void (*describe)(const struct sf_engine *engine, uint64_t number, bool extracted, char *what);
    /* In both: a worker's name, a new reference or NULL with an exception. May be NULL: "map worker-<n> (f)". */
    PyObject *(*name)(const struct sf_engine *engine, uint32_t number);

    /* In the parent: how many results may come from argument `number` on, 0 if none is awaited there. extracted:
     * whether what was extracted after the chunk that begins with it is awaited, 1 or 0. */
    Py_ssize_t (*room)(struct sf_engine *engine, uint64_t number, bool extracted);
    /* In the parent: takes the results of `count` arguments, at least 1, from `number` on; there is room for them.
     * Takes references of its own, and runs code of the program at the end only. */
    void (*keep)(struct sf_engine *engine, uint64_t number, PyObject *const *values, Py_ssize_t count);
    /* In the parent: takes the current exception as the outcome of an argument for which there is room, or of the
     * extraction after the chunk that begins with it. */
    void (*fail)(struct sf_engine *engine, uint64_t number);
    /* In the parent: takes what was extracted after the chunk that begins with this argument. Steals value. NULL where
     * no worker sends such a message. */
    void (*extracted)(struct sf_engine *engine, uint64_t number, PyObject *value);
    /* In the parent: a worker has died, and all that it had sent was taken. claim: the argument it was at, or
     * SF_ENGINE_NO_CLAIM. */
    void (*ended)(struct sf_engine *engine, struct sf_worker *worker, uint64_t claim);
    /* In the parent: does what can be done without waiting, such as feeding and starting workers. 0, SF_RAISED or
     * -errno. May be NULL. */
    int (*advance)(struct sf_engine *engine);
    /* In the parent: whether sf_engine_wait has nothing to wait for any more. Cheap. */
    bool (*is_finished)(struct sf_engine *engine);
    /* In the parent: whether a worker will end soon, and `advance` needs that to go on. Cheap. May be NULL. */
    bool (*awaits_end)(struct sf_engine *engine);

    void (*at_exit)(struct sf_child *child); /* as in struct sf_child; may be NULL */

    bool sends_whole;   /* all results of a chunk go together, rather than in blocks, unless the parent asks */
    bool raises_reason; /* what cannot be unpickled here fails with the reason itself, not with ChildDied */
    bool keeps_going;   /* a new worker may take the place of one that is gone: there are `most` at a time, not ever */
    bool goes_on;       /* a worker takes the next chunk after one of which something has failed */
};

struct sf_engine_board { /* in shared memory */
    /* map: the next argument that no worker has claimed. Workers move it on; the parent moves it to the end, to stop
     * them. */
    _Atomic uint64_t next;
    _Atomic uint64_t chunks; /* map: how many were claimed, where the workers cut them */
    _Atomic uint32_t asked; /* changes when the parent wants the results that a worker has, before its block is whole */

    struct sf_engine_claim claims[]; /* by worker */
};

struct sf_worker {
    struct sf_task task;
    struct sf_engine *engine;
    uint32_t number;           /* in engine->workers */
    bool gone;                 /* it does not run, and nothing is expected from it any more */
    struct sf_arrival arrival; /* in the parent: of the message under way from it, or kept */
    Py_ssize_t block;          /* in the worker: how many results it computes between two sends */
    uint64_t chunks;           /* in the worker: how many it has begun to work on */
};

/* Larger blocks come from malloc, whose lists lie in pages that each fork makes copy-on-write ones. */
static_assert(sizeof(struct sf_worker) <= 512, "PyMem_Calloc takes it from Python's own pools");

/* What was pulled out of the ring of results and is not with the job yet: it stays so when an exception interrupts
 * that.
 *
 *     NONE --pull--> PIECE --(copied: there was memory)--> NONE, or if the message is whole: MESSAGE --(opened)--> NONE
 */
enum sf_unopened_state { SF_UNOPENED_NONE, SF_UNOPENED_PIECE, SF_UNOPENED_MESSAGE };

struct sf_unopened {
    enum sf_unopened_state state;
    struct sf_stream_head head;
    struct sf_ring_slot slot; /* of a PIECE: claimed */
    uint64_t bytes;           /* in it */
    PyObject *opened; /* of a MESSAGE: what it is, owned; NULL: its opening runs code, and it is in the `arrival` of its
                         worker */
};

struct sf_engine {
    const struct sf_job *job;
    PyObject *f;                            /* borrowed */
    bool star;                              /* f(*argument) */
    const struct sf_extraction *extraction; /* what each worker sends after its chunk; borrowed, NULL: nothing */
    pid_t owner;                            /* the process that made it */
    struct sf_engine_board *board;
    size_t board_bytes;
    struct sf_ring *ring; /* of results */
    struct sf_unopened unopened;
    struct sf_worker **workers;      /* by place; NULL: a free place, before `started` only where the job keeps going */
    Py_ssize_t started, alive, most; /* workers: places used so far, not gone, places */
    Py_ssize_t oldest;               /* all before this one are gone */
    pid_t *awaited;                  /* of workers that end soon, where the job waits for that: `most` places */
    size_t awaited_count;
    Py_ssize_t together;  /* workers that may run at the same time; 0: `most` */
    int64_t timeout_ns;   /* for each argument (timeout.h); 0: none */
    int32_t blas_threads; /* in each worker (share.h), or SF_BLAS_THREADS_SHARE; 0: as they are */
    int64_t due_ns;       /* with a timeout: when to look again whether it has passed */
    uint32_t seen;        /* the ring's events before the last look at it */
    bool look;            /* it is time to look for dead workers */
    int64_t looked_ns;    /* when that was last done */
    /* for direct.h: */
    bool asleep;               /* the thread that waits for results does nothing else */
    bool lent;                 /* another thread takes results in its place */
    struct sf_eventcount away; /* where it sleeps meanwhile */
    uint32_t away_seen;        /* the count there before its last look */
    bool is_away;              /* as it was at its last look: so this is where it sleeps */
};

/* Whether this process made the engine. If not: false, with RuntimeError. Code of the program may call os.fork, and
 * come back in both processes. So this is asked after each such call, before anything is taken, sent, forked or
 * stopped. */
static inline bool sf_engine_is_ours(const struct sf_engine *engine)
{
    if (engine->owner == sf_pid_own())
        return true;
    PyErr_Format(PyExc_RuntimeError, "its workers were started by process %d: only that process gets their results",
                 (int)engine->owner);
    return false;
}

static inline struct sf_worker *sf_worker_of(struct sf_task *task)
{
    return (struct sf_worker *)((char *)task - offsetof(struct sf_worker, task));
}

static inline struct sf_engine_claim *sf_worker_board(const struct sf_worker *worker)
{
    return &worker->engine->board->claims[worker->number];
}

static inline _Atomic uint64_t *sf_worker_claim(const struct sf_worker *worker)
{
    return &sf_worker_board(worker)->number;
}

#endif
