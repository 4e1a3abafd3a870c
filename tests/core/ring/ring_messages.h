/* What the ring's tests share: messages that show any damage, and some helpers. */
#ifndef SF_TESTS_CORE_RING_RING_MESSAGES_H
#define SF_TESTS_CORE_RING_RING_MESSAGES_H

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>

#include "core/os/liveness.h"
#include "core/ring/ring.h"
#include "core/ring/ring_wait.h"
#include "harness.h"

#define MS INT64_C(1000000)
#define SOON_NS (1000 * MS) /* for what needs no wait; the process may have to wait for a CPU */

struct message {
    uint32_t sender;
    uint64_t number, bytes;
};

static uint64_t random_state = 88172645463325252u;

static inline uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static inline uint64_t random_below(uint64_t n)
{
    return random_next() % n;
}

static inline double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Until it has died; it is not reaped. */
static inline void await_zombie(pid_t pid)
{
    siginfo_t info;
    CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
}

static inline void nothing(int signal)
{
    (void)signal;
}

static inline void *shared_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

static inline struct sf_ring *new_ring(uint64_t bytes)
{
    struct sf_ring *ring = NULL;
    CHECK_EQ(0, sf_ring_new(&ring, bytes));
    return ring;
}

/* These three wait for the lock however long it takes: here its owner is never stopped for good. */
static inline uint64_t ring_length(const struct sf_ring *ring)
{
    uint64_t length;
    while (sf_ring_length(ring, &length) == -EBUSY)
        ;
    return length;
}

static inline int reserve(struct sf_ring *ring, uint64_t bytes, struct sf_ring_slot *slot)
{
    int error;
    while ((error = sf_ring_reserve(ring, bytes, slot)) == -EBUSY)
        ;
    return error;
}

static inline int claim(struct sf_ring *ring, struct sf_ring_slot *slot)
{
    int error;
    while ((error = sf_ring_claim(ring, slot)) == -EBUSY)
        ;
    return error;
}

enum { LABEL = 8 };

static inline struct sf_ring *new_counting_ring(uint64_t bytes)
{
    struct sf_ring *ring = NULL;
    CHECK_EQ(0, sf_ring_new_counting(&ring, bytes, LABEL));
    return ring;
}

/* A message of 12 bytes or more begins with its sender and its number, and goes on with a pattern made from them. A
 * shorter one is only a pattern made from its length. */
static inline uint8_t pattern(uint64_t key, uint64_t i)
{
    return (uint8_t)((key + i) * 167 + (i >> 8) * 59 + 13);
}

enum { MESSAGE_HEAD = 12 };

static inline void put_message(struct sf_ring *ring, const struct sf_ring_slot *slot, uint32_t sender, uint64_t number)
{
    if (slot->bytes < MESSAGE_HEAD) {
        for (uint64_t i = 0; i < slot->bytes; i++) {
            uint8_t byte = pattern(slot->bytes, i);
            sf_ring_put(ring, slot, i, &byte, 1);
        }
        return;
    }
    sf_ring_put(ring, slot, 0, &sender, 4);
    sf_ring_put(ring, slot, 4, &number, 8);
    uint8_t chunk[512];
    for (uint64_t at = MESSAGE_HEAD; at < slot->bytes;) {
        uint64_t n = slot->bytes - at < sizeof chunk ? slot->bytes - at : sizeof chunk;
        for (uint64_t i = 0; i < n; i++)
            chunk[i] = pattern(number + sender * 31 + slot->bytes, at + i);
        sf_ring_put(ring, slot, at, chunk, n);
        at += n;
    }
}

/* Fails if a byte is wrong. A message that is too short to hold its number gets the number of the slot's seq. */
static inline struct message get_message(struct sf_ring *ring, const struct sf_ring_slot *slot)
{
    struct message message = {0, slot->seq - 1, slot->bytes};
    uint64_t key = slot->bytes, at = 0;
    if (slot->bytes >= MESSAGE_HEAD) {
        sf_ring_get(ring, slot, 0, &message.sender, 4);
        sf_ring_get(ring, slot, 4, &message.number, 8);
        key = message.number + message.sender * 31 + slot->bytes;
        at = MESSAGE_HEAD;
    }
    uint8_t chunk[512];
    while (at < slot->bytes) {
        uint64_t n = slot->bytes - at < sizeof chunk ? slot->bytes - at : sizeof chunk;
        sf_ring_get(ring, slot, at, chunk, n);
        for (uint64_t i = 0; i < n; i++)
            if (chunk[i] != pattern(key, at + i))
                FAIL("message %llu of sender %u is damaged at byte %llu of %llu", (unsigned long long)message.number,
                     message.sender, (unsigned long long)(at + i), (unsigned long long)slot->bytes);
        at += n;
    }
    return message;
}

/* 0, or what sf_ring_reserve said. */
static inline int send_message(struct sf_ring *ring, uint32_t sender, uint64_t number, uint64_t bytes)
{
    struct sf_ring_slot slot;
    int result = reserve(ring, bytes, &slot);
    if (result)
        return result;
    CHECK_EQ(bytes, slot.bytes);
    put_message(ring, &slot, sender, number);
    sf_ring_publish(ring, &slot);
    return 0;
}

static inline struct message receive(struct sf_ring *ring)
{
    struct sf_ring_slot slot;
    CHECK_EQ(0, claim(ring, &slot));
    struct message message = get_message(ring, &slot);
    sf_ring_release(ring, &slot);
    return message;
}

#endif
