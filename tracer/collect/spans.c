/* See spans.h. A hash table: each bucket is a chain of entries, the last begun first, so that spans of the same key
 * (recursion) end in the reverse order.
 *
 * Invariants: count <= room <= ENTRIES_MAX: a log with any content cannot make the collector use much memory. The hash
 * depends on a number that no writer knows, and a look-up follows at most STEPS_MAX entries, so that it cannot make it
 * slow either. Entries that are not in a chain are in the list `unused`. Indices are 1 + the place; 0 ends a chain. */
#include "collect/spans.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum { ENTRIES_MAX = 1 << 18, ENTRIES_FIRST = 64, STEPS_MAX = 4096 };

struct entry {
    struct span_key key;
    int64_t event;
    uint32_t next;
};

struct spans {
    struct entry *entries;
    uint32_t *buckets; /* room of them, a power of two */
    uint32_t count, room, unused;
    uint64_t seed, unmatched;
};

struct spans *spans_new(void)
{
    struct spans *spans = calloc(1, sizeof(struct spans));
    if (spans)
        spans->seed = clock_tsc() ^ (uint64_t)(uintptr_t)spans;
    return spans;
}

void spans_free(struct spans *spans)
{
    if (!spans)
        return;
    free(spans->entries);
    free(spans->buckets);
    free(spans);
}

static uint64_t mix(uint64_t x) /* the finalizer of MurmurHash3 */
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccd;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53;
    return x ^ x >> 33;
}

static uint32_t *bucket_of(const struct spans *spans, const struct span_key *key)
{
    uint64_t hash = mix(spans->seed ^ key->number);
    hash = mix(hash ^ key->thread);
    hash = mix(hash ^ (uint64_t)key->object ^ (uint64_t)key->kind << 48);
    return &spans->buckets[hash & (spans->room - 1)];
}

static void chain(struct spans *spans, uint32_t index)
{
    uint32_t *bucket = bucket_of(spans, &spans->entries[index - 1].key);
    spans->entries[index - 1].next = *bucket;
    *bucket = index;
}

static int by_event(const void *a, const void *b)
{
    int64_t x = ((const struct entry *)a)->event, y = ((const struct entry *)b)->event;
    return (x > y) - (x < y);
}

/* Makes the table twice as large. All entries are in chains then: they come into the new ones in the order of their
 * rows, which is that of their begins. */
static bool grow(struct spans *spans)
{
    uint32_t room = spans->room ? spans->room * 2 : ENTRIES_FIRST;
    assert(spans->count == spans->room && !spans->unused);
    if (room > ENTRIES_MAX)
        return false;
    uint32_t *buckets = calloc(room, sizeof *buckets);
    struct entry *entries = buckets ? realloc(spans->entries, room * sizeof *entries) : NULL;
    if (!entries) {
        free(buckets);
        return false;
    }
    free(spans->buckets);
    spans->entries = entries;
    spans->buckets = buckets;
    spans->room = room;
    qsort(entries, spans->count, sizeof *entries, by_event);
    for (uint32_t i = 1; i <= spans->count; i++)
        chain(spans, i);
    for (uint32_t i = room; i > spans->count; i--) {
        entries[i - 1].next = spans->unused;
        spans->unused = i;
    }
    return true;
}

void spans_begin(struct spans *spans, const struct span_key *key, int64_t event)
{
    if (!spans->unused && !grow(spans))
        return;
    uint32_t index = spans->unused;
    struct entry *entry = &spans->entries[index - 1];
    spans->unused = entry->next;
    spans->count++;
    entry->key = *key;
    entry->event = event;
    chain(spans, index);
    assert(spans->count <= spans->room && spans->room <= ENTRIES_MAX);
}

static bool is_equal(const struct span_key *a, const struct span_key *b)
{
    return a->number == b->number && a->thread == b->thread && a->object == b->object && a->kind == b->kind;
}

int64_t spans_end(struct spans *spans, const struct span_key *key)
{
    uint32_t *link = spans->room ? bucket_of(spans, key) : NULL;
    for (int steps = 0; link && *link && steps < STEPS_MAX; steps++) {
        uint32_t index = *link;
        struct entry *entry = &spans->entries[index - 1];
        if (is_equal(&entry->key, key)) {
            *link = entry->next;
            entry->next = spans->unused;
            spans->unused = index;
            spans->count--;
            return entry->event;
        }
        link = &entry->next;
    }
    spans->unmatched++;
    return 0;
}

void spans_clear(struct spans *spans)
{
    if (!spans->count)
        return;
    memset(spans->buckets, 0, spans->room * sizeof *spans->buckets);
    spans->count = spans->unused = 0;
    for (uint32_t i = spans->room; i > 0; i--) {
        spans->entries[i - 1].next = spans->unused;
        spans->unused = i;
    }
}

uint64_t spans_unmatched(const struct spans *spans)
{
    return spans->unmatched;
}

void spans_each_open(const struct spans *spans, void (*each)(void *arg, int64_t event), void *arg)
{
    for (uint32_t i = 0; i < spans->room; i++)
        for (uint32_t at = spans->buckets[i]; at; at = spans->entries[at - 1].next)
            each(arg, spans->entries[at - 1].event);
}
