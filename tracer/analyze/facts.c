/* Counts events and sums stretches, in the one pass that activity_walk makes. */
#include "analyze/facts.h"

#include <errno.h>
#include <stdlib.h>

#include "abi/log_format.h"
#include "analyze/activity.h"
#include "base/array.h"

/* Of a process, up to where the pass has come. */
struct progress {
    int64_t chunk_from_ns, chunk; /* the chunk that it is in */
    int64_t wait_from_ns, reason, channel;
    int64_t worked_ns;
    bool in_chunk, in_wait, has_pickled;
};

struct pass {
    struct facts *facts;
    struct progress *progress; /* of each process */
};

static void on_stretch(void *arg, const struct stretch *s)
{
    struct pass *pass = arg;
    struct progress *progress = &pass->progress[s->process];
    int64_t own_ns = s->to_ns - s->from_ns - s->fault_ns - s->tracing_ns;
    if (category_is_on_cpu(s->category))
        progress->worked_ns += s->to_ns - s->from_ns;
    if (!progress->in_chunk)
        return;
    if (s->category != CATEGORY_RUNNING)
        return;
    pass->facts->chunk_running_ns += own_ns;
    pass->facts->chunk_work_ns += progress->has_pickled ? 0 : own_ns;
}

/* The channel's waits, which are kept sorted. NULL: no memory. */
static struct channel_waits *waits_of(struct facts *facts, int64_t channel)
{
    size_t low = 0, high = facts->wait_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (facts->waits[middle].channel < channel)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < facts->wait_count && facts->waits[low].channel == channel)
        return &facts->waits[low];
    struct channel_waits *grown = array_grow(facts->waits, facts->wait_count, &facts->wait_room, sizeof *grown);
    if (!grown) {
        facts->failed = true;
        return NULL;
    }
    facts->waits = grown;
    for (size_t i = facts->wait_count++; i > low; i--)
        grown[i] = grown[i - 1];
    grown[low] = (struct channel_waits){.channel = channel};
    return &grown[low];
}

static void on_wait(struct facts *facts, struct progress *progress, const struct activity_event *e)
{
    if (e->phase == SF_PHASE_BEGIN) {
        progress->in_wait = true;
        progress->wait_from_ns = e->ns;
        progress->reason = e->a;
        progress->channel = e->b;
        return;
    }
    if (!progress->in_wait)
        return;
    progress->in_wait = false;
    bool for_room = progress->reason == SF_WAIT_ROOM;
    if (!progress->channel || (!for_room && progress->reason != SF_WAIT_MESSAGE))
        return;
    struct channel_waits *waits = waits_of(facts, progress->channel);
    if (waits)
        *(for_room ? &waits->room_ns : &waits->message_ns) += e->ns - progress->wait_from_ns;
}

/* `more` is from a log, which may hold anything. */
static void add(int64_t *sum, int64_t more)
{
    if (more > 0 && __builtin_add_overflow(*sum, more, sum))
        *sum = INT64_MAX;
}

static void on_chunk(struct facts *facts, struct progress *progress, const struct activity_event *e)
{
    if (e->phase == SF_PHASE_BEGIN) {
        progress->in_chunk = true;
        progress->has_pickled = false;
        progress->chunk_from_ns = e->ns;
        return;
    }
    if (!progress->in_chunk)
        return;
    progress->in_chunk = false;
    facts->chunks++;
    add(&facts->arguments, e->b);
    if (e->ns - progress->chunk_from_ns > facts->longest_chunk_ns) {
        facts->longest_chunk_ns = e->ns - progress->chunk_from_ns;
        facts->longest_chunk = e->a;
        facts->longest_arguments = e->b;
        facts->longest_worker = e->process;
    }
}

static void on_event(void *arg, const struct activity_event *e)
{
    struct pass *pass = arg;
    struct facts *facts = pass->facts;
    struct progress *progress = &pass->progress[e->process];
    switch (e->kind) {
    case SF_EVENT_CHUNK:
        if (e->first_thread)
            on_chunk(facts, progress, e);
        break;
    case SF_EVENT_WAIT:
        if (e->first_thread)
            on_wait(facts, progress, e);
        break;
    case SF_EVENT_FORK:
        if (e->phase == SF_PHASE_BEGIN && facts->forker == PROCESS_NONE) {
            facts->forker = e->process;
            facts->before_forks_ns = progress->worked_ns;
        }
        facts->forks += e->phase == SF_PHASE_END && e->a > 0;
        break;
    case SF_EVENT_MAP:
        facts->maps += e->phase == SF_PHASE_BEGIN;
        facts->maps_with_chunksize += e->phase == SF_PHASE_BEGIN && e->a > 0;
        break;
    case SF_EVENT_SEND:
        if (e->phase == SF_PHASE_END && e->b > 0) {
            facts->messages++;
            add(&facts->message_bytes, e->b);
        }
        break;
    case SF_EVENT_PICKLED:
        progress->has_pickled |= e->first_thread;
        if (e->inside == SF_EVENT_CHUNK || e->inside == SF_EVENT_RESULT || e->inside == SF_EVENT_ITEM)
            add(&facts->result_bytes, e->a);
        break;
    default:
        break;
    }
}

int facts_init(struct facts *facts, sqlite3 *db, const struct processes *processes)
{
    *facts = (struct facts){.forker = PROCESS_NONE, .longest_worker = PROCESS_NONE};
    struct pass pass = {facts, calloc((size_t)processes->count + 1, sizeof *pass.progress)};
    struct activity_visitor visitor = {.arg = &pass, .stretch = on_stretch, .event = on_event};
    int error = pass.progress ? activity_walk(db, processes, &visitor) : -ENOMEM;
    free(pass.progress);
    return error ? error : facts->failed ? -ENOMEM : 0;
}

void facts_fini(struct facts *facts)
{
    free(facts->waits);
    *facts = (struct facts){0};
}
