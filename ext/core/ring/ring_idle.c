/* Idle processes. See ring_idle.h.
 *
 * Who writes: a process writes `idle` and what it awaits into its own slot of every ring that it holds; whoever takes a
 * slot clears them. Marks are this process's, for one search. All is done by one thread: see ring_idle.h. */
#include "core/ring/ring_idle.h"

#include <errno.h>

#include "core/os/liveness.h"
#include "core/ring/ring_internal.h"
#include "core/ring/ring_wait.h"

/* ---- saying that this process is idle ---- */

static struct sf_holders_rest own_rest; /* its number grows by one for each change; odd: idle */

static void write_rest(struct sf_ring *ring, void *unused)
{
    (void)unused;
    sf_holders_set_rest(&ring->shared->holders, ring->tag, &own_rest);
}

static void begin_rest(uint64_t ring_key, uint64_t bytes)
{
    own_rest = (struct sf_holders_rest){.number = own_rest.number | 1, .ring_key = ring_key, .bytes = bytes};
    sf_ring_each(write_rest, NULL);
}

static void end_rest(void)
{
    own_rest.number = (own_rest.number | 1) + 1;
    sf_ring_each(write_rest, NULL);
}

void sf_ring_exit_begin(void)
{
    begin_rest(SF_HOLDERS_AWAITS_NOTHING, 0);
}

void sf_ring_exit_end(void)
{
    end_rest();
}

/* ---- looking at others ---- */

enum mark { NOT_NEEDED = 0, TO_SEARCH, SEARCHED };

struct search {
    uint64_t found;       /* a hash of all the sleeps that were found */
    const uint64_t *key;  /* of the ring to find; NULL: the next one to search */
    struct sf_ring *ring; /* the one that was found */
};

static void mix(struct search *search, uint64_t value)
{
    search->found = (search->found ^ value) * UINT64_C(0x9E3779B97F4A7C15);
    search->found ^= search->found >> 29;
}

static void match_ring(struct sf_ring *ring, void *context)
{
    struct search *search = context;
    if (search->key ? ring->shared->key == *search->key : ring->mark == TO_SEARCH)
        search->ring = ring;
}

static struct sf_ring *find_ring(struct search *search, const uint64_t *key)
{
    search->key = key;
    search->ring = NULL;
    sf_ring_each(match_ring, search);
    return search->ring;
}

static void clear_mark(struct sf_ring *ring, void *unused)
{
    (void)unused;
    ring->mark = NOT_NEEDED;
}

/* Whether a process that waits there has nothing to go on with. */
static bool waits_in_vain(struct sf_ring *ring, uint64_t bytes)
{
    int come = bytes == SF_HOLDERS_AWAITS_MESSAGE ? sf_ring_has_message(ring, SF_RING_PATIENCE_NS)
                                                  : sf_ring_has_room(ring, bytes, false, SF_RING_PATIENCE_NS);
    return come == -EAGAIN;
}

/* Whether all other holders of the ring are dead or wait in vain. Marks the rings where they wait. */
static bool others_are_idle(struct search *search, struct sf_ring *ring)
{
    struct sf_holders *holders = &ring->shared->holders;
    struct sf_holders_rest rest;
    uint32_t at = 0;
    for (int found; (found = sf_holders_next_other(holders, ring->tag, &at, &rest)) != 0;) {
        if (found < 0)
            return false;
        mix(search, rest.number);
        mix(search, rest.tag);
        if (rest.ring_key == SF_HOLDERS_AWAITS_NOTHING)
            continue;
        struct sf_ring *awaited = find_ring(search, &rest.ring_key);
        if (!awaited || !waits_in_vain(awaited, rest.bytes)) /* without a handle we cannot tell */
            return false;
        if (awaited->mark == NOT_NEEDED)
            awaited->mark = TO_SEARCH;
    }
    return true;
}

/* One search. */
static bool nobody_can_act(struct search *search, struct sf_ring *ring, uint64_t bytes)
{
    if (!waits_in_vain(ring, bytes))
        return false;
    sf_ring_each(clear_mark, NULL);
    ring->mark = TO_SEARCH;
    for (struct sf_ring *next; (next = find_ring(search, NULL));) {
        next->mark = SEARCHED;
        if (!others_are_idle(search, next))
            return false;
    }
    return true;
}

static bool is_hopeless(struct sf_ring *ring, uint64_t bytes)
{
    struct search search[3] = {{0}, {0}, {0}};
    for (int i = 0; i < 3; i++)
        if (!nobody_can_act(&search[i], ring, bytes) || search[i].found != search[0].found)
            return false;
    return true;
}

/* ---- waiting ---- */

static int wait_idle(struct sf_ring *ring, uint64_t bytes, int64_t timeout_ns)
{
    begin_rest(ring->shared->key, bytes);
    int slept = bytes == SF_HOLDERS_AWAITS_MESSAGE ? sf_ring_wait_message(ring, timeout_ns)
                                                   : sf_ring_wait_room(ring, bytes, timeout_ns);
    end_rest();
    if (slept == 0 || slept == -EPIPE || !sf_liveness_is_due(slept, &ring->idle_checked_ns))
        return slept;
    return is_hopeless(ring, bytes) ? -EPIPE : slept;
}

int sf_ring_wait_message_idle(struct sf_ring *ring, int64_t timeout_ns)
{
    return wait_idle(ring, SF_HOLDERS_AWAITS_MESSAGE, timeout_ns);
}

int sf_ring_wait_room_idle(struct sf_ring *ring, uint64_t bytes, int64_t timeout_ns)
{
    return wait_idle(ring, bytes, timeout_ns);
}
