#include "core/result/stream.h"

#include <errno.h>

#include "core/os/liveness.h"
#include "core/ring/ring_wait.h"
#include "harness.h"

static struct sf_ring *ring_of(uint64_t bytes)
{
    struct sf_ring *ring;
    CHECK_EQ(0, sf_ring_new(&ring, bytes));
    return ring;
}

/* Byte i of message n: a piece in a wrong place has wrong bytes. */
static char byte_of(uint64_t n, uint64_t i)
{
    return (char)(i * 31 + n * 7 + (i >> 11));
}

static void send_all(struct sf_ring *ring, uint32_t source, uint64_t number, uint64_t bytes)
{
    char *data = malloc(bytes + 1);
    for (uint64_t i = 0; i < bytes; i++)
        data[i] = byte_of(number, i);
    struct iovec parts[] = {{data, bytes / 3}, {data, 0}, {data + bytes / 3, bytes - bytes / 3}};
    struct sf_stream_out out = {.head = {source, 5, number, bytes, 0}, .parts = parts, .count = 3};
    while (sf_stream_push(ring, &out) == -EAGAIN)
        sf_ring_wait_room(ring, sizeof out.head + SF_STREAM_PIECE_BYTES, SF_LIVENESS_PERIOD_NS);
    free(data);
}

TEST(a_message_larger_than_the_ring_arrives_whole)
{
    struct sf_ring *ring = ring_of(SF_STREAM_RING_BYTES);
    uint64_t bytes = 10 * SF_STREAM_RING_BYTES + 12345;
    pid_t child = fork();
    if (child == 0) {
        send_all(ring, 0, 1, bytes);
        _exit(0);
    }
    char *message = malloc(bytes);
    for (uint64_t have = 0, piece; have < bytes;) {
        struct sf_stream_head head;
        struct sf_ring_slot slot;
        int got = sf_stream_pull(ring, &head, &slot, &piece);
        if (got == -EAGAIN) {
            sf_ring_wait_message(ring, SF_LIVENESS_PERIOD_NS);
            continue;
        }
        CHECK_EQ(0, got);
        CHECK_EQ(bytes, head.total);
        CHECK_EQ(have, head.offset);
        sf_stream_copy(ring, &slot, 0, message + head.offset, piece);
        sf_ring_release(ring, &slot);
        have += piece;
    }
    for (uint64_t i = 0; i < bytes; i++)
        if (message[i] != byte_of(1, i))
            FAIL("byte %llu is wrong", (unsigned long long)i);
    free(message);
}

TEST(pieces_of_several_sources_are_distinguished)
{
    enum { SOURCES = 4, BYTES = 3 * SF_STREAM_PIECE_BYTES + 17 };
    struct sf_ring *ring = ring_of(SF_STREAM_RING_BYTES);
    for (uint32_t source = 0; source < SOURCES; source++)
        if (fork() == 0) {
            send_all(ring, source, source + 10, BYTES);
            _exit(0);
        }
    char *message[SOURCES];
    uint64_t have[SOURCES] = {0}, piece;
    for (int i = 0; i < SOURCES; i++)
        message[i] = malloc(BYTES);
    for (int whole = 0; whole < SOURCES;) {
        struct sf_stream_head head;
        struct sf_ring_slot slot;
        if (sf_stream_pull(ring, &head, &slot, &piece) == -EAGAIN) {
            sf_ring_wait_message(ring, SF_LIVENESS_PERIOD_NS);
            continue;
        }
        CHECK(head.source < SOURCES);
        CHECK_EQ(head.source + 10, head.number);
        sf_stream_copy(ring, &slot, 0, message[head.source] + head.offset, piece);
        sf_ring_release(ring, &slot);
        have[head.source] += piece;
        whole += have[head.source] == BYTES;
    }
    for (uint64_t s = 0; s < SOURCES; s++) {
        for (uint64_t i = 0; i < BYTES; i++)
            if (message[s][i] != byte_of(s + 10, i))
                FAIL("source %d, byte %llu is wrong", (int)s, (unsigned long long)i);
        free(message[s]);
    }
}

TEST(an_empty_message_is_one_piece)
{
    struct sf_ring *ring = ring_of(4096);
    struct sf_stream_head head;
    struct sf_ring_slot slot;
    uint64_t piece = 99;
    send_all(ring, 2, 3, 0);
    CHECK_EQ(0, sf_stream_pull(ring, &head, &slot, &piece));
    CHECK_EQ(0, piece);
    CHECK_EQ(0, head.total);
    CHECK_EQ(5, head.tag);
    sf_ring_release(ring, &slot);
    CHECK_EQ(-EAGAIN, sf_stream_pull(ring, &head, &slot, &piece));
}

TEST(a_message_that_is_not_a_piece_is_refused_and_released)
{
    struct sf_ring *ring = ring_of(4096);
    struct sf_stream_head lie = {0, 1, 1, 10, 8};
    struct sf_ring_slot slot;
    uint64_t piece;
    CHECK_EQ(0, sf_ring_reserve(ring, 3, &slot)); /* shorter than a head */
    sf_ring_publish(ring, &slot);
    CHECK_EQ(0, sf_ring_reserve(ring, sizeof lie + 5, &slot)); /* 8 + 5 > 10 */
    sf_ring_put(ring, &slot, 0, &lie, sizeof lie);
    sf_ring_publish(ring, &slot);
    CHECK_EQ(-EBADMSG, sf_stream_pull(ring, &lie, &slot, &piece));
    CHECK_EQ(-EBADMSG, sf_stream_pull(ring, &lie, &slot, &piece));
    CHECK_EQ(-EAGAIN, sf_stream_pull(ring, &lie, &slot, &piece));
}

TEST_MAIN()
