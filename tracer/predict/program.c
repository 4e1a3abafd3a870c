/* The program is made in three passes: the calls of maps are found among the marks; the graph's order says who has
 * provided what each step requires; then the steps of each process become operations. */
#include "predict/program.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/log_format.h"
#include "analyze/dependencies.h"
#include "base/array.h"
#include "predict/crew.h"

enum { LEVELS_MOST = 64 };

/* What is needed only while the program is made. */
struct making {
    struct program *program;
    const struct graph *graph;
    uint32_t *steps, *step_first; /* the steps of each process, in order */
    uint32_t *needs;              /* for each step: who has provided what it requires; GRAPH_NONE: nobody */
    uint32_t *queues;             /* for each dependency that is a message: its queue + 1 */
    bool *removed;                /* steps of a process inside of its calls of maps */
    bool *wanted;                 /* steps that some operation waits for */
    uint32_t *map_at;             /* for each mark that begins a region: the region + 1 */
    struct crews *crews;
    size_t op_room, region_room;
    double lag_ns; /* of the message that is about to be received */
    bool failed;   /* no memory */
};

static struct op *add_op(struct making *m, enum op_kind kind, double ns, uint32_t what, enum activity activity)
{
    struct program *program = m->program;
    struct op *grown = program->op_count < GRAPH_NONE - 1
                           ? array_grow(program->ops, program->op_count, &m->op_room, sizeof *grown)
                           : NULL;
    if (!grown) {
        m->failed = true;
        return NULL;
    }
    assert(ns >= 0);
    program->ops = grown;
    grown[program->op_count] = (struct op){ns, what, (unsigned char)kind, (unsigned char)activity};
    return &grown[program->op_count++];
}

/* ---- by process ---- */

/* Sorts numbers 0 to count by the process of each, by counting. first: room for one more than there are processes. */
static uint32_t *sort_by_process(const struct making *m, uint32_t count,
                                 int (*process_of)(const struct graph *, uint32_t), uint32_t **first)
{
    size_t processes = (size_t)m->graph->processes->count;
    uint32_t *sorted = malloc(((size_t)count + 1) * sizeof *sorted);
    uint32_t *at = calloc(processes + 2, sizeof *at);
    *first = at;
    if (!sorted || !at) {
        free(sorted);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++)
        at[process_of(m->graph, i) + 2]++;
    for (size_t p = 2; p < processes + 2; p++)
        at[p] += at[p - 1];
    for (uint32_t i = 0; i < count; i++)
        sorted[at[process_of(m->graph, i) + 1]++] = i;
    return sorted; /* at[p] is now the first of p, because each was moved on to the first of the next one */
}

static int process_of_step(const struct graph *graph, uint32_t step)
{
    return graph->steps[step].process;
}

static int process_of_mark(const struct graph *graph, uint32_t mark)
{
    return graph->marks[mark].process;
}

/* ---- the calls of maps ---- */

static bool has_chunk(const struct making *m, int process)
{
    for (uint32_t i = m->program->mark_first[process]; i < m->program->mark_first[process + 1]; i++)
        if (m->graph->marks[m->program->marks[i]].kind == SF_EVENT_CHUNK)
            return true;
    return false;
}

/* The child of that FORK, which this process has started and which is no worker yet; else PROCESS_NONE. */
static int forked_by(const struct making *m, const struct mark *fork)
{
    int child = processes_of_task(m->graph->processes, fork->object);
    if (child == PROCESS_NONE || child == fork->process || m->program->launches[child].is_worker ||
        m->graph->processes->rows[child].parent != fork->process)
        return PROCESS_NONE;
    return child;
}

/* Collects the workers of the region, whose marks are marks[from..to]. False: it is none that can be done otherwise. */
static bool collect_workers(struct making *m, struct region *region, uint32_t from, uint32_t to)
{
    bool has_chunks = false;
    region->workers = calloc((size_t)(to - from) + 1, sizeof *region->workers);
    if (!region->workers) {
        m->failed = true;
        return false;
    }
    for (uint32_t i = from; i <= to; i++) {
        const struct mark *mark = &m->graph->marks[m->program->marks[i]];
        int child = mark->kind == SF_EVENT_FORK && mark->phase == SF_PHASE_BEGIN ? forked_by(m, mark) : PROCESS_NONE;
        if (child == PROCESS_NONE)
            continue;
        region->workers[region->worker_count++] = child;
        m->program->launches[child].is_worker = true;
        has_chunks |= has_chunk(m, child);
    }
    return has_chunks;
}

