/* Stretches become steps; events say what the steps require and provide. */
#include "analyze/graph_build.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "abi/log_format.h"
#include "analyze/activity.h"
#include "analyze/dependencies.h"
#include "base/array.h"
#include "store/rows.h"

/* The chain of one process while it is read. */
struct chain {
    int64_t now_ns;
    uint32_t last;           /* its last step; GRAPH_NONE: none */
    uint32_t waited;         /* its last wait, until an event says what that was for; GRAPH_NONE: none */
    bool forked;             /* its parent's FORK was seen */
    bool marked;             /* the last step is not to go on */
    bool in_wait;            /* a WAIT span is open: */
    int64_t reason, awaited; /* a and b of that WAIT */
};

struct build {
    struct graph *graph;
    struct chain *chains;
    struct dependencies *dependencies;
    size_t room, mark_room;
    int *senders; /* by the number of a message's dependency: the process that sent it; PROCESS_NONE: not known */
    size_t sender_count, sender_room;
    bool failed; /* no memory */
};

static struct step *add_step(struct build *build, int process, int64_t from_ns, int64_t to_ns, unsigned char category)
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
                          .before = build->chains[process].last,
                          .first = graph->count,
                          .provider = GRAPH_NONE,
                          .process = process,
                          .category = category};
    build->chains[process].last = graph->count++;
    build->chains[process].now_ns = to_ns;
    build->chains[process].marked = false;
    return step;
}

static uint32_t number_of(struct build *build, enum dependency_type type, int64_t a, int64_t b)
{
    uint32_t number = dependencies_number(build->dependencies, type, a, b);
    build->failed |= !number;
    return number;
}

/* A step without duration, at the moment to which the process has come. */
static struct step *add_mark(struct build *build, int process)
{
    int64_t now_ns = build->chains[process].now_ns;
    return add_step(build, process, now_ns, now_ns, CATEGORY_OTHER);
}

static void provide(struct build *build, int process, enum dependency_type type, int64_t a, int64_t b)
{
    struct step *step = add_mark(build, process);
    if (step)
        step->provided = number_of(build, type, a, b);
}

static void provide_message(struct build *build, const struct activity_event *e)
{
    uint32_t number = number_of(build, DEPENDENCY_MESSAGE, e->object, e->a);
    while (build->sender_count <= number) {
        int *grown = array_grow(build->senders, build->sender_count, &build->sender_room, sizeof *grown);
        build->failed |= !grown;
        if (!grown)
            return;
        build->senders = grown;
        grown[build->sender_count++] = PROCESS_NONE;
    }
    build->senders[number] = e->process;
    provide(build, e->process, DEPENDENCY_MESSAGE, e->object, e->a);
}

static bool is_sent_by_itself(struct build *build, const struct activity_event *e)
{
    uint32_t number = number_of(build, DEPENDENCY_MESSAGE, e->object, e->a);
    return number < build->sender_count && build->senders[number] == e->process;
}

/* From here the process goes on only when the dependency is provided. If it has waited, all parts of its last wait were
 * for this dependency; otherwise the dependency was there already. */
static void require(struct build *build, int process, enum dependency_type type, int64_t a, int64_t b)
{
    struct chain *chain = &build->chains[process];
    struct step *steps = build->graph->steps, *step;
    uint32_t required = number_of(build, type, a, b);
    if (chain->waited == GRAPH_NONE) {
        step = add_mark(build, process);
        if (step)
            step->required = required;
        return;
    }
    for (uint32_t i = chain->waited, first = steps[i].first;; i = steps[i].before) {
        if (graph_is_wait(&steps[i]))
            steps[i].required = required;
        if (i == first)
            break;
    }
    chain->waited = GRAPH_NONE;
}

/* The WAIT span was for what its reason says. But two kinds are left open: only the end of the RECEIVE around a wait
 * for a message on a channel has the message's number, and only the CHUNK after a worker's wait for work has that of
 * what was submitted. */
static void require_by_reason(struct build *build, int process)
{
    const struct processes *processes = build->graph->processes;
    const struct chain *chain = &build->chains[process];
    int other;
    if (chain->waited == GRAPH_NONE)
        return;
    switch (chain->reason) {
    case SF_WAIT_MESSAGE:
        if (!chain->awaited)
            require(build, process, DEPENDENCY_RESULT, process, 0);
        break;
    case SF_WAIT_ROOM:
        if (chain->awaited)
            require(build, process, DEPENDENCY_ROOM, chain->awaited, 0);
        else
            require(build, process, DEPENDENCY_RESULT_ROOM, processes->rows[process].parent, 0);
        break;
    case SF_WAIT_CHILD:
        other = processes_of_task(processes, chain->awaited);
        if (other == PROCESS_NONE)
            require(build, process, DEPENDENCY_CHILD_END, process, 0);
        else
            require(build, process, DEPENDENCY_END, other, 0);
        break;
    case SF_WAIT_REQUEST:
        if (chain->awaited)
            require(build, process, DEPENDENCY_REQUEST, chain->awaited, 0);
        break;
    case SF_WAIT_ITEM:
        require(build, process, DEPENDENCY_ITEM, processes_of_task(processes, chain->awaited), 0);
        break;
    default:
        break;
    }
}

