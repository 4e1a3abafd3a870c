/* Rings whose capacity counts the messages' own bytes: frames, padding and labels are beside it. */
#include <errno.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "core/ring/ring.h"
#include "core/ring/ring_messages.h"
#include "harness.h"

static uint64_t count_of(uint64_t bytes)
{
    return bytes > LABEL ? bytes - LABEL : 1;
}

TEST(one_message_may_be_as_large_as_the_capacity)
{
    static const uint64_t sizes[] = {1, 2, 7, 8, 9, 100, 1024, 65536, 100003, 3 << 20};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct sf_ring *ring = new_counting_ring(sizes[i]);
        struct sf_ring_slot slot;
        CHECK_EQ(sizes[i], sf_ring_capacity(ring));
        for (int round = 0; round < 5; round++) {
            CHECK_EQ(-EMSGSIZE, reserve(ring, LABEL + sizes[i] + 1, &slot));
            CHECK_EQ(0, send_message(ring, 1, 2, LABEL + sizes[i]));
            CHECK_EQ(-EAGAIN, reserve(ring, 0, &slot));
            CHECK_EQ(-EPIPE, sf_ring_wait_room(ring, 0, SOON_NS));
            receive(ring);
            CHECK_EQ(0, sf_ring_wait_room(ring, LABEL + sizes[i], SOON_NS));
        }
        sf_ring_free(ring);
    }
}

TEST(the_smallest_messages_fill_the_capacity_each_as_one_byte)
{
    for (uint64_t capacity = 1; capacity < 20000; capacity = capacity * 3 + 1)
        for (uint64_t bytes = 0; bytes <= LABEL + 1; bytes++) {
            struct sf_ring *ring = new_counting_ring(capacity);
            struct sf_ring_slot slot;
            for (uint64_t n = 0; n < capacity; n++)
                CHECK_EQ(0, send_message(ring, 0, n, bytes));
            CHECK_EQ(-EAGAIN, reserve(ring, bytes, &slot));
            CHECK_EQ(capacity, ring_length(ring));
            for (uint64_t n = 0; n < capacity; n++)
                receive(ring);
            CHECK_EQ(0, ring_length(ring));
            sf_ring_free(ring);
        }
}

/* A message fits exactly if it and those from the oldest that is not free on have no more than the capacity. */
TEST(what_fits_is_known_to_the_byte_after_any_history)
{
    enum { MOST = 4000 };
    static struct {
        struct sf_ring_slot slot;
        uint64_t count;
        int state; /* 0: claimed, 1: sent, -1: free */
    } message[MOST];
    for (uint64_t capacity = 1; capacity < 300000; capacity = capacity * 5 + 3) {
        struct sf_ring *ring = new_counting_ring(capacity);
        unsigned first = 0, last = 0;
        for (int step = 0; step < 6000 && last < MOST; step++) {
            struct sf_ring_slot slot;
            if (random_below(2)) {
                uint64_t bytes = random_below(random_below(4) ? 30 : capacity + 2 * LABEL), taken = 0;
                while (first < last && message[first].state < 0)
                    first++;
                for (unsigned i = first; i < last; i++)
                    taken += message[i].count;
                int wanted = count_of(bytes) > capacity ? -EMSGSIZE : taken + count_of(bytes) > capacity ? -EAGAIN : 0;
                CHECK_EQ(wanted, send_message(ring, 0, last, bytes));
                if (wanted == 0) {
                    message[last].count = count_of(bytes);
                    message[last++].state = 1;
                }
            } else if (random_below(2)) {
                unsigned i = first;
                while (i < last && message[i].state != 1)
                    i++;
                CHECK_EQ(i < last ? 0 : -EAGAIN, claim(ring, &slot));
                if (i < last) {
                    message[i].slot = slot;
                    message[i].state = 0;
                }
            } else if (first < last) { /* any claimed one: free ones gather behind those that are kept */
                unsigned i = first + (unsigned)random_below(last - first);
                if (message[i].state == 0) {
                    get_message(ring, &message[i].slot);
                    sf_ring_release(ring, &message[i].slot);
                    message[i].state = -1;
                }
            }
        }
        sf_ring_free(ring);
    }
}

TEST(senders_and_receivers_of_many_processes_never_have_more_than_the_capacity)
{
    enum { EACH = 3000 };
    struct sf_ring *ring = new_counting_ring(100);
    _Atomic int64_t *bytes = shared_memory(4096);
    for (int sender = 0; sender < 2; sender++)
        if (fork() == 0) {
            for (uint64_t n = 0; n < EACH; n++) {
                struct sf_ring_slot slot;
                uint64_t size = LABEL + 1 + n % 50;
                while (reserve(ring, size, &slot) == -EAGAIN)
                    sf_ring_wait_room(ring, size, 20 * MS);
                CHECK(atomic_fetch_add(bytes, size - LABEL) + (int64_t)(size - LABEL) <= 100);
                put_message(ring, &slot, 0, n);
                sf_ring_publish(ring, &slot);
            }
            _exit(0);
        }
    for (int n = 0; n < 2 * EACH; n++) {
        struct sf_ring_slot slot;
        while (claim(ring, &slot))
            CHECK(sf_ring_wait_message(ring, 1000 * MS) != -EPIPE || ring_length(ring));
        get_message(ring, &slot);
        atomic_fetch_sub(bytes, slot.bytes - LABEL);
        sf_ring_release(ring, &slot);
    }
    for (int sender = 0, status; sender < 2; sender++)
        CHECK(wait(&status) > 0 && status == 0);
}

TEST(absurd_capacities_and_labels_are_errors)
{
    struct sf_ring *ring = NULL;
    CHECK_EQ(-EINVAL, sf_ring_new_counting(&ring, 0, 0));
    CHECK_EQ(-EINVAL, sf_ring_new_counting(&ring, 100, SF_RING_MOST_LABEL_BYTES + 1));
    CHECK_EQ(-ENOMEM, sf_ring_new_counting(&ring, UINT64_MAX, 0));
    CHECK_EQ(-ENOMEM, sf_ring_new_counting(&ring, INT64_MAX, 0));
    CHECK_EQ(-ENOMEM, sf_ring_new_counting(&ring, UINT64_C(1) << 62, 0));
    CHECK(!ring);
}

TEST(where_the_address_space_is_short_less_is_beside)
{
    SKIP_UNDER_TSAN("needs address space itself");
#if defined(__SANITIZE_ADDRESS__)
    SKIP("the sanitizer needs address space itself");
#endif
    struct rlimit limit = {UINT64_C(3) << 29, UINT64_C(3) << 29}; /* 1.5 GiB */
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    struct sf_ring *ring = new_counting_ring(UINT64_C(1) << 30);
    CHECK_EQ(0, send_message(ring, 0, 7, 1 << 20));
    CHECK_EQ(7, receive(ring).number);
    sf_ring_free(ring);
    CHECK_EQ(-ENOMEM, sf_ring_new_counting(&ring, UINT64_C(3) << 29, 0));
}

TEST_MAIN()
