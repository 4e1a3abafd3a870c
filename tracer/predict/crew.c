/* A crew is told by its forks: the workers of one process that have chunks, of which each was forked while another one
 * of them was there. Whom a chunk comes from is told by a message before it (a Pool), by a SUBMIT with its number (an
 * Executor), or by nothing (imap: arguments are there before they are wanted).
 *
 * Two crews of a process at the same time cannot be told apart, unless they get their chunks from different channels.
 * Then the same number comes twice, and the workers are unclear. */
#include "predict/crew.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "abi/log_format.h"
#include "base/array.h"

struct submit {
    int process;
    int64_t number, ns;
    const struct mark *mark;
};

struct finding {
    struct crews *crews;
    struct program *program;
    const struct graph *graph;
    const uint32_t *needs;
    size_t room;
    struct submit *submits; /* sorted */
    size_t submit_count;
};

/* The program's mark number i. */
static const struct mark *mark_of(const struct finding *f, uint32_t i)
{
    return &f->graph->marks[f->program->marks[i]];
}

/* ---- forks ---- */

/* The FORKs of children outside of maps. */
static void find_forks(struct finding *f, int process)
{
    const struct program *program = f->program;
    int depth = 0, open = PROCESS_NONE;
    for (uint32_t i = program->mark_first[process]; i < program->mark_first[process + 1]; i++) {
        const struct mark *mark = mark_of(f, i);
        if (mark->kind == SF_EVENT_MAP)
            depth += mark->phase == SF_PHASE_BEGIN ? 1 : depth ? -1 : 0;
        if (mark->kind != SF_EVENT_FORK)
            continue;
        int child = processes_of_task(f->graph->processes, mark->object);
        bool is_own = child != PROCESS_NONE && child != process && f->graph->processes->rows[child].parent == process;
        if (mark->phase == SF_PHASE_BEGIN && is_own && depth) {
            f->crews->forks[child].in_map = true;
        } else if (mark->phase == SF_PHASE_BEGIN && is_own && f->crews->forks[child].begin == GRAPH_NONE) {
            f->crews->forks[child].begin = program->marks[i];
            open = child;
        } else if (mark->phase == SF_PHASE_END && open != PROCESS_NONE) {
            f->crews->forks[open].end = program->marks[i];
            open = PROCESS_NONE;
        }
    }
}

/* ---- chunks ---- */

static int by_number_and_time(const void *a, const void *b)
{
    const struct submit *x = a, *y = b;
    if (x->process != y->process)
        return x->process < y->process ? -1 : 1;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return (x->ns > y->ns) - (x->ns < y->ns);
}

static int read_submits(struct finding *f)
{
    f->submits = malloc(((size_t)f->graph->mark_count + 1) * sizeof *f->submits);
    if (!f->submits)
        return -ENOMEM;
    for (uint32_t i = 0; i < f->graph->mark_count; i++) {
        const struct mark *mark = &f->graph->marks[i];
        if (mark->kind == SF_EVENT_SUBMIT)
            f->submits[f->submit_count++] =
                (struct submit){mark->process, mark->a, program_mark_ns(f->program, i), mark};
    }
    if (f->submit_count)
        qsort(f->submits, f->submit_count, sizeof *f->submits, by_number_and_time);
    return 0;
}