/* The steps of the process behind the mark `begin`, up to those of the mark `end`. */
static void remove_steps(struct making *m, const struct region *region)
{
    const struct mark *marks = m->graph->marks;
    for (uint32_t i = m->step_first[region->process]; i < m->step_first[region->process + 1]; i++) {
        uint32_t step = m->steps[i];
        if (step > marks[region->begin].step && step <= marks[region->end].step)
            m->removed[step] = true;
    }
}

static void add_region(struct making *m, uint32_t from, uint32_t to)
{
    struct program *program = m->program;
    struct region region = {.begin = m->program->marks[from], .end = m->program->marks[to]};
    region.process = m->graph->marks[region.begin].process;
    struct region *grown = NULL;
    if (collect_workers(m, &region, from, to))
        grown = array_grow(program->regions, program->region_count, &m->region_room, sizeof *grown);
    if (!grown) {
        for (uint32_t i = 0; i < region.worker_count; i++)
            program->launches[region.workers[i]].is_worker = false;
        free(region.workers);
        return;
    }
    program->regions = grown;
    grown[program->region_count++] = region;
    m->map_at[region.begin] = program->region_count;
    remove_steps(m, &region);
}

/* A map that was called inside another one of the same process, as by `progress`, leaves both as they were. */
static void find_regions(struct making *m, int process)
{
    uint32_t begin = GRAPH_NONE;
    int depth = 0;
    for (uint32_t i = m->program->mark_first[process]; i < m->program->mark_first[process + 1]; i++) {
        const struct mark *mark = &m->graph->marks[m->program->marks[i]];
        if (mark->kind != SF_EVENT_MAP)
            continue;
        if (mark->phase == SF_PHASE_BEGIN) {
            begin = depth++ ? GRAPH_NONE : i;
        } else if (depth && mark->phase == SF_PHASE_END) {
            if (--depth == 0 && begin != GRAPH_NONE && m->graph->marks[m->program->marks[begin]].object == mark->object)
                add_region(m, begin, i);
            begin = GRAPH_NONE;
        }
    }
}

/* Its process forks by other operations. Its chunks can be claimed when they were submitted. */
static void use_crew(struct making *m, uint32_t at)
{
    const struct region *crew = &m->program->regions[at];
    for (uint32_t w = 0; w < crew->worker_count; w++) {
        int worker = crew->workers[w];
        remove_steps(m, &(struct region){.begin = m->crews->forks[worker].begin,
                                         .end = m->crews->forks[worker].end,
                                         .process = crew->process});
        m->program->launches[worker].is_worker = true;
        for (uint32_t i = m->program->mark_first[worker]; i < m->program->mark_first[worker + 1]; i++) {
            uint32_t step = m->program->releases[m->program->marks[i]].step;
            if (step != GRAPH_NONE)
                m->wanted[step] = true;
        }
    }
}

/* ---- who provides what ---- */

static int find_providers(struct making *m)
{
    const struct graph *graph = m->graph;
    uint32_t *last = malloc(((size_t)graph->dependencies + 1) * sizeof *last);
    if (!last)
        return -ENOMEM;
    memset(last, 0xff, ((size_t)graph->dependencies + 1) * sizeof *last);
    static_assert(GRAPH_NONE == UINT32_MAX, "bytes of all ones are GRAPH_NONE");
    for (uint32_t i = 0; i < graph->count; i++) {
        const struct step *step = &graph->steps[graph->order[i]];
        m->needs[graph->order[i]] = step->required ? last[step->required] : GRAPH_NONE;
        if (step->provided)
            last[step->provided] = graph->order[i];
    }
    free(last);
    return 0;
}

/* A message that was sent is in its channel's queue. */
static int number_queues(struct making *m)
{
    const struct graph *graph = m->graph;
    struct dependencies *channels = dependencies_new();
    int error = channels ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < graph->mark_count && !error; i++) {
        const struct mark *mark = &graph->marks[i];
        if (mark->kind != SF_EVENT_SEND)
            continue;
        m->queues[mark->dependency] = dependencies_number(channels, DEPENDENCY_ROOM, mark->object, 0);
        error = m->queues[mark->dependency] ? 0 : -ENOMEM;
    }
    m->program->queue_count = error ? 0 : dependencies_count(channels);
    dependencies_free(channels);
    return error;
}

/* ---- operations ---- */

static enum activity activity_of(unsigned category)
{
    switch (category) {
    case CATEGORY_RUNNING:
        return ACTIVITY_RUNNING;
    case CATEGORY_PICKLING:
    case CATEGORY_COPYING:
        return ACTIVITY_PICKLING;
    case CATEGORY_MERGING:
    case CATEGORY_EXTRACTING:
        return ACTIVITY_MERGING;
    case CATEGORY_FORKING:
        return ACTIVITY_FORKING;
    default:
        return ACTIVITY_OTHER;
    }
}

