/* Lanes: the numbers of this process's threads in its records (abi/log_format.h).
 *
 * A thread takes the lowest free lane with its first event, and gives it back when it ends. Lane 0 belongs to the
 * process's first thread and is never given back. When no lane is free, a thread uses SF_LANE_MAX, which any number of
 * threads share.
 *
 *     none --(first event: sf_lanes_take)--> held --(the thread ends)--> free, for the next thread
 *
 * Who calls. sf_lanes_take and the functions that look at other threads' lanes: the log's writer, one thread at a time.
 * A lane is given back by its own thread, at any time, without a lock. Nothing blocks. */
#ifndef SF_CORE_LOG_LANES_H
#define SF_CORE_LOG_LANES_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/log_format.h"

/* The calling thread's lane. Above SF_LANE_MAX: it has none yet. */
extern __thread uint32_t sf_lanes_own __attribute__((tls_model("initial-exec")));
#define SF_LANES_NONE (SF_LANE_MAX + 1)

/* A thread that has a lane. */
struct sf_lane {
    uint64_t since;  /* tsc: when it took the lane. No other thread of the process has the same */
    uint64_t thread; /* pthread_self(); 0: the first thread, which has written no event yet */
    uint32_t tid;    /* its number in the kernel */
};

/* Once in a process tree. 0 or -errno. */
int sf_lanes_init(void);

/* In a forked child: the calling thread is the only one left, and lane 0 is its. */
void sf_lanes_start(uint64_t tsc);

/* A log begins at `tsc`: the holder of lane 0 is known by that time in it. */
void sf_lanes_begin_log(uint64_t tsc);

/* Gives the calling thread, which has none, its lane: sets sf_lanes_own. */
struct sf_lane sf_lanes_take(uint64_t tsc);

/* Who holds the lane. false: nobody. */
bool sf_lanes_holder(uint32_t lane, struct sf_lane *out);

/* The lane of that thread; SF_LANES_NONE: it has none of its own. */
uint32_t sf_lanes_of(uint64_t thread);

/* Lanes from this one on were never taken. */
uint32_t sf_lanes_end(void);

#endif
