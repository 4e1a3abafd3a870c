/* Building the graph: stretches become steps, events give them what they need and give. See graph.h. */
#include "analyze/graph.h"

#include <errno.h>
#include <stdlib.h>

#include "abi/log_format.h"
#include "analyze/activity.h"
#include "analyze/dependencies.h"
#include "analyze/ledger.h"
#include "base/array.h"

/* A process while it is read. */
struct chain {
    int64_t now_ns;
    uint32_t waited;         /* its last wait, while nobody has said yet what that was for; GRAPH_NONE */
    bool forked;             /* its parent's FORK was seen */
    bool waiting;            /* in a WAIT span: */
    int64_t reason, awaited; /* its a and b */
};

struct build {
    struct graph *graph;
    struct chain *chains;
    struct dependencies *dependencies;
    size_t room;
    bool failed; /* no memory */
};

static struct step *add(struct build *build, int process, int64_t from_ns, int64_t to_ns, unsigned char category)
{
    struct graph *graph = build->graph;
    struct step *grown =
        graph->count < GRAPH_NONE - 1 ? array_grow(graph->steps, graph->count, &build->room, sizeof *grown) : NULL;
    if (!grown) {
        build->failed = true;
        return NULL;
    }
    graph->steps = grown;
    struct step *step = &grown[graph->count];
    *step = (struct step){.from_ns = from_ns,
                          .to_ns = to_ns,
                          .before = graph->last[process],
                          .first = graph->count,
                          .by = GRAPH_NONE,
                          .process = process,
                          .category = category};
    graph->last[process] = graph->count++;
    build->chains[process].now_ns = to_ns;
    return step;
}

static uint32_t number(struct build *build, enum dependency_type type, int64_t a, int64_t b)
{
    uint32_t signal = dependencies_number(build->dependencies, type, a, b);
    build->failed |= !signal;
    return signal;
}

/* A step without duration. */
static struct step *mark(struct build *build, int process)
{
    int64_t now_ns = build->chains[process].now_ns;
    return add(build, process, now_ns, now_ns, CATEGORY_OTHER);
}

static void give(struct build *build, int process, enum dependency_type type, int64_t a, int64_t b)
{
    struct step *step = mark(build, process);
    if (step)
        step->give = number(build, type, a, b);
}

/* The process goes on only after that: its last wait, with all its parts, was for it, or else it is there already. */
static void need(struct build *build, int process, enum dependency_type type, int64_t a, int64_t b)
{
    struct chain *chain = &build->chains[process];
    struct step *steps = build->graph->steps, *step;
    uint32_t signal = number(build, type, a, b);
    if (chain->waited == GRAPH_NONE) {
        step = mark(build, process);
        if (step)
            step->need = signal;
        return;
    }
    for (uint32_t i = chain->waited, first = steps[i].first;; i = steps[i].before) {
        if (graph_is_wait(&steps[i]))
            steps[i].need = signal;
        if (i == first)
            break;
    }
    chain->waited = GRAPH_NONE;
}

/* What a WAIT was for. A message on a channel has its number at the end of the RECEIVE around it only. */
static void need_by_reason(struct build *build, int process)
{
    const struct processes *processes = build->graph->processes;
    const struct chain *chain = &build->chains[process];
    int other;
    if (chain->waited == GRAPH_NONE)
        return;
    switch (chain->reason) {
    case SF_WAIT_MESSAGE:
        if (!chain->awaited)
            need(build, process, DEPENDENCY_RESULT, process, 0);
        break;
    case SF_WAIT_ROOM:
        if (chain->awaited)
            need(build, process, DEPENDENCY_TAKEN, chain->awaited, 0);
        else
            need(build, process, DEPENDENCY_RESULT_TAKEN, processes->rows[process].parent, 0);
        break;
    case SF_WAIT_CHILD:
        other = processes_of_task(processes, chain->awaited);
        if (other == PROCESS_NONE)
            need(build, process, DEPENDENCY_CHILD_ENDED, process, 0);
        else
            need(build, process, DEPENDENCY_ENDED, other, 0);
        break;
    case SF_WAIT_REQUEST:
        need(build, process, DEPENDENCY_ASKED, chain->awaited, 0);
        break;
    case SF_WAIT_ITEM:
        need(build, process, DEPENDENCY_ITEM, processes_of_task(processes, chain->awaited), 0);
        break;
    default:
        break;
    }
}

