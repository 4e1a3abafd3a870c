/* The handles of rings. See ring_handle.h.
 *
 * A ring is one anonymous shared mapping, so only forks of its maker can hold it, and each child does, by its copy of
 * the handle. The holders table in the mapping must list a child before it exists: otherwise its parent could start
 * to wait and find itself alone. So before a fork each ring reserves a slot (FORKING), which the child adopts. The
 * parent names the child too (sf_ring_name_child), because the child may die before its first step.
 *
 * Invariants
 * - The list holds every ring of this process that has a tag. rings_mutex guards it and is held across a fork, so the
 *   child gets a whole list; it unlocks its own copy of the mutex.
 * - ring->forks keeps the slots of the last forks, by the fork's number in this process. So a thread names the child of
 *   its own last fork even if other threads have forked since; if too many have, it names none. */
#include "core/ring/ring_handle.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/os/debug.h"
#include "core/os/identity.h"
#include "core/os/shm.h"
#include "core/ring/ring_internal.h"

#define MOST_BYTES ((uint64_t)PTRDIFF_MAX - SF_RING_DATA_OFFSET - SF_SHM_PAGE_BYTES)
/* At most, beside a message: its frame, label and padding. */
#define BESIDE_BYTES ((uint64_t)SF_RING_FRAME_BYTES + SF_RING_MOST_LABEL_BYTES + 8)
#define LEAST_BESIDE 16u /* of the capacity's bytes, one in so many is beside at least */
#define USUAL_BESIDE 64u /* frames of messages of 2.5 KiB take one byte in so many */

static pthread_mutex_t rings_mutex = PTHREAD_MUTEX_INITIALIZER; /* of the list, and held across a fork */
static struct sf_ring *rings;
static uint64_t fork_serial;                      /* forks of this process; under rings_mutex */
static _Thread_local uint64_t thread_fork_serial; /* the last one by this thread */
static int atfork_error;                          /* of pthread_atfork; written once, before any ring */

/* --- forks --- */

static void reserve_for_child(void)
{
    pthread_mutex_lock(&rings_mutex);
    thread_fork_serial = ++fork_serial;
    for (struct sf_ring *ring = rings; ring; ring = ring->following) {
        struct sf_ring_fork *last = &ring->forks[fork_serial % SF_RING_FORKS_KEPT];
        last->serial = fork_serial;
        last->tag = sf_holders_reserve(&ring->shared->holders);
    }
}

static void unlock_in_parent(void)
{
    pthread_mutex_unlock(&rings_mutex);
}

static void adopt_in_child(void)
{
    for (struct sf_ring *ring = rings; ring; ring = ring->following) {
        const struct sf_ring_fork *last = &ring->forks[fork_serial % SF_RING_FORKS_KEPT];
        assert(last->serial == fork_serial); /* written by this thread, in the parent, just before */
        ring->tag = sf_holders_adopt(&ring->shared->holders, last->tag);
    }
    thread_fork_serial = 0;
    pthread_mutex_unlock(&rings_mutex);
}

void sf_ring_name_child(pid_t child)
{
    uint64_t serial = thread_fork_serial;
    pthread_mutex_lock(&rings_mutex);
    for (struct sf_ring *ring = rings; serial && ring; ring = ring->following) {
        const struct sf_ring_fork *fork = &ring->forks[serial % SF_RING_FORKS_KEPT];
        if (fork->serial == serial)
            sf_holders_name(&ring->shared->holders, fork->tag, child);
    }
    pthread_mutex_unlock(&rings_mutex);
}

static void register_fork_handlers(void)
{
    atfork_error = pthread_atfork(reserve_for_child, unlock_in_parent, adopt_in_child);
}

/* --- handles --- */

/* No other ring of these processes has it: the low 22 bits are a pid, and the process with that pid made no other ring
 * at this ns (the time comes again after more than an hour). */
static uint64_t new_key(void)
{
    return (sf_identity_now() << 22 | ((uint64_t)getpid() & ((1u << 22) - 1))) + 1;
}

/* Makes the handle of a ring with so many bytes for frames, of which `enough` are enough if it holds no tiny ones. */
static int make_handle(struct sf_ring **out, uint64_t capacity, uint64_t usable, uint64_t enough)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_fork_handlers);
    struct sf_ring *ring = atfork_error ? NULL : calloc(1, sizeof *ring);
    if (!ring)
        return -ENOMEM;
    ring->capacity = capacity;
    ring->usable = usable;
    ring->mapped = SF_RING_DATA_OFFSET + (size_t)usable;
    void *mapped;
    int error = sf_shm_map(&mapped, ring->mapped);
    if (error) {
        free(ring);
        return -ENOMEM;
    }
    ring->shared = mapped;
    ring->data = (unsigned char *)mapped + SF_RING_DATA_OFFSET;
    sf_ring_layout_init(&ring->shared->layout, usable, enough);
    ring->shared->key = new_key();
    *out = ring;
    return 0;
}

