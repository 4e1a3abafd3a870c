/* What the two halves of a Generator share: generator.c in the parent, generator_child.c in the child. No other file
 * includes it.
 *
 *     parent: asked += 1  --futex-->   child: computes items while made < asked + prefetch
 *     parent: takes one item  <--stream--  child: sends them, in order
 *     parent: stop = 1    --futex-->   child: closes the Python generator, extracts, ends
 *
 * The parent writes struct sf_generator_control, the child reads it. Items travel as outcomes (outcome.h) over a stream
 * (core/result/stream.h), which also holds the items that were computed ahead. The last item has the number
 * SF_GENERATOR_LAST_ITEM: it is the exception that ended the generator, StopIteration or another one. What is extracted
 * goes into the task's result memory, as for every task. */
#ifndef SF_PY_TASK_GENERATOR_STRUCT_H
#define SF_PY_TASK_GENERATOR_STRUCT_H

#include <stdatomic.h>

#include "core/ring/ring_wait.h"
#include "py/message/arrival.h"
#include "py/task/task_object.h"

#define SF_GENERATOR_LAST_ITEM UINT64_MAX

struct sf_generator_control {
    /* the parent stores with release, the child loads with acquire */
    _Atomic uint32_t asked; /* items that next() has asked for; the futex word on which the child sleeps */
    _Atomic uint32_t stop;  /* 1: no more items are wanted */
};

struct sf_generator {
    struct sf_task_object base;
    struct sf_generator_control *control; /* shared memory, owned; NULL like ring: not started, or given back */
    struct sf_ring *ring;                 /* owned */
    uint32_t prefetch;                    /* how many items the child may be ahead; set before the fork */
    uint32_t made;                        /* in the child: items computed */
    /* in the parent */
    bool awaited;       /* an item was asked for and not taken yet */
    bool exhausted;     /* the last item was taken */
    bool busy;          /* a call is in next(): ring, control and item stay until it returns */
    bool check_child;   /* try_item is to find out whether the child is dead */
    int64_t checked_ns; /* when it last did; see sf_liveness_is_due */
    bool pulled;        /* piece, piece_head and piece_bytes are of a piece that was pulled and is not copied yet */
    struct sf_stream_head piece_head;
    struct sf_ring_slot piece;
    uint64_t piece_bytes;
    struct sf_arrival arrival; /* the item under way */
    bool whole;                /* it has arrived: piece_head is that of its last piece. It stays until it is opened */
};

static inline struct sf_generator *sf_generator_of(struct sf_task *task)
{
    return (struct sf_generator *)((char *)task - offsetof(struct sf_generator, base.task));
}

/* Whether the parent wants no more items. */
static inline bool sf_generator_stopped(const struct sf_generator *generator)
{
    return atomic_load_explicit(&generator->control->stop, memory_order_acquire);
}

#endif