static void on_stretch(void *arg, const struct stretch *s)
{
    struct build *build = arg;
    struct graph *graph = build->graph;
    struct chain *chain = &build->chains[s->process];
    uint32_t last = chain->last;
    assert(build->failed || chain->now_ns == s->from_ns);
    struct step *step = last != GRAPH_NONE ? &graph->steps[last] : NULL;
    if (step && step->category == s->category && !step->required && !step->provided && !step->starts && !chain->marked)
        step->to_ns = chain->now_ns = s->to_ns;
    else
        step = add_step(build, s->process, s->from_ns, s->to_ns, (unsigned char)s->category);
    if (!step)
        return;
    step->fault_ns += s->fault_ns;
    step->copy_ns += s->copy_ns;
    step->tracing_ns += s->tracing_ns;
    if (!graph_is_wait(step))
        return;
    if (chain->waited != GRAPH_NONE)
        step->first = graph->steps[chain->waited].first;
    chain->waited = chain->last;
    if (!chain->in_wait && step->category == CATEGORY_LATE_CHILD) /* only the kernel saw it */
        require(build, s->process, DEPENDENCY_CHILD_END, s->process, 0);
}

/* Another thread of the process has taken a message, or has waited for a child. Where the first thread is in a WAIT for
 * whatever other threads bring, this may be what ends it; if more comes, that may be. */
static void require_in_other_thread(struct build *build, int process, enum dependency_type type, int64_t a, int64_t b)
{
    struct chain *chain = &build->chains[process];
    uint32_t waited = chain->waited;
    bool ends_wait = chain->in_wait && !chain->awaited;
    if (!ends_wait)
        chain->waited = GRAPH_NONE;
    require(build, process, type, a, b);
    if (!ends_wait)
        chain->waited = waited;
}

/* The begin of a span that says what the first thread waits for. */
static void on_begin_of_first_thread(struct chain *chain, const struct activity_event *e)
{
    switch (e->kind) {
    case SF_EVENT_WAIT:
        chain->in_wait = true;
        chain->reason = e->a;
        chain->awaited = e->b;
        chain->waited = GRAPH_NONE;
        break;
    case SF_EVENT_RECEIVE:
    case SF_EVENT_JOIN:
    case SF_EVENT_NEXT:
        chain->waited = GRAPH_NONE;
        break;
    default:
        break;
    }
}

/* The first thread of a worker begins a chunk. If it has waited, it was for that. */
static void on_begin_of_chunk(struct build *build, const struct activity_event *e)
{
    if (build->chains[e->process].waited != GRAPH_NONE)
        require(build, e->process, DEPENDENCY_SUBMIT, build->graph->processes->rows[e->process].parent, e->a);
}

static void on_begin(struct build *build, const struct activity_event *e)
{
    int child;
    switch (e->kind) {
    case SF_EVENT_FORK:
        child = processes_of_task(build->graph->processes, e->object);
        if (child != PROCESS_NONE && !build->chains[child].forked) {
            provide(build, e->process, DEPENDENCY_START, child, 0);
            build->chains[child].forked = true;
        }
        break;
    case SF_EVENT_NEXT:
        provide(build, e->process, DEPENDENCY_REQUEST, e->object, 0);
        break;
    case SF_EVENT_CHUNK:
        if (e->first_thread)
            on_begin_of_chunk(build, e);
        break;
    default:
        break;
    }
    if (e->first_thread)
        on_begin_of_first_thread(&build->chains[e->process], e);
}

