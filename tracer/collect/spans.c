/* Stacks of open spans. Invariants: depth <= room <= DEPTH_MAX in every lane; all lanes together hold at most
 * ENTRIES_MAX entries, so that a hostile log cannot eat the collector's memory. */
#include "collect/spans.h"

#include <stdlib.h>

#include "abi/log_format.h"

enum { DEPTH_MAX = 4096, ENTRIES_MAX = 1 << 18 };

struct entry {
    int64_t object, event;
    unsigned kind;
};

struct lane {
    struct entry *entries;
    unsigned depth, room;
};

struct spans {
    struct lane *lanes;
    unsigned count, entries; /* lanes there are; entries that all have room for */
    uint64_t unmatched;
};

struct spans *spans_new(void)
{
    return calloc(1, sizeof(struct spans));
}

void spans_free(struct spans *spans)
{
    if (!spans)
        return;
    for (unsigned i = 0; i < spans->count; i++)
        free(spans->lanes[i].entries);
    free(spans->lanes);
    free(spans);
}

static struct lane *lane_at(struct spans *spans, unsigned lane)
{
    if (lane > SF_LANE_MAX)
        return NULL;
    if (lane >= spans->count) {
        unsigned count = spans->count ? spans->count : 1;
        while (count <= lane)
            count *= 2;
        struct lane *lanes = realloc(spans->lanes, count * sizeof *lanes);
        if (!lanes)
            return NULL;
        for (unsigned i = spans->count; i < count; i++)
            lanes[i] = (struct lane){0};
        spans->lanes = lanes;
        spans->count = count;
    }
    return &spans->lanes[lane];
}

void spans_begin(struct spans *spans, unsigned lane, unsigned kind, int64_t object, int64_t event)
{
    struct lane *l = lane_at(spans, lane);
    if (!l)
        return;
    if (l->depth == l->room) {
        unsigned more = l->room ? l->room : 8;
        if (l->room + more > DEPTH_MAX || spans->entries + more > ENTRIES_MAX)
            return;
        struct entry *entries = realloc(l->entries, (l->room + more) * sizeof *entries);
        if (!entries)
            return;
        l->entries = entries;
        l->room += more;
        spans->entries += more;
    }
    l->entries[l->depth++] = (struct entry){object, event, kind};
}

int64_t spans_end(struct spans *spans, unsigned lane, unsigned kind, int64_t object)
{
    struct lane *l = lane < spans->count ? &spans->lanes[lane] : NULL;
    for (unsigned i = l ? l->depth : 0; i-- > 0;)
        if (l->entries[i].kind == kind && l->entries[i].object == object) {
            spans->unmatched += l->depth - 1 - i;
            l->depth = i;
            return l->entries[i].event;
        }
    spans->unmatched++;
    return 0;
}

void spans_clear(struct spans *spans)
{
    for (unsigned i = 0; i < spans->count; i++)
        spans->lanes[i].depth = 0;
}

uint64_t spans_unmatched(const struct spans *spans)
{
    return spans->unmatched;
}

void spans_open(const struct spans *spans, void (*each)(void *arg, int64_t event), void *arg)
{
    for (unsigned i = 0; i < spans->count; i++)
        for (unsigned j = 0; j < spans->lanes[i].depth; j++)
            each(arg, spans->lanes[i].entries[j].event);
}
