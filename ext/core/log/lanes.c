/* See lanes.h.
 *
 * `since` of a lane is 0 while it is free. The taker writes the rest of the entry before it; only the thread that holds
 * the lane, and sf_lanes_start in a child, set it to 0 again. */
#include "core/log/lanes.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

__thread uint32_t sf_lanes_own __attribute__((tls_model("initial-exec"))) = SF_LANES_NONE;

static struct {
    _Atomic uint64_t since;
    uint64_t thread;
    uint32_t tid;
} lanes[SF_LANE_MAX]; /* without the shared one */
static uint32_t end;  /* all lanes from here on were never taken */
static pthread_key_t at_end;

static void hold(uint32_t lane, uint64_t tsc)
{
    lanes[lane].thread = (uint64_t)pthread_self();
    lanes[lane].tid = (uint32_t)syscall(SYS_gettid);
    /* release: partner is the load in sf_lanes_holder */
    atomic_store_explicit(&lanes[lane].since, tsc ? tsc : 1, memory_order_release);
    end = lane < end ? end : lane + 1;
    sf_lanes_own = lane;
}

/* At the end of a thread. If it writes events even later, it takes another lane, and this runs again. */
static void give_back(void *unused)
{
    uint32_t lane = sf_lanes_own;
    (void)unused;
    if (lane == 0)
        return;
    sf_lanes_own = SF_LANES_NONE;
    /* release: partner is the load in is_free; this thread's events come before the next one's */
    if (lane < SF_LANE_MAX)
        atomic_store_explicit(&lanes[lane].since, 0, memory_order_release);
}

int sf_lanes_init(void)
{
    int error = pthread_key_create(&at_end, give_back);
    if (error)
        return -error;
    lanes[0].tid = (uint32_t)getpid();
    if (lanes[0].tid == (uint32_t)syscall(SYS_gettid)) {
        hold(0, 1);
    } else { /* the first thread takes it with its first event */
        atomic_store_explicit(&lanes[0].since, 1, memory_order_relaxed);
        end = 1;
    }
    return 0;
}

void sf_lanes_start(uint64_t tsc)
{
    for (uint32_t lane = 0; lane < end; lane++)
        atomic_store_explicit(&lanes[lane].since, 0, memory_order_relaxed);
    end = 0;
    hold(0, tsc);
}

void sf_lanes_begin_log(uint64_t tsc)
{
    atomic_store_explicit(&lanes[0].since, tsc, memory_order_relaxed);
}

static bool is_free(uint32_t lane)
{
    return atomic_load_explicit(&lanes[lane].since, memory_order_acquire) == 0;
}

struct sf_lane sf_lanes_take(uint64_t tsc)
{
    struct sf_lane mine = {tsc, (uint64_t)pthread_self(), (uint32_t)syscall(SYS_gettid)};
    uint32_t lane = 1;
    assert(sf_lanes_own > SF_LANE_MAX);
    if (lanes[0].tid == mine.tid) { /* the first thread */
        lanes[0].thread = mine.thread;
        sf_lanes_own = 0;
        sf_lanes_holder(0, &mine);
        return mine;
    }
    while (lane < SF_LANE_MAX && !is_free(lane))
        lane++;
    pthread_setspecific(at_end, &lanes); /* any pointer: NULL would mean that there is nothing to do at the end */
    if (lane < SF_LANE_MAX)
        hold(lane, tsc);
    sf_lanes_own = lane;
    return mine;
}

bool sf_lanes_holder(uint32_t lane, struct sf_lane *out)
{
    if (lane >= end || lane >= SF_LANE_MAX)
        return false;
    uint64_t since = atomic_load_explicit(&lanes[lane].since, memory_order_acquire);
    *out = (struct sf_lane){since, lanes[lane].thread, lanes[lane].tid};
    return since != 0;
}

uint32_t sf_lanes_of(uint64_t thread)
{
    struct sf_lane held;
    for (uint32_t lane = 0; lane < end; lane++)
        if (sf_lanes_holder(lane, &held) && held.thread == thread)
            return lane;
    return SF_LANES_NONE;
}

uint32_t sf_lanes_end(void)
{
    return end;
}
