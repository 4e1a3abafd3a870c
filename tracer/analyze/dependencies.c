/* A hash table with open addressing. Invariant: at least a quarter of the slots is free. */
#include "signals.h"

#include <stdlib.h>

struct slot {
    int64_t a, b;
    uint32_t type, number; /* number 0: free */
};

struct signals {
    struct slot *slots;
    uint32_t mask, count;
};

enum { FIRST_SLOTS = 256 };

struct signals *signals_new(void)
{
    struct signals *signals = calloc(1, sizeof *signals);
    if (!signals)
        return NULL;
    signals->slots = calloc(FIRST_SLOTS, sizeof *signals->slots);
    signals->mask = FIRST_SLOTS - 1;
    if (!signals->slots) {
        free(signals);
        return NULL;
    }
    return signals;
}

void signals_free(struct signals *signals)
{
    if (!signals)
        return;
    free(signals->slots);
    free(signals);
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return x ^ x >> 32;
}

/* The slot that holds it, or the free one where it belongs. */
static struct slot *look(struct slot *slots, uint32_t mask, uint32_t type, int64_t a, int64_t b)
{
    uint32_t at = (uint32_t)mix(mix((uint64_t)a + type) + (uint64_t)b) & mask;
    while (slots[at].number && (slots[at].type != type || slots[at].a != a || slots[at].b != b))
        at = (at + 1) & mask;
    return &slots[at];
}

static int grow(struct signals *signals)
{
    uint32_t mask = signals->mask * 2 + 1;
    struct slot *slots = mask < UINT32_MAX / 2 ? calloc((size_t)mask + 1, sizeof *slots) : NULL;
    if (!slots)
        return -1;
    for (uint32_t i = 0; i <= signals->mask; i++) {
        const struct slot *old = &signals->slots[i];
        if (old->number)
            *look(slots, mask, old->type, old->a, old->b) = *old;
    }
    free(signals->slots);
    signals->slots = slots;
    signals->mask = mask;
    return 0;
}

uint32_t signals_number(struct signals *signals, enum signal_type type, int64_t a, int64_t b)
{
    struct slot *slot = look(signals->slots, signals->mask, type, a, b);
    if (slot->number)
        return slot->number;
    if (signals->count >= signals->mask / 4 * 3) {
        if (grow(signals))
            return 0;
        slot = look(signals->slots, signals->mask, type, a, b);
    }
    *slot = (struct slot){a, b, type, ++signals->count};
    return slot->number;
}

uint32_t signals_count(const struct signals *signals)
{
    return signals->count;
}
