/* A hash table with open addressing. Invariant: at least a quarter of the slots is free. */
#include "analyze/dependencies.h"

#include <stdlib.h>

struct slot {
    int64_t a, b;
    uint32_t type, number; /* number 0: free */
};

struct dependencies {
    struct slot *slots;
    uint32_t mask, count;
};

enum { FIRST_SLOTS = 256 };

struct dependencies *dependencies_new(void)
{
    struct dependencies *dependencies = calloc(1, sizeof *dependencies);
    if (!dependencies)
        return NULL;
    dependencies->slots = calloc(FIRST_SLOTS, sizeof *dependencies->slots);
    dependencies->mask = FIRST_SLOTS - 1;
    if (!dependencies->slots) {
        free(dependencies);
        return NULL;
    }
    return dependencies;
}

void dependencies_free(struct dependencies *dependencies)
{
    if (!dependencies)
        return;
    free(dependencies->slots);
    free(dependencies);
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

static int grow(struct dependencies *dependencies)
{
    uint32_t mask = dependencies->mask * 2 + 1;
    struct slot *slots = mask < UINT32_MAX / 2 ? calloc((size_t)mask + 1, sizeof *slots) : NULL;
    if (!slots)
        return -1;
    for (uint32_t i = 0; i <= dependencies->mask; i++) {
        const struct slot *old = &dependencies->slots[i];
        if (old->number)
            *look(slots, mask, old->type, old->a, old->b) = *old;
    }
    free(dependencies->slots);
    dependencies->slots = slots;
    dependencies->mask = mask;
    return 0;
}

uint32_t dependencies_number(struct dependencies *dependencies, enum dependency_type type, int64_t a, int64_t b)
{
    struct slot *slot = look(dependencies->slots, dependencies->mask, type, a, b);
    if (slot->number)
        return slot->number;
    if (dependencies->count >= dependencies->mask / 4 * 3) {
        if (grow(dependencies))
            return 0;
        slot = look(dependencies->slots, dependencies->mask, type, a, b);
    }
    *slot = (struct slot){a, b, type, ++dependencies->count};
    return slot->number;
}

uint32_t dependencies_count(const struct dependencies *dependencies)
{
    return dependencies->count;
}