/* By the process's last SUBMIT of that number until ns. */
static struct release find_submit(const struct finding *f, int process, int64_t number, int64_t ns)
{
    struct submit sought = {process, number, ns, NULL};
    size_t low = 0, high = f->submit_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (by_number_and_time(&f->submits[middle], &sought) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    const struct submit *last = low ? &f->submits[low - 1] : NULL;
    if (last && last->process == process && last->number == number)
        return (struct release){.step = last->mark->step, .by_map = last->mark->elsewhere};
    return (struct release){.step = GRAPH_NONE};
}

/* The step in which the process of the crew has sent the message that this RECEIVE took. */
static uint32_t sender_of(const struct finding *f, const struct mark *receive, int process)
{
    uint32_t step = receive->step;
    for (int level = 0; level < 4 && step != GRAPH_NONE; level++, step = f->graph->steps[step].before) {
        uint32_t provider = f->graph->steps[step].required == receive->dependency ? f->needs[step] : GRAPH_NONE;
        if (provider != GRAPH_NONE)
            return f->graph->steps[provider].process == process ? provider : GRAPH_NONE;
    }
    return GRAPH_NONE;
}

/* What releases each chunk of the worker; and the channel that it has its chunks from, or 0. */
static int64_t find_releases(struct finding *f, int worker)
{
    int parent = f->graph->processes->rows[worker].parent;
    uint32_t sent = GRAPH_NONE;
    int64_t channel = 0, last = 0;
    for (uint32_t i = f->program->mark_first[worker]; i < f->program->mark_first[worker + 1]; i++) {
        const struct mark *mark = mark_of(f, i);
        uint32_t at = f->program->marks[i];
        if (mark->kind == SF_EVENT_RECEIVE) {
            sent = sender_of(f, mark, parent);
            last = mark->object;
        } else if (mark->kind == SF_EVENT_CHUNK && mark->phase == SF_PHASE_BEGIN) {
            f->program->releases[at] = sent != GRAPH_NONE
                                           ? (struct release){.step = sent}
                                           : find_submit(f, parent, mark->a, program_mark_ns(f->program, at));
            channel = sent != GRAPH_NONE ? last : channel;
        } else if (mark->kind == SF_EVENT_CHUNK) {
            sent = GRAPH_NONE; /* what came within the chunk was for the task */
        }
    }
    return channel;
}

/* ---- crews ---- */

struct worker {
    int process, parent;
    int64_t channel, start_ns;
    uint32_t fork; /* the mark */
};

static int by_parent_and_fork(const void *a, const void *b)
{
    const struct worker *x = a, *y = b;
    if (x->parent != y->parent)
        return x->parent < y->parent ? -1 : 1;
    if (x->channel != y->channel)
        return x->channel < y->channel ? -1 : 1;
    return (x->fork > y->fork) - (x->fork < y->fork);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static size_t count_marks(const struct finding *f, const struct worker *workers, size_t count)
{
    size_t marks = 0;
    for (size_t w = 0; w < count; w++)
        marks += f->program->mark_first[workers[w].process + 1] - f->program->mark_first[workers[w].process];
    return marks;
}

/* Does a number of a chunk come twice? Not asked of a Pool, where each call numbers its own, but has a channel. */
static int has_a_number_twice(const struct finding *f, const struct worker *workers, size_t count, bool *twice)
{
    size_t n = 0;
    *twice = false;
    if (workers[0].channel)
        return 0;
    int64_t *numbers = malloc((count_marks(f, workers, count) + 1) * sizeof *numbers);
    if (!numbers)
        return -ENOMEM;
    for (size_t w = 0; w < count; w++) {
        int process = workers[w].process;
        for (uint32_t i = f->program->mark_first[process]; i < f->program->mark_first[process + 1]; i++) {
            const struct mark *mark = mark_of(f, i);
            if (mark->kind == SF_EVENT_CHUNK && mark->phase == SF_PHASE_BEGIN)
                numbers[n++] = mark->a;
        }
    }
    if (n)
        qsort(numbers, n, sizeof *numbers, by_value);
    for (size_t i = 1; i < n; i++)
        *twice |= numbers[i] == numbers[i - 1];
    free(numbers);
    return 0;
}

/* ---- a Pool's maps ---- */

struct sent_chunk {
    int64_t ns; /* when its process has sent it */
    double arguments;
    struct release *release;
};

static int by_time(const void *a, const void *b)
{
    const struct sent_chunk *x = a, *y = b;
    return (x->ns > y->ns) - (x->ns < y->ns);
}

static size_t read_sent(const struct finding *f, const struct worker *workers, size_t count, struct sent_chunk *chunks)
{
    size_t n = 0;
    for (size_t w = 0; w < count; w++) {
        int process = workers[w].process;
        for (uint32_t i = f->program->mark_first[process]; i < f->program->mark_first[process + 1]; i++) {
            struct release *release = &f->program->releases[f->program->marks[i]];
            if (release->step != GRAPH_NONE)
                chunks[n++] =
                    (struct sent_chunk){f->graph->steps[release->step].to_ns, (double)mark_of(f, i)->b, release};
        }
    }
    if (n)
        qsort(chunks, n, sizeof *chunks, by_time);
    return n;
}

/* Without chunksize a map has cut its arguments into four chunks for each worker. chunks: those that were sent in it.
 */
static void find_share(struct sent_chunk *chunks, size_t count, double workers)
{
    double sum = 0, most = 0;
    for (size_t i = 0; i < count; i++) {
        sum += chunks[i].arguments;
        most = fmax(most, chunks[i].arguments);
    }
    for (size_t i = 0; i < count && workers > 0; i++)
        chunks[i].release->is_share = most == ceil(sum / (4 * workers));
}

/* Of each map of a Pool. 0 or -ENOMEM. */
static int find_shares(struct finding *f, const struct worker *workers, size_t count)
{
    int process = workers[0].parent;
    int64_t from_ns = 0;
    size_t at = 0;
    struct sent_chunk *chunks = calloc(count_marks(f, workers, count) + 1, sizeof *chunks);
    if (!chunks)
        return -ENOMEM;
    size_t sent = read_sent(f, workers, count, chunks);
    for (uint32_t i = f->program->mark_first[process]; i < f->program->mark_first[process + 1]; i++) {
        const struct mark *mark = mark_of(f, i);
        int64_t ns = program_mark_ns(f->program, f->program->marks[i]);
        if (mark->kind == SF_EVENT_MAP && mark->phase == SF_PHASE_BEGIN) {
            from_ns = ns;
        } else if (mark->kind == SF_EVENT_MAP) {
            for (; at < sent && chunks[at].ns < from_ns;)
                at++;
            size_t first = at;
            for (; at < sent && chunks[at].ns <= ns;)
                at++;
            find_share(chunks + first, at - first, (double)mark->b);
        }
    }
    free(chunks);
    return 0;
}

static int add_crew(struct finding *f, const struct worker *workers, size_t count)
{
    struct program *program = f->program;
    bool twice;
    int error = has_a_number_twice(f, workers, count, &twice);
    if (!error && workers[0].channel)
        error = find_shares(f, workers, count);
    if (error)
        return error;
    if (twice) {
        program->unclear = workers[0].process;
        return 0;
    }
    struct region *grown = array_grow(program->regions, program->region_count, &f->room, sizeof *grown);
    int *own = calloc(count, sizeof *own);
    if (grown)
        program->regions = grown;
    if (!grown || !own) {
        free(own);
        return -ENOMEM;
    }
    for (size_t w = 0; w < count; w++) {
        own[w] = workers[w].process;
        f->crews->fork_at[f->crews->forks[own[w]].begin] = (struct crew_fork){program->region_count + 1, (uint32_t)w};
    }
    grown[program->region_count++] = (struct region){.begin = f->crews->forks[own[0]].begin,
                                                     .end = f->crews->forks[own[count - 1]].end,
                                                     .is_crew = true,
                                                     .worker_count = (uint32_t)count,
                                                     .process = workers[0].parent,
                                                     .workers = own};
    return 0;
}

/* Whether that worker belongs to the crew of those before it: until_ns is when the last one of these ends. */
static bool joins(const struct worker *worker, const struct worker *first, int64_t until_ns)
{
    return worker->parent == first->parent && worker->channel == first->channel &&
           (worker->channel || worker->start_ns < until_ns);
}

static int add_crews(struct finding *f, struct worker *workers, size_t count)
{
    int error = 0;
    if (count)
        qsort(workers, count, sizeof *workers, by_parent_and_fork);
    for (size_t from = 0, to; from < count && !error; from = to) {
        int64_t until_ns = INT64_MIN;
        for (to = from; to < count && (to == from || joins(&workers[to], &workers[from], until_ns)); to++) {
            int64_t end_ns = f->graph->processes->rows[workers[to].process].end_ns;
            until_ns = end_ns > until_ns ? end_ns : until_ns;
        }
        error = add_crew(f, workers + from, to - from);
    }
    return error;
}

static bool has_chunk(const struct finding *f, int process)
{
    for (uint32_t i = f->program->mark_first[process]; i < f->program->mark_first[process + 1]; i++)
        if (mark_of(f, i)->kind == SF_EVENT_CHUNK)
            return true;
    return false;
}

/* The workers that no map has. One that was forked inside of a map stays as it was. */
static int find_workers(struct finding *f)
{
    const struct processes *processes = f->graph->processes;
    struct worker *workers = calloc((size_t)processes->count + 1, sizeof *workers);
    size_t count = 0;
    if (!workers)
        return -ENOMEM;
    for (int p = 0; p < processes->count; p++) {
        const struct fork_marks *fork = &f->crews->forks[p];
        if (f->program->launches[p].is_worker || !has_chunk(f, p))
            continue;
        if (fork->begin != GRAPH_NONE && fork->end != GRAPH_NONE)
            workers[count++] = (struct worker){p, processes->rows[p].parent, find_releases(f, p),
                                               processes->rows[p].start_ns, fork->begin};
        else if (!fork->in_map)
            f->program->unclear = p;
    }
    int error = add_crews(f, workers, count);
    free(workers);
    return error;
}

int crews_find(struct crews *crews, struct program *program, const uint32_t *needs, size_t region_room)
{
    struct finding f = {crews, program, program->graph, needs, region_room, NULL, 0};
    size_t marks = (size_t)program->graph->mark_count + 1, processes = (size_t)program->graph->processes->count;
    crews->fork_at = calloc(marks, sizeof *crews->fork_at);
    crews->forks = calloc(processes + 1, sizeof *crews->forks);
    program->releases = malloc(marks * sizeof *program->releases);
    program->unclear = PROCESS_NONE;
    if (!crews->fork_at || !crews->forks || !program->releases)
        return -ENOMEM;
    for (size_t i = 0; i < marks; i++)
        program->releases[i] = (struct release){.step = GRAPH_NONE};
    for (size_t p = 0; p < processes; p++)
        crews->forks[p] = (struct fork_marks){GRAPH_NONE, GRAPH_NONE, false};
    for (size_t p = 0; p < processes; p++)
        find_forks(&f, (int)p);
    int error = read_submits(&f);
    if (!error)
        error = find_workers(&f);
    free(f.submits);
    return error;
}

void crews_fini(struct crews *crews)
{
    free(crews->fork_at);
    free(crews->forks);
}
