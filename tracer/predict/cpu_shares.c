/* CPU time goes to what needs a CPU first: what is neither a wait nor the process's own work. */
#include "predict/cpu_shares.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "abi/log_format.h"

#define ALL_IN_USE 0.9 /* so much of all CPUs: the collector and others use some too */

/* Of one process. */
struct times {
    double running_ns, other_ns; /* outside of waits */
    double cpu_ns;               /* negative: it has told of none */
    double children_ns;          /* what it has told of its children's; negative: nothing */
};

/* A life begins or ends: the CPUs in use change. */
struct change {
    double ns, cpus;
};

static void sum_times(struct times *times, const struct graph *graph)
{
    for (int p = 0; p < graph->processes->count; p++)
        times[p].cpu_ns = times[p].children_ns = -1;
    for (uint32_t i = 0; i < graph->count; i++) {
        const struct step *step = &graph->steps[i];
        double ns = (double)(step->to_ns - step->from_ns);
        if (step->category == CATEGORY_RUNNING)
            times[step->process].running_ns += ns;
        else if (category_is_on_cpu(step->category))
            times[step->process].other_ns += ns;
    }
    for (uint32_t i = 0; i < graph->mark_count; i++) {
        const struct mark *mark = &graph->marks[i];
        struct times *of = &times[mark->process];
        if (mark->kind != SF_EVENT_USAGE)
            continue;
        of->cpu_ns = (of->cpu_ns < 0 ? 0 : of->cpu_ns) + (mark->a > 0 ? (double)mark->a : 0);
        of->children_ns = (of->children_ns < 0 ? 0 : of->children_ns) + (mark->b > 0 ? (double)mark->b : 0);
    }
}

/* A process that was ended by a signal, as a Pool ends its workers, has told of nothing. What its parent has told of
 * its children, and they have not, is shared out evenly among such children. 0 or -ENOMEM. */
static int guess_untold(struct times *times, const struct processes *processes)
{
    struct left {
        double ns, untold;
    } *left = calloc((size_t)processes->count + 1, sizeof *left);
    if (!left)
        return -ENOMEM;
    for (int p = 0; p < processes->count; p++)
        left[p].ns = times[p].children_ns;
    for (int p = 0; p < processes->count; p++) {
        int parent = processes->rows[p].parent;
        if (parent == PROCESS_NONE)
            continue;
        left[parent].ns -= times[p].cpu_ns < 0 ? 0 : times[p].cpu_ns + times[p].children_ns;
        left[parent].untold += times[p].cpu_ns < 0;
    }
    for (int p = 0; p < processes->count; p++) {
        int parent = processes->rows[p].parent;
        if (times[p].cpu_ns < 0 && parent != PROCESS_NONE && times[parent].children_ns > 0)
            times[p].cpu_ns = left[parent].ns > 0 ? left[parent].ns / left[parent].untold : 0;
    }
    free(left);
    return 0;
}

static double share_of(double cpu_ns, double ns)
{
    return cpu_ns >= ns ? 1 : cpu_ns > 0 ? cpu_ns / ns : 0;
}

/* ---- all CPUs in use ---- */

static int by_time(const void *a, const void *b)
{
    const struct change *x = a, *y = b;
    return (x->ns > y->ns) - (x->ns < y->ns);
}

/* Each process is taken to use its CPU time evenly. used[i]: the integral of the CPUs in use up to changes[i]. */
static void integrate(struct change *changes, double *used, const struct times *times,
                      const struct processes *processes)
{
    size_t count = 0;
    double cpus = 0;
    for (int p = 0; p < processes->count; p++) {
        double start_ns = (double)processes->rows[p].start_ns, end_ns = (double)processes->rows[p].end_ns;
        double rate = end_ns > start_ns && times[p].cpu_ns > 0 ? times[p].cpu_ns / (end_ns - start_ns) : 0;
        changes[count++] = (struct change){start_ns, rate};
        changes[count++] = (struct change){end_ns, -rate};
    }
    qsort(changes, count, sizeof *changes, by_time);
    for (size_t i = 0; i < count; i++) {
        used[i] = i ? used[i - 1] + cpus * (changes[i].ns - changes[i - 1].ns) : 0;
        cpus += changes[i].cpus;
    }
}

/* The integral up to that time, which is one of the changes. */
static double used_until(const struct change *changes, const double *used, size_t count, double ns)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (changes[middle].ns < ns)
            low = middle + 1;
        else
            high = middle;
    }
    assert(low < count);
    return used[low];
}

static int find_lack(struct cpu_share *shares, const struct times *times, const struct processes *processes,
                     double cpus)
{
    size_t count = (size_t)processes->count * 2;
    struct change *changes = calloc(count + 1, sizeof *changes);
    double *used = calloc(count + 1, sizeof *used);
    int error = changes && used ? 0 : -ENOMEM;
    if (!error && count)
        integrate(changes, used, times, processes);
    for (int p = 0; p < processes->count && !error; p++) {
        double start_ns = (double)processes->rows[p].start_ns, end_ns = (double)processes->rows[p].end_ns;
        double in_use = used_until(changes, used, count, end_ns) - used_until(changes, used, count, start_ns);
        if (end_ns <= start_ns || in_use < ALL_IN_USE * cpus * (end_ns - start_ns))
            continue;
        shares[p].work = shares[p].running;
        shares[p].running = 1;
    }
    free(changes);
    free(used);
    return error;
}

int cpu_shares_find(struct cpu_share *shares, const struct graph *graph, int64_t cpus)
{
    const struct processes *processes = graph->processes;
    struct times *times = calloc((size_t)processes->count + 1, sizeof *times);
    if (!times)
        return -ENOMEM;
    sum_times(times, graph);
    int error = guess_untold(times, processes);
    for (int p = 0; p < processes->count; p++) {
        shares[p] = (struct cpu_share){1, 1, 1};
        if (times[p].cpu_ns < 0)
            continue;
        shares[p].other = share_of(times[p].cpu_ns, times[p].other_ns);
        shares[p].running = share_of(times[p].cpu_ns - times[p].other_ns, times[p].running_ns);
    }
    if (!error && cpus > 0)
        error = find_lack(shares, times, processes, (double)cpus);
    free(times);
    return error;
}