/* The fork handlers must not see it without a tag, and must not miss it once it has one. */
static void list_handle(struct sf_ring *ring)
{
    pthread_mutex_lock(&rings_mutex);
    ring->tag = sf_holders_join(&ring->shared->holders);
    ring->following = rings;
    if (rings)
        rings->previous = ring;
    rings = ring;
    pthread_mutex_unlock(&rings_mutex);
    sf_debug(SF_DEBUG_RING, "%p made, %llu bytes", (void *)ring->shared, (unsigned long long)ring->capacity);
}

int sf_ring_new(struct sf_ring **out, uint64_t capacity_bytes)
{
    if (capacity_bytes < SF_RING_MIN_BYTES)
        return -EINVAL;
    if (capacity_bytes > MOST_BYTES)
        return -ENOMEM;
    int error = make_handle(out, capacity_bytes, capacity_bytes / 8 * 8, capacity_bytes);
    if (error)
        return error;
    (*out)->limit = UINT64_MAX;
    list_handle(*out);
    return 0;
}

int sf_ring_new_counting(struct sf_ring **out, uint64_t capacity_bytes, uint32_t label_bytes)
{
    if (capacity_bytes < 1 || label_bytes > SF_RING_MOST_LABEL_BYTES)
        return -EINVAL;
    if (capacity_bytes > MOST_BYTES / 2)
        return -ENOMEM;
    uint64_t messages = capacity_bytes < SF_RING_MOST_MESSAGES ? capacity_bytes : SF_RING_MOST_MESSAGES;
    uint64_t beside = messages * BESIDE_BYTES;
    uint64_t enough = capacity_bytes + capacity_bytes / USUAL_BESIDE + 8 * BESIDE_BYTES;
    int error;
    while ((error = make_handle(out, capacity_bytes, (capacity_bytes + beside + 7) / 8 * 8, enough)) != 0 &&
           beside > capacity_bytes / LEAST_BESIDE + BESIDE_BYTES)
        beside /= 2;
    if (error)
        return error;
    (*out)->limit = capacity_bytes;
    (*out)->label_bytes = label_bytes;
    list_handle(*out);
    return 0;
}

void sf_ring_free(struct sf_ring *ring)
{
    if (!ring)
        return;
    pthread_mutex_lock(&rings_mutex);
    if (ring->previous)
        ring->previous->following = ring->following;
    else
        rings = ring->following;
    if (ring->following)
        ring->following->previous = ring->previous;
    pthread_mutex_unlock(&rings_mutex);
    sf_debug(SF_DEBUG_RING, "%p freed here", (void *)ring->shared);
    sf_holders_leave(&ring->shared->holders, ring->tag);
    sf_shm_unmap(ring->shared, ring->mapped);
    free(ring->name);
    free(ring);
}

void sf_ring_each(void (*visit)(struct sf_ring *ring, void *context), void *context)
{
    pthread_mutex_lock(&rings_mutex);
    for (struct sf_ring *ring = rings; ring; ring = ring->following)
        visit(ring, context);
    pthread_mutex_unlock(&rings_mutex);
}

uint64_t sf_ring_capacity(const struct sf_ring *ring)
{
    return ring->capacity;
}

void sf_ring_set_number(struct sf_ring *ring, uint32_t number)
{
    atomic_store_explicit(&ring->shared->number, number, memory_order_relaxed); /* a label: no partner */
}

uint32_t sf_ring_number(const struct sf_ring *ring)
{
    return atomic_load_explicit(&ring->shared->number, memory_order_relaxed);
}

int sf_ring_set_name(struct sf_ring *ring, const char *name, size_t bytes)
{
    assert(!ring->name);
    ring->name = malloc(bytes + 1);
    if (!ring->name)
        return -ENOMEM;
    memcpy(ring->name, name, bytes);
    ring->name[bytes] = '\0';
    ring->name_bytes = bytes;
    return 0;
}

const char *sf_ring_name(const struct sf_ring *ring, size_t *bytes)
{
    *bytes = ring->name_bytes;
    return ring->name;
}
