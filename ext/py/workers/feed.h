/* Chunks of arguments on their way from the parent to whichever worker is free, over a small ring.
 *
 *     parent: pack -> push what there is room for -> ... -> all pushed      worker: turn -> pull pieces -> open
 *
 * A chunk is one message, a list of arguments, cut into pieces (core/result/stream.h). So a chunk may be larger than
 * the ring, and a worker takes it while the parent pushes it. The worker that takes a chunk has the turn
 * (core/ring/ring_turn.h), so that no other one takes pieces of it. It gives the turn back when it has the last piece,
 * and unpickles after that. A worker killed in the middle leaves pieces behind: the next that has the turn skips them,
 * up to the beginning of a message.
 *
 * The parent does not wait for room here. It notes that it wants some, and the next worker that frees some nudges the
 * ring of results, at which the parent waits for everything. */
#ifndef SF_PY_WORKERS_FEED_H
#define SF_PY_WORKERS_FEED_H

#include <stdatomic.h>

#include "core/ring/ring_turn.h"
#include "py/message/arrival.h"
#include "py/message/message.h"
#include "py/workers/claim.h"

struct sf_feed_shared { /* in shared memory */
    struct sf_ring_turn turn;
    _Atomic uint32_t in_pieces;  /* 1: the owner of the turn has taken some pieces of a chunk and waits for more; it
                                    alone writes this */
    _Atomic uint32_t wants_room; /* 1: the parent found no room. Set by it, cleared by the worker that nudges it */
    _Atomic uint32_t stop;       /* 1: there will be no more chunks. Set by the parent */
    _Atomic uint32_t generation; /* workers of another one take nothing more. Set by the parent */
};

struct sf_feed {
    struct sf_feed_shared *shared;
    struct sf_ring *ring;    /* of chunks */
    struct sf_ring *results; /* to be nudged; borrowed */
    uint32_t generation;     /* in the parent: as in `shared`; in a worker: that of its fork */
    /* in the parent: the chunk under way, between pack and the push of its last piece */
    bool is_packed;
    bool are_tasks;  /* what notes of exceptions call them; not arguments, by their numbers */
    PyObject *items; /* owned: the message points into it */
    struct sf_message message;
    struct sf_stream_out out;
    /* in a worker */
    struct sf_arrival arrival;
    bool has_turn;
};

/* 0 or -errno; the parent calls sf_feed_fini in any case. */
int sf_feed_init(struct sf_feed *feed, struct sf_ring *results);
void sf_feed_fini(struct sf_feed *feed);

/* Packs a chunk, after the one before was pushed. Steals items, a list that is not empty. first: the number of its
 * first argument. Returns how many arguments were packed, from the first on: with fewer than all, or none, pickle's
 * exception is set, and *is_bad says whether it is about the argument after them. It is not if it does not come again,
 * or is Ctrl-C, or MemoryError. */
Py_ssize_t sf_feed_pack(struct sf_feed *feed, uint64_t first, PyObject *items, bool *is_bad);

/* Pushes what there is room for. 0: all of the chunk, -EAGAIN: the ring of results will be nudged when there is more
 * room. The caller has asked sf_ring_events of that ring before. */
int sf_feed_push(struct sf_feed *feed);

/* There will be no more chunks: workers that have nothing to do end. */
void sf_feed_stop(struct sf_feed *feed);

/* Workers that were forked before this call take nothing more: they end when they have nothing to do. One of them may
 * take one more chunk, even one that is pushed after this call, if it was about to. */
void sf_feed_retire(struct sf_feed *feed);

/* In a worker: waits for a chunk and takes it. *first: the number of its first argument; it is stored in *claim too, as
 * soon as the first piece is taken. 1: *items is the list, or those before the one that could not be unpickled, which
 * raised *failure (else NULL); both are new references. 0: stopped, retired, or the parent is gone; -1 with an
 * exception, or in a copy of the worker. */
int sf_feed_take(struct sf_feed *feed, struct sf_engine_claim *claim, uint64_t *first, PyObject **items,
                 PyObject **failure);

#endif
