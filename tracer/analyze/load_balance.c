/* Lanes: sweeps over the stretches of useful time, in the order of their beginnings. Where a process lost its CPU
 * in the middle of it, it would have run: that is a stretch, too, without any time of use in it. */
#include "analyze/lanes.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"

#define TOLERATED 0.01 /* of the useful time may be more at once than there are lanes: short overlaps make no lane */

/* Time in which a process would run; ns: in which it did. */
struct useful {
    int64_t from_ns, to_ns;
    double ns;
    int process;
};

struct usefuls {
    struct useful *rows;
    size_t count;
};

struct lane {
    int64_t until_ns;
    double ns;
    int owner;
};

static int by_begin(const void *a, const void *b)
{
    const struct useful *x = a, *y = b;
    if (x->from_ns != y->from_ns)
        return x->from_ns < y->from_ns ? -1 : 1;
    return x->process < y->process ? -1 : x->process > y->process;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool would_run(const struct graph *graph, const struct step *step)
{
    if (step->category == CATEGORY_NO_CPU && step->before != GRAPH_NONE)
        return step->to_ns > step->from_ns && graph->steps[step->before].category == CATEGORY_RUNNING;
    return step->category == CATEGORY_RUNNING && step->to_ns > step->from_ns;
}

static int read_useful(struct usefuls *usefuls, const struct graph *graph)
{
    size_t room = 0;
    for (uint32_t i = 0; i < graph->count; i++) {
        const struct step *step = &graph->steps[i];
        if (!would_run(graph, step))
            continue;
        struct useful *grown = array_grow(usefuls->rows, usefuls->count, &room, sizeof *grown);
        if (!grown)
            return -ENOMEM;
        usefuls->rows = grown;
        grown[usefuls->count++] =
            (struct useful){step->from_ns, step->to_ns,
                            step->category == CATEGORY_RUNNING ? (double)graph_own_ns(step) : 0, step->process};
    }
    if (usefuls->count)
        qsort(usefuls->rows, usefuls->count, sizeof *usefuls->rows, by_begin);
    return 0;
}

/* at_once[k]: time with k stretches at once, k up to `most`. */
static int count_at_once(const struct usefuls *usefuls, double **at_once, size_t *most)
{
    size_t n = usefuls->count, ended = 0, now = 0;
    int64_t *ends = malloc((n + 1) * sizeof *ends), last_ns = 0;
    *at_once = calloc(n + 1, sizeof **at_once);
    if (!ends || !*at_once) {
        free(ends);
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        ends[i] = usefuls->rows[i].to_ns;
    qsort(ends, n, sizeof *ends, by_time);
    *most = 0;
    for (size_t begun = 0; ended < n;) {
        bool begins = begun < n && usefuls->rows[begun].from_ns < ends[ended];
        int64_t ns = begins ? usefuls->rows[begun].from_ns : ends[ended];
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
    free(ends);
    return 0;
}

/* The fewest lanes above which no more than the tolerated share of the time lies. */
static int fewest(const double *at_once, size_t most)
{
    double all = 0, above = 0, at_least = 0; /* at_least: time with more than `lanes` at once */
    for (size_t k = 1; k <= most; k++)
        all += (double)k * at_once[k];
    for (size_t lanes = most; lanes > 1; lanes--) {
        at_least += at_once[lanes];
        above += at_least;
        if (above > TOLERATED * all)
            return (int)lanes;
    }
    return most ? 1 : 0;
}

static struct lane *choose(struct lane *lanes, int count, const struct useful *useful, int own)
{
    struct lane *unused = NULL, *free_one = NULL, *emptiest = &lanes[0];
    if (own >= 0 && lanes[own].until_ns <= useful->from_ns)
        return &lanes[own];
    for (int i = 0; i < count; i++) {
        struct lane *lane = &lanes[i];
        if (!unused && lane->owner == PROCESS_NONE)
            unused = lane;
        if (lane->until_ns <= useful->from_ns && (!free_one || lane->ns < free_one->ns))
            free_one = lane;
        if (lane->ns < emptiest->ns)
            emptiest = lane;
    }
    return unused ? unused : free_one ? free_one : emptiest;
}

static int fill(struct lanes *result, const struct usefuls *usefuls, int processes)
{
    struct lane *lanes = malloc(((size_t)result->count + 1) * sizeof *lanes);
    int *own = malloc(((size_t)processes + 1) * sizeof *own);
    if (!lanes || !own) {
        free(lanes);
        free(own);
        return -ENOMEM;
    }
    for (int i = 0; i < result->count; i++)
        lanes[i] = (struct lane){INT64_MIN, 0, PROCESS_NONE};
    for (int p = 0; p < processes; p++)
        own[p] = -1;
    for (size_t i = 0; i < usefuls->count; i++) {
        const struct useful *useful = &usefuls->rows[i];
        struct lane *lane = choose(lanes, result->count, useful, own[useful->process]);
        if (lane->until_ns <= useful->from_ns) {
            lane->until_ns = useful->to_ns;
            lane->owner = useful->process;
            own[useful->process] = (int)(lane - lanes);
        }
        lane->ns += useful->ns;
        result->useful_ns += useful->ns;
    }
    for (int i = 0; i < result->count; i++)
        result->largest_ns = lanes[i].ns > result->largest_ns ? lanes[i].ns : result->largest_ns;
    free(lanes);
    free(own);
    return 0;
}

int lanes_count(struct lanes *lanes, const struct graph *graph)
{
    struct usefuls usefuls = {0};
    double *at_once = NULL;
    size_t most = 0;
    *lanes = (struct lanes){0};
    int error = read_useful(&usefuls, graph);
    if (!error)
        error = count_at_once(&usefuls, &at_once, &most);
    if (!error) {
        lanes->count = fewest(at_once, most);
        error = fill(lanes, &usefuls, graph->processes->count);
    }
    free(at_once);
    free(usefuls.rows);
    return error;
}

/* ---- balance ---- */

static int by_parent(const void *a, const void *b, void *rows)
{
    const struct process *x = (const struct process *)rows + *(const int *)a;
    const struct process *y = (const struct process *)rows + *(const int *)b;
    if (x->parent != y->parent)
        return x->parent < y->parent ? -1 : 1;
    return x->start_ns < y->start_ns ? -1 : x->start_ns > y->start_ns;
}

/* The running time of order[from..to) becomes their mean. */
static void balance_group(double *factors, const int *order, int from, int to, const double *ns)
{
    double sum = 0;
    int busy = 0; /* a child that never ran has nothing to be stretched */
    for (int i = from; i < to; i++) {
        sum += ns[order[i]];
        busy += ns[order[i]] > 0;
    }
    for (int i = from; i < to; i++)
        if (ns[order[i]] > 0)
            factors[order[i]] = sum / busy / ns[order[i]];
}

static void balance(double *factors, int *order, const struct processes *processes, const double *ns)
{
    const struct process *rows = processes->rows;
    for (int from = 0, to; from < processes->count; from = to) {
        int64_t until_ns = rows[order[from]].end_ns;
        for (to = from + 1; to < processes->count && rows[order[to]].parent == rows[order[from]].parent &&
                            rows[order[to]].start_ns < until_ns;
             to++)
            until_ns = rows[order[to]].end_ns > until_ns ? rows[order[to]].end_ns : until_ns;
        if (rows[order[from]].parent != PROCESS_NONE)
            balance_group(factors, order, from, to, ns);
    }
}

double *lanes_balance(const struct graph *graph)
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
        balance(factors, order, graph->processes, ns);
    } else {
        free(factors);
        factors = NULL;
    }
    free(ns);
    free(order);
    return factors;
}
