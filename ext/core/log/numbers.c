/* See numbers.h. Open addressing with linear probing.
 *
 * Invariant: used * 2 <= slots, so every search ends at a free entry. Nothing is removed but all at once. */
#include "core/log/numbers.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { SLOTS_FIRST = 256 };

static struct sf_numbers_entry *place_of(const struct sf_numbers *numbers, uint64_t a, uint64_t b)
{
    uint64_t hash = (a ^ b * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd);
    uint32_t mask = numbers->slots - 1, at = (uint32_t)(hash >> 32) & mask;
    assert((numbers->slots & mask) == 0 && numbers->used < numbers->slots);
    while (numbers->entries[at].number && (numbers->entries[at].a != a || numbers->entries[at].b != b))
        at = (at + 1) & mask;
    return &numbers->entries[at];
}

/* Makes the table twice as large. -ENOMEM. */
static int grow(struct sf_numbers *numbers)
{
    struct sf_numbers grown = {.slots = numbers->slots ? numbers->slots * 2 : SLOTS_FIRST, .used = numbers->used};
    grown.entries = calloc(grown.slots, sizeof *grown.entries);
    if (!grown.entries)
        return -ENOMEM;
    for (uint32_t i = 0; i < numbers->slots; i++) {
        const struct sf_numbers_entry *entry = &numbers->entries[i];
        if (entry->number)
            *place_of(&grown, entry->a, entry->b) = *entry;
    }
    free(numbers->entries);
    *numbers = grown;
    return 0;
}

const struct sf_numbers_entry *sf_numbers_find(const struct sf_numbers *numbers, uint64_t a, uint64_t b)
{
    const struct sf_numbers_entry *at = numbers->slots ? place_of(numbers, a, b) : NULL;
    return at && at->number ? at : NULL;
}

int sf_numbers_set(struct sf_numbers *numbers, uint64_t a, uint64_t b, uint32_t number, uint32_t era)
{
    assert(number);
    if ((numbers->used + 1) * 2 > numbers->slots && grow(numbers))
        return -ENOMEM;
    struct sf_numbers_entry *at = place_of(numbers, a, b);
    numbers->used += !at->number;
    *at = (struct sf_numbers_entry){.a = a, .b = b, .number = number, .era = era};
    return 0;
}

void sf_numbers_clear(struct sf_numbers *numbers)
{
    free(numbers->entries);
    *numbers = (struct sf_numbers){0};
}
