/* A hash table with open addressing. Invariant: at least a quarter of the entries is free. */
#include "analyze/dependencies.h"

#include <assert.h>
#include <stdlib.h>

struct entry {
    int64_t a, b;
    uint32_t type, number; /* number 0: free */
};

struct dependencies {
    struct entry *entries;
    uint32_t mask, count;
};

enum { FIRST_ENTRIES = 256 };

struct dependencies *dependencies_new(void)
{
    struct dependencies *dependencies = calloc(1, sizeof *dependencies);
    if (!dependencies)
        return NULL;
    dependencies->entries = calloc(FIRST_ENTRIES, sizeof *dependencies->entries);
    dependencies->mask = FIRST_ENTRIES - 1;
    if (!dependencies->entries) {
        free(dependencies);
        return NULL;
    }
    return dependencies;
}

void dependencies_free(struct dependencies *dependencies)
{
    if (!dependencies)
        return;
    free(dependencies->entries);
    free(dependencies);
}

static uint64_t mix_bits(uint64_t x)
{
    x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return x ^ x >> 32;
}

/* The entry that holds it, or the free one where it belongs. */
static struct entry *find_entry(struct entry *entries, uint32_t mask, uint32_t type, int64_t a, int64_t b)
{
    uint32_t at = (uint32_t)mix_bits(mix_bits((uint64_t)a + type) + (uint64_t)b) & mask;
    while (entries[at].number && (entries[at].type != type || entries[at].a != a || entries[at].b != b))
        at = (at + 1) & mask;
    return &entries[at];
}

static int grow_table(struct dependencies *dependencies)
{
    uint32_t mask = dependencies->mask * 2 + 1;
    struct entry *entries = mask < UINT32_MAX / 2 ? calloc((size_t)mask + 1, sizeof *entries) : NULL;
    if (!entries)
        return -1;
    for (uint32_t i = 0; i <= dependencies->mask; i++) {
        const struct entry *old = &dependencies->entries[i];
        if (old->number)
            *find_entry(entries, mask, old->type, old->a, old->b) = *old;
    }
    free(dependencies->entries);
    dependencies->entries = entries;
    dependencies->mask = mask;
    return 0;
}

uint32_t dependencies_number(struct dependencies *dependencies, enum dependency_type type, int64_t a, int64_t b)
{
    struct entry *entry = find_entry(dependencies->entries, dependencies->mask, type, a, b);
    if (entry->number)
        return entry->number;
    if (dependencies->count >= dependencies->mask / 4 * 3) {
        if (grow_table(dependencies))
            return 0;
        entry = find_entry(dependencies->entries, dependencies->mask, type, a, b);
    }
    *entry = (struct entry){a, b, type, ++dependencies->count};
    assert(dependencies->count <= dependencies->mask / 4 * 3);
    return entry->number;
}

uint32_t dependencies_count(const struct dependencies *dependencies)
{
    return dependencies->count;
}
