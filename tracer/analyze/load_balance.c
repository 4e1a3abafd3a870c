/* How many slots there are is found by a sweep over the bursts of all processes, in the order in which they began; what
 * is in them, by laying whole processes into them.
 *
 * A burst is a time in which a process had useful work to do. Where it lost its CPU in the middle of that, the wait
 * for a CPU is a burst too, because the process still occupies its slot; but that burst has no useful time in it. */
#include "analyze/load_balance.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/array.h"

/* For this share of the bursts' time there may be more bursts than slots, so that a short overlap makes no new slot. */
#define TOLERATED 0.01

struct burst {
    int64_t from_ns, to_ns;
    double useful_ns;
    int process;
};

struct bursts {
    struct burst *rows;
    size_t count;
};

static int by_begin(const void *a, const void *b)
{
    const struct burst *x = a, *y = b;
    if (x->from_ns != y->from_ns)
        return x->from_ns < y->from_ns ? -1 : 1;
    return x->process < y->process ? -1 : x->process > y->process;
}

static int by_ns(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool is_burst(const struct graph *graph, const struct step *step)
{
    if (step->category == CATEGORY_NO_CPU && step->before != GRAPH_NONE)
        return step->to_ns > step->from_ns && graph->steps[step->before].category == CATEGORY_RUNNING;
    return step->category == CATEGORY_RUNNING && step->to_ns > step->from_ns;
}

static int collect_bursts(struct bursts *bursts, const struct graph *graph)
{
    size_t room = 0;
    for (uint32_t i = 0; i < graph->count; i++) {
        const struct step *step = &graph->steps[i];
        if (!is_burst(graph, step))
            continue;
        struct burst *grown = array_grow(bursts->rows, bursts->count, &room, sizeof *grown);
        if (!grown)
            return -ENOMEM;
        bursts->rows = grown;
        grown[bursts->count++] =
            (struct burst){step->from_ns, step->to_ns,
                           step->category == CATEGORY_RUNNING ? (double)graph_own_ns(step) : 0, step->process};
    }
    if (bursts->count)
        qsort(bursts->rows, bursts->count, sizeof *bursts->rows, by_begin);
    return 0;
}

/* at_once[k]: the time in which k bursts went on at once, for each k up to *most. */
static int count_at_once(const struct bursts *bursts, double **at_once, size_t *most)
{
    size_t n = bursts->count, ended = 0, now = 0;
    int64_t *ends = malloc((n + 1) * sizeof *ends), last_ns = 0;
    *at_once = calloc(n + 1, sizeof **at_once);
    if (!ends || !*at_once) {
        free(ends);
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        ends[i] = bursts->rows[i].to_ns;
    qsort(ends, n, sizeof *ends, by_ns);
    *most = 0;
    for (size_t begun = 0; ended < n;) {
        bool begins = begun < n && bursts->rows[begun].from_ns < ends[ended];
        int64_t ns = begins ? bursts->rows[begun].from_ns : ends[ended];
        (*at_once)[now] += now ? (double)(ns - last_ns) : 0;
        last_ns = ns;
        if (begins) {
            begun++;
            now++;
        } else {
            ended++;
            now--;
        }
        *most = now > *most ? now : *most;
    }
    assert(now == 0);
    free(ends);
    return 0;
}

/* The fewest slots that hold all of the bursts' time but the tolerated share. */
static int fewest_slots(const double *at_once, size_t most)
{
    double all = 0, above = 0, at_least = 0; /* at_least: the time in which at least `slots` bursts went on at once */
    for (size_t k = 1; k <= most; k++)
        all += (double)k * at_once[k];
    for (size_t slots = most; slots > 1; slots--) {
        at_least += at_once[slots];
        above += at_least; /* what does not fit into slots - 1 */
        if (above > TOLERATED * all)
            return (int)slots;
    }
    return most ? 1 : 0;
}

static int by_useful(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* The useful time of the fullest slot, if each process goes into the emptiest one, the longest first. So it depends on
 * how long the processes ran, and not on the order in which they were started. What does not fit into the run's time
 * goes into the next one. */
static double fill_slots(const double *useful_ns, int processes, double *slots, int count, double duration_ns)
{
    double largest_ns = 0;
    for (int p = 0; p < processes && useful_ns[p] > 0; p++)
        for (double left_ns = useful_ns[p]; left_ns > 0;) {
            int emptiest = 0;
            for (int i = 1; i < count; i++)
                emptiest = slots[i] < slots[emptiest] ? i : emptiest;
            double room_ns = duration_ns - slots[emptiest];
            double part_ns = room_ns > 0 && room_ns < left_ns ? room_ns : left_ns;
            slots[emptiest] += part_ns;
            left_ns -= part_ns;
            largest_ns = slots[emptiest] > largest_ns ? slots[emptiest] : largest_ns;
        }
    return largest_ns;
}

/* The useful time of each process, sorted, and that of all. */
static int measure_slots(struct load_balance *balance, const struct bursts *bursts, const struct graph *graph,
                         double share)
{
    int processes = graph->processes->count;
    double *slots = calloc((size_t)balance->slots + 1, sizeof *slots);
    double *useful_ns = calloc((size_t)processes + 1, sizeof *useful_ns);
    if (!slots || !useful_ns) {
        free(slots);
        free(useful_ns);
        return -ENOMEM;
    }
    assert(!bursts->count || balance->slots > 0);
    for (size_t i = 0; i < bursts->count; i++) {
        useful_ns[bursts->rows[i].process] += bursts->rows[i].useful_ns * share;
        balance->useful_ns += bursts->rows[i].useful_ns * share;
    }
    qsort(useful_ns, (size_t)processes, sizeof *useful_ns, by_useful);
    balance->largest_ns =
        fill_slots(useful_ns, processes, slots, balance->slots, (double)(graph->to_ns - graph->from_ns));
    free(slots);
    free(useful_ns);
    return 0;
}

/* Without the kernel's view a process that waits for a CPU seems to run. Where more processes ran at once than there
 * are CPUs, they have shared these: the part of their time that they can have had a CPU. */
static double share_of_cpus(const double *at_once, size_t most, int cpus)
{
    double wanted = 0, had = 0;
    for (size_t k = 1; k <= most; k++) {
        wanted += (double)k * at_once[k];
        had += (double)(cpus && k > (size_t)cpus ? (size_t)cpus : k) * at_once[k];
    }
    return wanted > 0 ? had / wanted : 1;
}

/* Keeps those in which something useful was done. */
static void drop_waits_for_cpu(struct bursts *bursts)
{
    size_t kept = 0;
    for (size_t i = 0; i < bursts->count; i++)
        if (bursts->rows[i].useful_ns > 0)
            bursts->rows[kept++] = bursts->rows[i];
    bursts->count = kept;
}

int load_balance_measure(struct load_balance *balance, const struct graph *graph)
{
    struct bursts bursts = {0};
    double *at_once = NULL, *useful_at_once = NULL;
    size_t most = 0;
    *balance = (struct load_balance){0};
    int error = collect_bursts(&bursts, graph);
    if (!error)
        error = count_at_once(&bursts, &at_once, &most);
    if (!error) {
        balance->slots = fewest_slots(at_once, most);
        balance->at_once = balance->slots;
        if (graph->cpus && balance->slots > graph->cpus)
            balance->slots = graph->cpus;
        drop_waits_for_cpu(&bursts);
        error = count_at_once(&bursts, &useful_at_once, &most);
    }
    if (!error)
        error = measure_slots(balance, &bursts, graph, share_of_cpus(useful_at_once, most, graph->cpus));
    free(at_once);
    free(useful_at_once);
    free(bursts.rows);
    return error;
}

/* ---- levelling ---- */

static int by_parent(const void *a, const void *b, void *rows)
{
    const struct process *x = (const struct process *)rows + *(const int *)a;
    const struct process *y = (const struct process *)rows + *(const int *)b;
    if (x->parent != y->parent)
        return x->parent < y->parent ? -1 : 1;
    return x->start_ns < y->start_ns ? -1 : x->start_ns > y->start_ns;
}

/* Makes the running time of the siblings order[from..to) their mean. */
static void level_siblings(double *factors, const int *order, int from, int to, const double *ns)
{
    double sum = 0;
    int busy = 0; /* how many ran at all: no factor makes a child run that did not */
    for (int i = from; i < to; i++) {
        sum += ns[order[i]];
        busy += ns[order[i]] > 0;
    }
    for (int i = from; i < to; i++)
        if (ns[order[i]] > 0)
            factors[order[i]] = sum / busy / ns[order[i]];
}

/* `order` has siblings next to each other, in the order of their starts. */
static void level_all(double *factors, int *order, const struct processes *processes, const double *ns)
{
    const struct process *rows = processes->rows;
    for (int from = 0, to; from < processes->count; from = to) {
        int64_t until_ns = rows[order[from]].end_ns;
        for (to = from + 1; to < processes->count && rows[order[to]].parent == rows[order[from]].parent &&
                            rows[order[to]].start_ns < until_ns;
             to++)
            until_ns = rows[order[to]].end_ns > until_ns ? rows[order[to]].end_ns : until_ns;
        if (rows[order[from]].parent != PROCESS_NONE)
            level_siblings(factors, order, from, to, ns);
    }
}

double *load_balance_level(const struct graph *graph)
{
    size_t count = (size_t)graph->processes->count + 1;
    double *factors = malloc(count * sizeof *factors), *ns = calloc(count, sizeof *ns);
    int *order = malloc(count * sizeof *order);
    if (factors && ns && order) {
        for (int p = 0; p < graph->processes->count; p++) {
            factors[p] = 1;
            order[p] = p;
        }
        for (uint32_t i = 0; i < graph->count; i++)
            if (graph->steps[i].category == CATEGORY_RUNNING)
                ns[graph->steps[i].process] += (double)graph_own_ns(&graph->steps[i]);
        qsort_r(order, count - 1, sizeof *order, by_parent, graph->processes->rows);
        level_all(factors, order, graph->processes, ns);
    } else {
        free(factors);
        factors = NULL;
    }
    free(ns);
    free(order);
    return factors;
}
