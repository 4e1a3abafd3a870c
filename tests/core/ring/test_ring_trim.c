/* A drained ring gives its memory back, and a stream keeps its pages. */
#include "core/ring/ring_trim.h"

#include <stdatomic.h>

#include "core/os/shm.h"
#include "core/ring/ring_internal.h"
#include "core/ring/ring_messages.h"
#include "harness.h"

enum { MIB = 1 << 20 };

/* Bytes of the ring's frames that have pages. */
static uint64_t resident_bytes(struct sf_ring *ring)
{
    struct sf_ring_slot slot = {.place = 0, .bytes = 8};
    uint64_t run, pages = 0, all = sf_ring_capacity(ring) / SF_SHM_PAGE_BYTES;
    uintptr_t start = (uintptr_t)sf_ring_at(ring, &slot, 0, &run) & ~(uintptr_t)(SF_SHM_PAGE_BYTES - 1);
    unsigned char *resident = malloc(all);
    CHECK(resident && mincore((void *)start, all * SF_SHM_PAGE_BYTES, resident) == 0);
    for (uint64_t i = 0; i < all; i++)
        pages += resident[i] & 1;
    free(resident);
    return pages * SF_SHM_PAGE_BYTES;
}

/* Quickly: only the first bytes of each page are written and read. */
static void send_marked(struct sf_ring *ring, uint64_t mark, uint64_t bytes)
{
    struct sf_ring_slot slot;
    CHECK_EQ(0, reserve(ring, bytes, &slot));
    for (uint64_t at = 0; at + 8 <= bytes; at += SF_SHM_PAGE_BYTES)
        sf_ring_put(ring, &slot, at, &mark, 8);
    sf_ring_publish(ring, &slot);
}

static void receive_marked(struct sf_ring *ring, uint64_t wanted)
{
    struct sf_ring_slot slot;
    uint64_t mark;
    CHECK_EQ(0, claim(ring, &slot));
    for (uint64_t at = 0; at + 8 <= slot.bytes; at += SF_SHM_PAGE_BYTES) {
        sf_ring_get(ring, &slot, at, &mark, 8);
        CHECK_EQ(wanted, mark);
    }
    sf_ring_release(ring, &slot);
}

static void fill(struct sf_ring *ring, uint64_t messages)
{
    for (uint64_t n = 0; n < messages; n++)
        send_marked(ring, n, MIB);
}

static void drain(struct sf_ring *ring, uint64_t from, uint64_t to)
{
    for (uint64_t n = from; n < to; n++)
        receive_marked(ring, n);
}

/* The time from which on memory is given back: from now on, or never. Its real length is that of another test. */
static void make_due(struct sf_ring *ring, bool due)
{
    CHECK(atomic_exchange(&ring->shared->trim_at_ns, due ? 1 : INT64_MAX) != 0); /* it had grown */
}

TEST(the_receive_that_drains_a_ring_gives_back_all_but_the_warm_part)
{
    struct sf_ring *ring = new_ring(128 * MIB);
    for (int round = 0; round < 2; round++) {
        fill(ring, 60);
        CHECK(resident_bytes(ring) > 59 * MIB);
        make_due(ring, true);
        drain(ring, 0, 59);
        CHECK(resident_bytes(ring) > 59 * MIB);
        receive_marked(ring, 59);
        CHECK(resident_bytes(ring) <= SF_RING_WARM_BYTES);
        CHECK(resident_bytes(ring) > SF_RING_WARM_BYTES / 2);
    }
}

TEST(a_claim_that_finds_nothing_does_it_later)
{
    struct sf_ring *ring = new_ring(128 * MIB);
    struct sf_ring_slot slot;
    send_marked(ring, 1, 60 * MIB);
    make_due(ring, false);
    receive_marked(ring, 1);
    CHECK_EQ(-EAGAIN, claim(ring, &slot));
    make_due(ring, true);
    CHECK(resident_bytes(ring) > 59 * MIB);
    CHECK_EQ(-EAGAIN, claim(ring, &slot));
    CHECK(resident_bytes(ring) <= SF_RING_WARM_BYTES);
}

TEST(a_stream_of_large_messages_keeps_its_pages_for_a_while)
{
    struct sf_ring *ring = new_ring(256 * MIB);
    struct sf_ring_slot slot;
    double start = now_s(), least = (double)(60 * MIB - SF_RING_WARM_BYTES) * SF_RING_TRIM_NS_PER_BYTE / 1e9;
    for (int n = 0;; n++) { /* reserved and claimed only: fast, and its pages are touched once */
        CHECK_EQ(0, reserve(ring, 60 * MIB, &slot));
        if (n == 0)
            put_message(ring, &slot, 0, 0);
        sf_ring_publish(ring, &slot);
        CHECK_EQ(0, claim(ring, &slot));
        sf_ring_release(ring, &slot);
        if (resident_bytes(ring) < 50 * MIB)
            break;
        CHECK(now_s() - start < least + 10);
    }
    CHECK(now_s() - start > least);
}

