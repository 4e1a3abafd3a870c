/* Fuzzing the ring: the input is a list of operations, which are done on a ring and on a model of it in this process.
 *
 * The model knows every frame in order, with its span and state. So it knows which message a claim must give, and every
 * byte of it. It also knows exactly which reservation must succeed: room is taken by the oldest frame that is not free,
 * and by all frames after it.
 *
 * A ring whose capacity counts the messages' own bytes has the same model with other numbers: what a message counts
 * instead of its span.
 *
 * Input: two bytes choose the capacity, and whether it counts. Then come operations of one byte: the low 3 bits say
 * which operation, the others which frame it is for. A reservation has two more bytes for its size. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/ring/ring.h"
#include "core/ring/ring_wait.h"

enum { FRAMES = 4096, LABEL = 8 };
enum state { WRITING, READY, READING, FREE };

static struct {
    struct sf_ring_slot slot;
    uint64_t takes; /* of the room: its span, or what it counts */
    enum state state;
} frame[FRAMES];
static struct sf_ring_slot claimed[FRAMES]; /* of those that are READING */
static bool was_given_back[FRAMES];
static bool counting;
static unsigned first, last; /* frames [first, last): from the oldest that holds room */

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static uint8_t byte_of(uint64_t seq, uint64_t i)
{
    return (uint8_t)(seq * 37 + i * 11 + (i >> 8));
}

static void fill(struct sf_ring *ring, const struct sf_ring_slot *slot)
{
    for (uint64_t i = 0, run; i < slot->bytes; i += run) {
        uint8_t *at = sf_ring_at(ring, slot, i, &run);
        REQUIRE(run > 0 && run <= slot->bytes - i);
        for (uint64_t j = 0; j < run; j++)
            at[j] = byte_of(slot->seq, i + j);
    }
}

static void check(struct sf_ring *ring, const struct sf_ring_slot *slot)
{
    uint8_t copy[64];
    for (uint64_t i = 0; i < slot->bytes; i += sizeof copy) {
        uint64_t n = slot->bytes - i < sizeof copy ? slot->bytes - i : sizeof copy;
        sf_ring_get(ring, slot, i, copy, n);
        for (uint64_t j = 0; j < n; j++)
            REQUIRE(copy[j] == byte_of(slot->seq, i + j));
    }
}

static uint64_t room_taken(void)
{
    while (first < last && frame[first].state == FREE)
        first++;
    uint64_t taken = 0;
    for (unsigned i = first; i < last; i++)
        taken += frame[i].takes;
    return taken;
}

/* Index of the which-th frame (from 0) in this state, or of the last one in it if there are fewer; `last`: none. */
static unsigned find(enum state state, unsigned which)
{
    unsigned found = last;
    for (unsigned i = first; i < last; i++)
        if (frame[i].state == state) {
            found = i;
            if (which-- == 0)
                break;
        }
    return found;
}

static void reserve(struct sf_ring *ring, uint64_t room, uint64_t bytes)
{
    uint64_t seq = last, takes = !counting       ? SF_RING_FRAME_BYTES + (bytes + 7) / 8 * 8
                                 : bytes > LABEL ? bytes - LABEL
                                                 : 1;
    struct sf_ring_slot slot;
    int wanted = takes > room ? -EMSGSIZE : room_taken() + takes > room ? -EAGAIN : 0;
    REQUIRE(sf_ring_reserve(ring, bytes, &slot) == wanted);
    if (wanted)
        return;
    REQUIRE(slot.bytes == bytes && slot.seq == seq + 1);
    frame[last].slot = slot;
    frame[last].takes = takes;
    frame[last].state = WRITING;
    was_given_back[last] = false;
    last++;
    fill(ring, &slot);
}

static void claim(struct sf_ring *ring)
{
    struct sf_ring_slot slot;
    unsigned i = find(READY, 0);
    int result = sf_ring_claim(ring, &slot);
    REQUIRE(result == (i < last ? 0 : -EAGAIN));
    if (result)
        return;
    REQUIRE(slot.seq == (was_given_back[i] ? 0 : frame[i].slot.seq) && slot.bytes == frame[i].slot.bytes);
    check(ring, &frame[i].slot);
    claimed[i] = slot;
    frame[i].state = READING;
}

static void finish(struct sf_ring *ring, enum state from, unsigned which)
{
    unsigned i = find(from, which);
    if (i == last)
        return;
    check(ring, &frame[i].slot); /* nothing else has touched it since */
    if (from == READING)
        sf_ring_release(ring, &frame[i].slot);
    else
        sf_ring_abandon(ring, &frame[i].slot);
    frame[i].state = FREE;
}

static void give_back(struct sf_ring *ring, unsigned which)
{
    unsigned i = find(READING, which);
    if (i == last)
        return;
    check(ring, &frame[i].slot);
    sf_ring_give_back(ring, &claimed[i]);
    was_given_back[i] = true;
    frame[i].state = READY;
}

static void publish(struct sf_ring *ring, unsigned which)
{
    unsigned i = find(WRITING, which);
    if (i == last)
        return;
    check(ring, &frame[i].slot);
    sf_ring_publish(ring, &frame[i].slot);
    frame[i].state = READY;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    uint64_t capacity = SF_RING_MIN_BYTES + (uint64_t)(data[0] | data[1] << 8) * (data[1] & 1 ? 1 : 5);
    struct sf_ring *ring;
    counting = data[1] & 0x80;
    if (counting)
        capacity = 1 + capacity % (data[0] & 1 ? 65536 : 256);
    REQUIRE((counting ? sf_ring_new_counting(&ring, capacity, LABEL) : sf_ring_new(&ring, capacity)) == 0);
    first = last = 0;
    for (size_t at = 2; at < size && last < FRAMES - 1; at++) {
        unsigned which = data[at] >> 3;
        switch (data[at] & 7) {
        case 0:
        case 1:
            if (at + 2 >= size)
                break;
            /* small ones, and large ones that make the layout grow */
            reserve(ring, counting ? capacity : capacity / 8 * 8,
                    (uint64_t)(data[at + 1] | data[at + 2] << 8) * (data[at] & 1 ? 1 + which / 8 : 1) >> (which & 7));
            at += 2;
            break;
        case 2:
        case 3:
            publish(ring, which);
            break;
        case 4:
            claim(ring);
            break;
        case 5:
            which & 16 ? give_back(ring, which & 15) : finish(ring, READING, which);
            break;
        case 6:
            finish(ring, WRITING, which);
            break;
        case 7:
            REQUIRE(sf_ring_wait_message(ring, 0) == (find(READY, 0) < last ? 0 : -EPIPE));
            break;
        }
    }
    uint64_t ready = 0;
    for (unsigned i = first; i < last; i++)
        ready += frame[i].state == READY;
    uint64_t length;
    REQUIRE(sf_ring_length(ring, &length) == 0 && length == ready);
    sf_ring_free(ring);
    return 0;
}
