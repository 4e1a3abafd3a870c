/* What a worker says in shared memory of the chunk that it is at, for its parent to read at any time. */
#ifndef SF_PY_WORKERS_CLAIM_H
#define SF_PY_WORKERS_CLAIM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SF_ENGINE_NO_CLAIM UINT64_MAX

struct sf_engine_claim {
    _Alignas(64) _Atomic uint64_t number; /* of the argument it is at; stored for each, so on a line of its own */
    _Atomic int64_t since_ns;    /* when it took that out of a feed. Stored before the number: whoever reads a number in
                                    order (acquire) reads the time of that one, or of a later one */
    _Atomic uint64_t first, end; /* map: the arguments of the chunk that `number` is in */
    _Atomic int64_t began_ns;    /* when that argument's turn began, as of timeout.h */
    _Atomic uint64_t doomed;     /* by the parent: 1 + the number at which it is being killed (crew.h); 0: it is not */
    _Atomic uint32_t offer;      /* what became of the worker's last offer of an array (py/message/offer.h) */
    _Atomic bool has_finished;   /* the worker ends by itself */
};

/* Stores that the worker has taken this argument out of a feed. */
static inline void sf_claim_take(struct sf_engine_claim *claim, uint64_t number, int64_t now_ns)
{
    atomic_store_explicit(&claim->since_ns, now_ns, memory_order_relaxed);
    atomic_store_explicit(&claim->number, number, memory_order_release);
}

#endif