/* The end of a span after which the process goes on only because another one has provided something. */
static void on_end_of_wait(struct build *build, const struct activity_event *e)
{
    const struct processes *processes = build->graph->processes;
    struct chain *chain = &build->chains[e->process];
    int other;
    switch (e->kind) {
    case SF_EVENT_WAIT:
        require_by_reason(build, e->process);
        chain->in_wait = false;
        break;
    case SF_EVENT_RECEIVE:
        if (e->a)
            require(build, e->process, DEPENDENCY_MESSAGE, e->object, e->a);
        break;
    case SF_EVENT_JOIN:
        other = processes_of_task(processes, e->object);
        if (other != PROCESS_NONE) {
            chain->waited = GRAPH_NONE;
            require(build, e->process, DEPENDENCY_END, other, 0);
        }
        break;
    case SF_EVENT_NEXT:
        if (e->a) {
            chain->waited = GRAPH_NONE;
            require(build, e->process, DEPENDENCY_ITEM, processes_of_task(processes, e->object), 0);
        }
        break;
    default:
        break;
    }
}

/* The same of another thread than the first. With messages to themselves threads of a process wake each other: what
 * comes from others has another way. */
static void on_end_of_wait_elsewhere(struct build *build, const struct activity_event *e)
{
    int other = processes_of_task(build->graph->processes, e->object);
    if (e->kind == SF_EVENT_RECEIVE && e->a && !is_sent_by_itself(build, e))
        require_in_other_thread(build, e->process, DEPENDENCY_MESSAGE, e->object, e->a);
    else if (e->kind == SF_EVENT_JOIN && other != PROCESS_NONE)
        require_in_other_thread(build, e->process, DEPENDENCY_END, other, 0);
    else if (e->kind == SF_EVENT_NEXT && e->a)
        require_in_other_thread(build, e->process, DEPENDENCY_ITEM, other, 0);
}

/* Its result is on the way to the process that wants it. Other threads of a worker with a task do chunks of an executor
 * of its own; those of a remote worker, which has none, do the parent's. */
static void on_end_of_chunk(struct build *build, const struct activity_event *e)
{
    const struct process *worker = &build->graph->processes->rows[e->process];
    if (e->first_thread || !worker->task)
        provide(build, e->process, DEPENDENCY_RESULT, worker->parent, 0);
}

static void on_end(struct build *build, const struct activity_event *e)
{
    if (e->first_thread)
        on_end_of_wait(build, e);
    else
        on_end_of_wait_elsewhere(build, e);
    switch (e->kind) {
    case SF_EVENT_SEND:
        if (e->a)
            provide_message(build, e);
        break;
    case SF_EVENT_RECEIVE:
        if (e->a)
            provide(build, e->process, DEPENDENCY_ROOM, e->object, 0);
        break;
    case SF_EVENT_NEXT:
        if (e->a)
            provide(build, e->process, DEPENDENCY_RESULT_ROOM, e->process, 0);
        break;
    case SF_EVENT_ITEM:
        provide(build, e->process, DEPENDENCY_ITEM, e->process, 0);
        break;
    case SF_EVENT_CHUNK:
        on_end_of_chunk(build, e);
        break;
    default:
        break;
    }
}

static void provide_end(struct build *build, int process)
{
    const struct chain *chain = &build->chains[process];
    int parent = build->graph->processes->rows[process].parent;
    if (chain->waited != GRAPH_NONE && chain->reason == SF_WAIT_REQUEST && !chain->awaited && parent != PROCESS_NONE)
        require(build, process, DEPENDENCY_LEAVING, parent, 0); /* a server: it lives as long as whom it serves */
    provide(build, process, DEPENDENCY_END, process, 0);
    if (parent != PROCESS_NONE)
        provide(build, process, DEPENDENCY_CHILD_END, parent, 0);
}

static bool is_marked(const struct activity_event *e)
{
    switch (e->kind) {
    case SF_EVENT_MAP:
    case SF_EVENT_CHUNK:
    case SF_EVENT_FORK:
    case SF_EVENT_EXTRACT:
    case SF_EVENT_MERGE:
    case SF_EVENT_PICKLED:
        return e->first_thread;
    case SF_EVENT_SEND:
    case SF_EVENT_RECEIVE:
        return e->phase == SF_PHASE_END && e->a;
    case SF_EVENT_EXIT:
    case SF_EVENT_USAGE:
    case SF_EVENT_SUBMIT:
        return true;
    default:
        return false;
    }
}

static void mark(struct build *build, const struct activity_event *e)
{
    struct graph *graph = build->graph;
    struct chain *chain = &build->chains[e->process];
    struct mark *grown = graph->mark_count < GRAPH_NONE - 1
                             ? array_grow(graph->marks, graph->mark_count, &build->mark_room, sizeof *grown)
                             : NULL;
    if (!grown) {
        build->failed = true;
        return;
    }
    graph->marks = grown;
    bool is_message = e->kind == SF_EVENT_SEND || e->kind == SF_EVENT_RECEIVE;
    assert(build->failed || graph->steps[chain->last].to_ns == e->ns);
    grown[graph->mark_count++] =
        (struct mark){.object = e->object,
                      .a = e->a,
                      .b = e->b,
                      .step = chain->last,
                      .dependency = is_message ? number_of(build, DEPENDENCY_MESSAGE, e->object, e->a) : 0,
                      .process = e->process,
                      .kind = (unsigned char)e->kind,
                      .phase = (unsigned char)e->phase,
                      .elsewhere = !e->first_thread};
    chain->marked = true;
}