static void take_stretch(void *arg, const struct stretch *s)
{
    struct build *build = arg;
    struct graph *graph = build->graph;
    struct chain *chain = &build->chains[s->process];
    uint32_t last = graph->last[s->process];
    struct step *step = last != GRAPH_NONE ? &graph->steps[last] : NULL;
    if (step && step->category == s->category && !step->need && !step->give && !step->starts)
        step->to_ns = chain->now_ns = s->to_ns;
    else
        step = add(build, s->process, s->from_ns, s->to_ns, (unsigned char)s->category);
    if (!step)
        return;
    step->fault_ns += s->fault_ns;
    step->copy_ns += s->copy_ns;
    step->tracing_ns += s->tracing_ns;
    if (!graph_is_wait(step))
        return;
    if (chain->waited != GRAPH_NONE)
        step->first = graph->steps[chain->waited].first;
    chain->waited = graph->last[s->process];
    if (!chain->waiting && step->category == CATEGORY_LATE_CHILD) /* seen by the kernel only */
        need(build, s->process, DEPENDENCY_CHILD_ENDED, s->process, 0);
}

static void begin(struct build *build, const struct moment *m)
{
    struct chain *chain = &build->chains[m->process];
    int child;
    switch (m->kind) {
    case SF_EVENT_FORK:
        child = processes_of_task(build->graph->processes, m->object);
        if (child != PROCESS_NONE && !build->chains[child].forked) {
            give(build, m->process, DEPENDENCY_FORKED, child, 0);
            build->chains[child].forked = true;
        }
        break;
    case SF_EVENT_WAIT:
        chain->waiting = true;
        chain->reason = m->a;
        chain->awaited = m->b;
        chain->waited = GRAPH_NONE;
        break;
    case SF_EVENT_RECEIVE:
    case SF_EVENT_JOIN:
        chain->waited = GRAPH_NONE;
        break;
    case SF_EVENT_NEXT:
        give(build, m->process, DEPENDENCY_ASKED, m->object, 0);
        chain->waited = GRAPH_NONE;
        break;
    default:
        break;
    }
}

static void end(struct build *build, const struct moment *m)
{
    const struct processes *processes = build->graph->processes;
    struct chain *chain = &build->chains[m->process];
    int other;
    switch (m->kind) {
    case SF_EVENT_WAIT:
        need_by_reason(build, m->process);
        chain->waiting = false;
        break;
    case SF_EVENT_SEND:
        if (m->a)
            give(build, m->process, DEPENDENCY_SENT, m->object, m->a);
        break;
    case SF_EVENT_RECEIVE:
        if (m->a) {
            need(build, m->process, DEPENDENCY_SENT, m->object, m->a);
            give(build, m->process, DEPENDENCY_TAKEN, m->object, 0);
        }
        break;
    case SF_EVENT_JOIN:
        other = processes_of_task(processes, m->object);
        if (other != PROCESS_NONE) {
            chain->waited = GRAPH_NONE;
            need(build, m->process, DEPENDENCY_ENDED, other, 0);
        }
        break;
    case SF_EVENT_NEXT:
        if (m->a) {
            chain->waited = GRAPH_NONE;
            need(build, m->process, DEPENDENCY_ITEM, processes_of_task(processes, m->object), 0);
            give(build, m->process, DEPENDENCY_RESULT_TAKEN, m->process, 0);
        }
        break;
    case SF_EVENT_ITEM:
        give(build, m->process, DEPENDENCY_ITEM, m->process, 0);
        break;
    case SF_EVENT_CHUNK:
        give(build, m->process, DEPENDENCY_RESULT, processes->rows[m->process].parent, 0);
        break;
    default:
        break;
    }
}

static void give_end(struct build *build, int process)
{
    int parent = build->graph->processes->rows[process].parent;
    give(build, process, DEPENDENCY_ENDED, process, 0);
    if (parent != PROCESS_NONE)
        give(build, process, DEPENDENCY_CHILD_ENDED, parent, 0);
}

/* Items and results are out of a process's hands when they are pickled: what ends their span comes after they are
 * sent. A child's last act ends its parent's wait: the kernel takes a child off its CPU when its parent goes on
 * already. */
static void take_event(void *arg, const struct moment *m)
{
    struct build *build = arg;
    if (m->kind == SF_EVENT_EXIT) {
        give_end(build, m->process);
    } else if (m->kind == SF_EVENT_PICKLED || m->kind == SF_EVENT_COPIED) {
        if (m->inside == SF_EVENT_ITEM)
            give(build, m->process, DEPENDENCY_ITEM, m->process, 0);
        else if (m->inside == SF_EVENT_CHUNK)
            give(build, m->process, DEPENDENCY_RESULT, build->graph->processes->rows[m->process].parent, 0);
        if (m->inside == SF_EVENT_WAIT) {
            need_by_reason(build, m->process);
            give(build, m->process, DEPENDENCY_RESULT_TAKEN, m->process, 0);
        }
    } else if (m->phase == SF_PHASE_BEGIN) {
        begin(build, m);
    } else if (m->phase == SF_PHASE_END) {
        end(build, m);
    }
}