TEST(a_ring_that_stays_warm_is_left_alone)
{
    struct sf_ring *ring = new_ring(128 * MIB);
    for (int round = 0; round < 3; round++) {
        fill(ring, 7);
        drain(ring, 0, 7);
        usleep(300000);
    }
    CHECK(resident_bytes(ring) >= 7 * MIB);
}

TEST(a_message_in_flight_keeps_everything)
{
    struct sf_ring *ring = new_ring(128 * MIB);
    struct sf_ring_slot slot, nothing;
    fill(ring, 59);
    CHECK_EQ(0, reserve(ring, MIB, &slot)); /* by another thread, perhaps */
    make_due(ring, true);
    drain(ring, 0, 59);
    CHECK_EQ(-EAGAIN, claim(ring, &nothing));
    CHECK(resident_bytes(ring) > 58 * MIB);
    sf_ring_publish(ring, &slot);
    CHECK_EQ(0, sf_ring_claim(ring, &slot));
    sf_ring_release(ring, &slot);
    CHECK(resident_bytes(ring) <= SF_RING_WARM_BYTES);
}

TEST(what_went_round_and_was_spliced_is_given_back)
{
    struct sf_ring *ring = new_ring(100 * MIB);
    fill(ring, 20);
    drain(ring, 0, 15);
    fill(ring, 80);
    make_due(ring, true);
    drain(ring, 15, 20);
    drain(ring, 0, 80);
    CHECK(resident_bytes(ring) <= SF_RING_WARM_BYTES);
}

TEST(a_ring_drained_at_the_end_of_its_layout_gives_back_each_time)
{
    struct sf_ring *ring = new_ring(128 * MIB);
    for (int round = 0; round < 3; round++) {
        for (uint64_t n = 0; n < 4; n++) /* frames of 16 MiB: the last one ends where the layout does */
            send_marked(ring, n, 16 * MIB - SF_RING_FRAME_BYTES);
        make_due(ring, true);
        drain(ring, 0, 4);
        CHECK(resident_bytes(ring) <= SF_RING_WARM_BYTES);
    }
}

/* Senders and receivers of several processes, while the ring is drained and its memory given back again and again. */
TEST(nothing_is_lost_or_damaged_while_memory_is_given_back)
{
    enum { EACH = 60, SENDERS = 2 };
    struct sf_ring *ring = new_ring(64 * MIB);
    double end = now_s() + 3;
    int turns = 0;
    for (int sender = 0; sender < SENDERS; sender++)
        if (fork() == 0) {
            for (uint64_t n = 0; now_s() < end; n++) {
                while (send_message(ring, (uint32_t)sender + 1, n, 4 * MIB + n % 1000) == -EAGAIN)
                    sf_ring_wait_room(ring, 5 * MIB, 20 * MS);
                if (n % 7 == 6)
                    usleep(20000);
            }
            _exit(0);
        }
    uint64_t next[SENDERS + 1] = {0};
    for (;;) {
        struct sf_ring_slot slot;
        if (claim(ring, &slot) == 0) {
            struct message message = get_message(ring, &slot);
            CHECK_EQ(next[message.sender]++, message.number);
            sf_ring_release(ring, &slot);
            turns++;
        } else if (sf_ring_wait_message(ring, 20 * MS) == -EPIPE) {
            break;
        }
    }
    for (int sender = 0, status; sender < SENDERS; sender++)
        CHECK(wait(&status) > 0 && status == 0);
    CHECK(turns > 0);
}

TEST(a_process_killed_while_it_gives_memory_back_does_no_harm)
{
    struct sf_ring *ring = new_ring(128 * MIB);
    for (uint64_t round = 0; round < 4; round++) {
        send_marked(ring, round, 100 * MIB);
        pid_t pid = fork();
        if (pid == 0) {
            receive_marked(ring, round);
            struct sf_ring_slot slot;
            for (;;) /* gives the memory back as soon as that is due */
                claim(ring, &slot);
        }
        struct sf_ring_slot slot;
        while (ring_length(ring) || sf_ring_wait_room(ring, 125 * MIB, 1 * MS)) /* until the child has received */
            ;
        atomic_store(&ring->shared->trim_at_ns, 1);
        usleep((useconds_t)random_below(15000)); /* it takes some ms */
        kill(pid, SIGKILL);
        await_zombie(pid);
        CHECK_EQ(-EAGAIN, claim(ring, &slot));
        CHECK(resident_bytes(ring) <= SF_RING_WARM_BYTES); /* by it or by us */
        send_marked(ring, round, 100 * MIB);
        receive_marked(ring, round);
    }
}

TEST_MAIN()
