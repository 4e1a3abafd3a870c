/* See spans.h. Invariants: depth <= room <= DEPTH_MAX in every stack, and `room` is the sum of the stacks' rooms and at
 * most ENTRIES_MAX: a log with any content cannot make the collector use much memory. */
#include "collect/spans.h"

#include <assert.h>
#include <stdlib.h>

#include "abi/log_format.h"

enum { DEPTH_MAX = 4096, ENTRIES_MAX = 1 << 18 };

struct entry {
    int64_t object, event;
    unsigned kind;
};

/* The open spans of one lane, the outermost first. */
struct stack {
    struct entry *entries;
    unsigned depth, room;
};

struct spans {
    struct stack *stacks; /* by lane */
    unsigned count, room;
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
        free(spans->stacks[i].entries);
    free(spans->stacks);
    free(spans);
}

/* NULL: there is no such lane, or no memory. */
static struct stack *stack_of(struct spans *spans, unsigned lane)
{
    if (lane > SF_LANE_MAX)
        return NULL;
    if (lane >= spans->count) {
        unsigned count = spans->count ? spans->count : 1;
        while (count <= lane)
            count *= 2;
        struct stack *stacks = realloc(spans->stacks, count * sizeof *stacks);
        if (!stacks)
            return NULL;
        for (unsigned i = spans->count; i < count; i++)
            stacks[i] = (struct stack){0};
        spans->stacks = stacks;
        spans->count = count;
    }
    return &spans->stacks[lane];
}

void spans_begin(struct spans *spans, unsigned lane, unsigned kind, int64_t object, int64_t event)
{
    struct stack *s = stack_of(spans, lane);
    if (!s)
        return;
    if (s->depth == s->room) {
        unsigned more = s->room ? s->room : 8;
        if (s->room + more > DEPTH_MAX || spans->room + more > ENTRIES_MAX)
            return;
        struct entry *entries = realloc(s->entries, (s->room + more) * sizeof *entries);
        if (!entries)
            return;
        s->entries = entries;
        s->room += more;
        spans->room += more;
    }
    s->entries[s->depth++] = (struct entry){object, event, kind};
    assert(s->depth <= s->room && s->room <= DEPTH_MAX && s->room <= spans->room && spans->room <= ENTRIES_MAX);
}

int64_t spans_end(struct spans *spans, unsigned lane, unsigned kind, int64_t object)
{
    struct stack *s = lane < spans->count ? &spans->stacks[lane] : NULL;
    for (unsigned i = s ? s->depth : 0; i-- > 0;)
        if (s->entries[i].kind == kind && s->entries[i].object == object) {
            spans->unmatched += s->depth - 1 - i;
            s->depth = i;
            return s->entries[i].event;
        }
    spans->unmatched++;
    return 0;
}

void spans_clear(struct spans *spans)
{
    for (unsigned i = 0; i < spans->count; i++)
        spans->stacks[i].depth = 0;
}

uint64_t spans_unmatched(const struct spans *spans)
{
    return spans->unmatched;
}

void spans_each_open(const struct spans *spans, void (*each)(void *arg, int64_t event), void *arg)
{
    for (unsigned i = 0; i < spans->count; i++)
        for (unsigned j = 0; j < spans->stacks[i].depth; j++)
            each(arg, spans->stacks[i].entries[j].event);
}