static void await(struct making *m, uint32_t provider, double lag_ns)
{
    m->wanted[provider] = true;
    add_op(m, OP_AWAIT, lag_ns, provider, ACTIVITY_HANDOVER);
}

/* What another process has ended began before it: the rest is handing over. Else all of it is. */
static void add_wait(struct making *m, uint32_t at)
{
    const struct step *step = &m->graph->steps[at];
    uint32_t provider = m->needs[at];
    double lasted_ns = (double)(step->to_ns - step->from_ns);
    bool is_message = step->required && m->queues[step->required];
    bool was_late = provider != GRAPH_NONE && m->graph->steps[provider].to_ns > step->from_ns;
    double lag_ns = was_late ? (double)(step->to_ns - m->graph->steps[provider].to_ns) : 0;
    if (step->goes_on || (provider != GRAPH_NONE && m->removed[provider]))
        return;
    if (is_message && was_late)
        m->lag_ns = lag_ns; /* the RECEIVE waits */
    else if (provider == GRAPH_NONE)
        add_op(m, OP_PAUSE, lasted_ns, 0, ACTIVITY_WAITING);
    else if (!was_late)
        add_op(m, OP_PAUSE, lasted_ns, 0, ACTIVITY_HANDOVER);
    if (provider != GRAPH_NONE && !is_message)
        await(m, provider, lag_ns);
}

static void add_step(struct making *m, uint32_t at)
{
    const struct step *step = &m->graph->steps[at];
    bool is_message = step->required && m->queues[step->required];
    uint32_t provider = m->needs[at];
    if (step->starts)
        return; /* launched */
    if (graph_is_wait(step)) {
        add_wait(m, at);
    } else {
        double work = step->category == CATEGORY_RUNNING ? m->program->cpu[step->process].work : 1;
        if (step->category == CATEGORY_SLEEPING)
            add_op(m, OP_PAUSE, (double)(step->to_ns - step->from_ns), 0, ACTIVITY_WAITING);
        else if (step->category != CATEGORY_NO_CPU && step->to_ns > step->from_ns)
            add_op(m, OP_WORK, (double)(step->to_ns - step->from_ns) * work, 0, activity_of(step->category));
        if (provider != GRAPH_NONE && !is_message && !m->removed[provider])
            await(m, provider, 0);
    }
    if (step->provided)
        add_op(m, OP_PROVIDE, 0, at, ACTIVITY_OTHER);
}

/* What a mark says besides where it is. */
static void add_mark(struct making *m, uint32_t at)
{
    const struct mark *mark = &m->graph->marks[at];
    uint32_t queue = m->queues[mark->dependency];
    if (m->crews->fork_at[at].crew) {
        add_op(m, OP_FORKS, m->crews->fork_at[at].worker, m->crews->fork_at[at].crew - 1, ACTIVITY_FORKING);
    } else if (m->map_at[at]) {
        add_op(m, OP_MAP, 0, m->map_at[at] - 1, ACTIVITY_OTHER);
    } else if (mark->kind == SF_EVENT_SEND && queue) {
        add_op(m, OP_SEND, 0, queue - 1, ACTIVITY_OTHER);
    } else if (mark->kind == SF_EVENT_RECEIVE && queue) {
        add_op(m, OP_RECEIVE, m->lag_ns, queue - 1, ACTIVITY_HANDOVER);
        m->lag_ns = 0;
    }
}

static void add_process(struct making *m, int process)
{
    uint32_t mark = m->program->mark_first[process], mark_end = m->program->mark_first[process + 1], map = 0;
    m->program->first[process] = m->program->op_count;
    m->lag_ns = 0; /* map: the call that the process is in + 1 */
    for (uint32_t i = m->step_first[process]; i < m->step_first[process + 1]; i++) {
        uint32_t step = m->steps[i];
        if (!m->removed[step])
            add_step(m, step);
        for (; mark < mark_end && m->graph->marks[m->program->marks[mark]].step <= step; mark++) {
            uint32_t at = m->program->marks[mark];
            if (!map)
                add_mark(m, at);
            m->program->mark_ops[at] = m->program->op_count;
            map = m->map_at[at] ? m->map_at[at] : map && at == m->program->regions[map - 1].end ? 0 : map;
        }
    }
    assert(mark == mark_end);
}

/* An operation that provides what nobody waits for does nothing. Each step of a launched process is wanted that forks
 * another one. */
static void drop_unwanted(struct program *program, const bool *wanted)
{
    for (uint32_t i = 0; i < program->op_count; i++)
        if (program->ops[i].kind == OP_PROVIDE && !wanted[program->ops[i].what])
            program->ops[i] = (struct op){.kind = OP_PAUSE, .activity = ACTIVITY_OTHER};
}

/* ---- processes ---- */