/* An item or a result counts as provided when it is pickled: its span ends later, after the other process has it. A
 * child counts as ended at its EXIT event: the kernel takes it off its CPU later, when its parent already goes on. */
static void on_event(void *arg, const struct activity_event *e)
{
    struct build *build = arg;
    assert(build->failed || build->chains[e->process].now_ns == e->ns);
    if (e->kind == SF_EVENT_EXIT) {
        provide_end(build, e->process);
    } else if (e->kind == SF_EVENT_USAGE) {
        provide(build, e->process, DEPENDENCY_LEAVING, e->process, 0);
    } else if (e->kind == SF_EVENT_SUBMIT) {
        provide(build, e->process, DEPENDENCY_SUBMIT, e->process, e->a);
    } else if (e->kind == SF_EVENT_PICKLED || e->kind == SF_EVENT_COPIED) {
        if (e->inside == SF_EVENT_ITEM)
            provide(build, e->process, DEPENDENCY_ITEM, e->process, 0);
        else if (e->inside == SF_EVENT_CHUNK)
            provide(build, e->process, DEPENDENCY_RESULT, build->graph->processes->rows[e->process].parent, 0);
        if (e->inside == SF_EVENT_WAIT) {
            require_by_reason(build, e->process);
            provide(build, e->process, DEPENDENCY_RESULT_ROOM, e->process, 0);
        }
    } else if (e->phase == SF_PHASE_BEGIN) {
        on_begin(build, e);
    } else if (e->phase == SF_PHASE_END) {
        on_end(build, e);
    }
    if (is_marked(e))
        mark(build, e);
}

/* A child whose FORK was not seen counts as forked when it begins. */
static void on_child(void *arg, int process, int child, int64_t ns)
{
    struct build *build = arg;
    build->chains[process].now_ns = ns;
    if (child != PROCESS_NONE && !build->chains[child].forked)
        provide(build, process, DEPENDENCY_START, child, 0);
}

static void add_start(struct build *build, int process)
{
    int64_t start_ns = build->graph->processes->rows[process].start_ns;
    struct step *step = add_step(build, process, start_ns, start_ns, CATEGORY_FORKING);
    if (step) {
        step->starts = true;
        step->required = number_of(build, DEPENDENCY_START, process, 0);
    }
}

static void on_process_end(void *arg, int process, int64_t ns)
{
    struct build *build = arg;
    build->chains[process].now_ns = ns;
    provide_end(build, process);
}

int graph_build(struct graph *graph, sqlite3 *db, const struct processes *processes)
{
    struct build build = {.graph = graph};
    struct activity_visitor visitor = {&build, on_stretch, on_event, on_child, on_process_end};
    int64_t cpus = rows_number(db, "SELECT value FROM meta WHERE key = 'cpus'");
    *graph = (struct graph){.processes = processes,
                            .cpus = cpus > 0 && cpus < INT_MAX ? (int)cpus : 0,
                            .knows_no_cpu = rows_number(db, "SELECT 1 FROM sched_slice LIMIT 1") == 1};
    build.chains = calloc((size_t)processes->count + 1, sizeof *build.chains);
    build.dependencies = dependencies_new();
    int error = build.chains && build.dependencies ? 0 : -ENOMEM;
    for (int i = 0; i < processes->count && !error; i++) {
        const struct process *process = &processes->rows[i];
        build.chains[i] = (struct chain){.now_ns = process->start_ns, .last = GRAPH_NONE, .waited = GRAPH_NONE};
        add_start(&build, i);
        if (i == 0 || process->start_ns < graph->from_ns)
            graph->from_ns = process->start_ns;
        if (i == 0 || process->end_ns > graph->to_ns)
            graph->to_ns = process->end_ns;
    }
    if (!error)
        error = activity_walk(db, processes, &visitor);
    if (!error && build.failed)
        error = -ENOMEM;
    if (!error) {
        graph->dependencies = dependencies_count(build.dependencies);
        error = graph_link(graph);
    }
    dependencies_free(build.dependencies);
    free(build.senders);
    free(build.chains);
    return error;
}