/* A child of which no FORK tells is taken to be forked when it begins. */
static void take_child(void *arg, int process, int child, int64_t ns)
{
    struct build *build = arg;
    build->chains[process].now_ns = ns;
    if (child != PROCESS_NONE && !build->chains[child].forked)
        give(build, process, DEPENDENCY_FORKED, child, 0);
}

static void add_start(struct build *build, int process)
{
    int64_t start_ns = build->graph->processes->rows[process].start_ns;
    struct step *step = add(build, process, start_ns, start_ns, CATEGORY_FORKING);
    if (step) {
        step->starts = true;
        step->need = number(build, DEPENDENCY_FORKED, process, 0);
    }
}

static void take_end(void *arg, int process, int64_t ns)
{
    struct build *build = arg;
    build->chains[process].now_ns = ns;
    give_end(build, process);
}

static int by_end(const void *a, const void *b, void *arg)
{
    const struct step *steps = arg;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    if (steps[i].to_ns != steps[j].to_ns)
        return steps[i].to_ns < steps[j].to_ns ? -1 : 1;
    if (steps[i].starts != steps[j].starts) /* a child that begins at the moment at which it was forked */
        return steps[i].starts ? 1 : -1;
    return i < j ? -1 : i > j;
}

/* The parts of a wait before this one were not ended by anybody; they went on. */
static void mark_parts(struct graph *graph, struct step *step)
{
    while (step != &graph->steps[step->first]) {
        uint32_t first = step->first;
        do
            step = &graph->steps[step->before];
        while (!graph_is_wait(step) && step != &graph->steps[first]);
        if (step->by != GRAPH_NONE || step->goes_on)
            return;
        step->goes_on = graph_is_wait(step);
    }
}

/* For every step its `by`: who gave last what it needs, if that was after its wait began. */
static int link_steps(struct graph *graph)
{
    uint32_t *givers = malloc(((size_t)graph->dependencies + 1) * sizeof *givers);
    if (!givers)
        return -ENOMEM;
    for (uint32_t i = 0; i <= graph->dependencies; i++)
        givers[i] = GRAPH_NONE;
    for (uint32_t i = 0; i < graph->count; i++) {
        struct step *step = &graph->steps[graph->order[i]];
        uint32_t giver = step->need ? givers[step->need] : GRAPH_NONE;
        if (giver != GRAPH_NONE && (step->starts || (graph_is_wait(step) && graph->steps[giver].to_ns > step->from_ns)))
            step->by = giver;
        if (step->by != GRAPH_NONE && !step->starts)
            mark_parts(graph, step);
        if (step->give)
            givers[step->give] = graph->order[i];
    }
    free(givers);
    return 0;
}

static int order_steps(struct graph *graph)
{
    graph->order = malloc(((size_t)graph->count + 1) * sizeof *graph->order);
    if (!graph->order)
        return -ENOMEM;
    for (uint32_t i = 0; i < graph->count; i++)
        graph->order[i] = i;
    qsort_r(graph->order, graph->count, sizeof *graph->order, by_end, graph->steps);
    return link_steps(graph);
}

int graph_init(struct graph *graph, sqlite3 *db, const struct processes *processes)
{
    struct build build = {.graph = graph};
    struct activity_visitor visitor = {&build, take_stretch, take_event, take_child, take_end};
    size_t count = (size_t)processes->count + 1;
    *graph = (struct graph){.processes = processes};
    graph->last = malloc(count * sizeof *graph->last);
    build.chains = calloc(count, sizeof *build.chains);
    build.dependencies = dependencies_new();
    int error = graph->last && build.chains && build.dependencies ? 0 : -ENOMEM;
    for (int i = 0; i < processes->count && !error; i++) {
        const struct process *process = &processes->rows[i];
        graph->last[i] = GRAPH_NONE;
        build.chains[i].now_ns = process->start_ns;
        build.chains[i].waited = GRAPH_NONE;
        add_start(&build, i);
        if (i == 0 || process->start_ns < graph->from_ns)
            graph->from_ns = process->start_ns;
        if (i == 0 || process->end_ns > graph->to_ns)
            graph->to_ns = process->end_ns;
    }
    if (!error)
        error = activity_walk(db, processes, ledger_event_cost_ns(db), &visitor);
    if (!error && build.failed)
        error = -ENOMEM;
    if (!error) {
        graph->dependencies = dependencies_count(build.dependencies);
        error = order_steps(graph);
    }
    dependencies_free(build.dependencies);
    free(build.chains);
    return error;
}

void graph_fini(struct graph *graph)
{
    free(graph->steps);
    free(graph->order);
    free(graph->last);
    *graph = (struct graph){0};
}