/* The region whose worker each process is, or descends from. */
static void find_maps(struct making *m)
{
    const struct program *program = m->program;
    const struct processes *processes = m->graph->processes;
    for (int p = 0; p < processes->count; p++)
        program->launches[p].map = -1;
    for (uint32_t i = 0; i < program->region_count; i++)
        for (uint32_t w = 0; w < program->regions[i].worker_count; w++)
            program->launches[program->regions[i].workers[w]].map = (int)i;
    for (int p = 0; p < processes->count; p++) {
        int at = p;
        for (int level = 0; level < LEVELS_MOST && at != PROCESS_NONE && program->launches[at].map < 0; level++)
            at = processes->rows[at].parent;
        if (at != PROCESS_NONE)
            program->launches[p].map = program->launches[at].map;
    }
}

static void find_launches(struct making *m)
{
    const struct graph *graph = m->graph;
    for (uint32_t i = 0; i < graph->count; i++) {
        const struct step *step = &graph->steps[i];
        struct launch *launch = &m->program->launches[step->process];
        if (!step->starts)
            continue;
        const struct step *provider = step->provider != GRAPH_NONE ? &graph->steps[step->provider] : NULL;
        launch->provider = step->outside || !provider ? GRAPH_NONE : step->provider;
        launch->after = step->outside && provider ? provider->process : PROCESS_NONE;
        launch->lag_ns = (double)(step->to_ns - (provider ? provider->to_ns : graph->from_ns));
        if (launch->provider != GRAPH_NONE)
            m->wanted[launch->provider] = true;
    }
}

static int make_arrays(struct making *m)
{
    struct program *program = m->program;
    const struct graph *graph = m->graph;
    size_t processes = (size_t)graph->processes->count + 1, steps = (size_t)graph->count + 1,
           marks = (size_t)graph->mark_count + 1;
    program->first = calloc(processes + 1, sizeof *program->first);
    program->mark_ops = calloc(marks, sizeof *program->mark_ops);
    program->launches = calloc(processes, sizeof *program->launches);
    program->cpu = calloc(processes, sizeof *program->cpu);
    program->marks = sort_by_process(m, graph->mark_count, process_of_mark, &program->mark_first);
    m->steps = sort_by_process(m, graph->count, process_of_step, &m->step_first);
    m->needs = calloc(steps, sizeof *m->needs);
    m->queues = calloc((size_t)graph->dependencies + 1, sizeof *m->queues);
    m->removed = calloc(steps, sizeof *m->removed);
    m->wanted = calloc(steps, sizeof *m->wanted);
    m->map_at = calloc(marks, sizeof *m->map_at);
    return program->first && program->mark_ops && program->launches && program->cpu && program->marks && m->steps &&
                   m->needs && m->queues && m->removed && m->wanted && m->map_at
               ? 0
               : -ENOMEM;
}

static int make(struct making *m, int64_t cpus)
{
    int error = make_arrays(m), processes = m->graph->processes->count;
    if (!error)
        error = find_providers(m);
    if (!error)
        error = number_queues(m);
    if (error)
        return error;
    for (int p = 0; p < processes; p++)
        find_regions(m, p);
    error = crews_find(m->crews, m->program, m->needs, m->region_room);
    if (error)
        return error;
    for (uint32_t i = 0; i < m->program->region_count; i++)
        if (m->program->regions[i].is_crew)
            use_crew(m, i);
    find_maps(m);
    find_launches(m);
    error = cpu_shares_find(m->program->cpu, m->graph, cpus);
    if (error)
        return error;
    for (int p = 0; p < processes; p++)
        add_process(m, p);
    m->program->first[processes] = m->program->op_count;
    if (m->failed)
        return -ENOMEM;
    drop_unwanted(m->program, m->wanted);
    return 0;
}

int program_init(struct program *program, const struct graph *graph, int64_t cpus)
{
    struct crews crews = {0};
    struct making m = {.program = program, .graph = graph, .crews = &crews};
    *program = (struct program){.graph = graph};
    int error = make(&m, cpus);
    free(m.steps);
    free(m.step_first);
    free(m.needs);
    free(m.queues);
    free(m.removed);
    free(m.wanted);
    free(m.map_at);
    crews_fini(&crews);
    return error;
}

void program_fini(struct program *program)
{
    for (uint32_t i = 0; i < program->region_count; i++)
        free(program->regions[i].workers);
    free(program->regions);
    free(program->ops);
    free(program->first);
    free(program->mark_ops);
    free(program->marks);
    free(program->mark_first);
    free(program->launches);
    free(program->releases);
    free(program->cpu);
    *program = (struct program){0};
}

bool program_is_plain(const struct program *program, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        if (program->ops[i].kind != OP_WORK && program->ops[i].kind != OP_PAUSE)
            return false;
    return true;
}
