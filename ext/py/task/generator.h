/* A Generator as its two halves see it: generator.c in the parent, generator_child.c in the child. Internal to them.
 *
 *     parent: asked += 1 --futex-->  child: computes items while made < asked + prefetch
 *     parent: takes one item    <--stream--  child: sends them, in order
 *     parent: stop = 1   --futex-->  child: closes the generator where it is, extracts, ends
 *
 * The parent writes struct sf_generator_control, the child reads it. Items travel as outcomes (outcome.h) over a stream
 * (stream.h), which also holds those that were computed ahead; the generator's last word (StopIteration or what it
 * raised) is the one with SF_GENERATOR_LAST_ITEM as its number. What is extracted takes the task's result_file, as for
 * every task. */
#ifndef SF_PY_TASK_GENERATOR_H
#define SF_PY_TASK_GENERATOR_H

#include "core/ring/ring.h"
#include "py/message/arrival.h"
#include "py/task/task.h"

#include <stdatomic.h>

#define SF_GENERATOR_LAST_ITEM UINT64_MAX

struct sf_generator_control {
    _Atomic uint32_t asked,
        stop; /* release-stored by the parent, acquired by the child; asked is also the futex word */
};

struct sf_generator {
    struct sf_task_object base;
    struct sf_generator_control *control;
    struct sf_ring *ring;
    uint32_t prefetch;         /* items that the child may be ahead; set before the fork */
    uint32_t made;             /* the child's count of items */
    bool awaited;              /* asked for an item that was not taken yet */
    bool exhausted;            /* the last word was taken */
    bool busy;                 /* a Python thread is in next(): the ring stays until it is out */
    bool look;                 /* whether the child lives */
    int64_t looked_ns;         /* when that was last done */
    struct sf_arrival arrival; /* of the item under way */
    PyObject *opened;          /* the item that arrived, before it is known what it means */
    uint64_t bytes;            /* of its message */
    enum sf_tag tag;           /* of the item that arrived */
    bool last;                 /* it is the last word */
};

static inline struct sf_generator *sf_generator_of(struct sf_task *task)
{
    return (struct sf_generator *)((char *)task - offsetof(struct sf_generator, base.task));
}

/* Whether the parent wants no more. */
static inline bool sf_generator_stopped(const struct sf_generator *generator)
{
    return atomic_load_explicit(&generator->control->stop, memory_order_acquire);
}

/* The child's life: the task's `run`. */
PyObject *sf_generator_feed(struct sf_task *task);

#endif
