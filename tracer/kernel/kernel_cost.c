/* See kernel_cost.h. The cost of a fault is the time of the first access to a page, less the time of a second one.
 * Pages are accessed in batches, because part of the cost arises once for many pages. The median of the batches is
 * taken, because an interrupt or another process may disturb some.
 *
 * First reads and writes go to fresh anonymous memory. Copy-on-write: a forked child writes to pages that its parent
 * has written and keeps. Reads of a file: a mapped one in the page cache, as after a fork in libraries: one fault maps
 * the pages around it too. Writes of a file: fresh shared memory. */
#include "kernel/kernel_cost.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

enum { PAGES = 1024, AROUND_BYTES = 65536, BATCHES = 16 };

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The median of what an access takes, in ticks: `count` accesses, `step` bytes from one to the next. */
static double touch(volatile char *memory, size_t step, int count, int write)
{
    const int each = count / BATCHES;
    uint64_t ticks[BATCHES];
    for (int batch = 0; batch < BATCHES; batch++) {
        uint64_t before = clock_tsc();
        for (int i = 0; i < each; i++, memory += step)
            if (write)
                *memory = 1;
            else
                (void)*memory;
        ticks[batch] = clock_tsc() - before;
    }
    qsort(ticks, BATCHES, sizeof *ticks, by_size);
    uint64_t median = ticks[BATCHES / 2];
    return (double)median / each;
}

/* What a fault takes, if the first access at each step causes one. */
static int64_t fault_ns(char *memory, size_t step, int count, int write, double ns_per_tick)
{
    double cold = touch(memory, step, count, write), warm = touch(memory, step, count, write);
    return cold > warm ? (int64_t)((cold - warm) * ns_per_tick) : 0;
}

/* `memory` must have been written. */
static int64_t copy_on_write(char *memory, double ns_per_tick)
{
    volatile int64_t *result = mmap(NULL, sizeof *result, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (result == MAP_FAILED)
        return 0;
    pid_t child = fork();
    if (child == 0) {
        *result = fault_ns(memory, PAGE_BYTES, PAGES, 1, ns_per_tick);
        _exit(0);
    }
    if (child > 0)
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
            ;
    int64_t cost_ns = *result;
    munmap((void *)result, sizeof *result);
    return cost_ns;
}

static int64_t read_of_file(double ns_per_tick)
{
    enum { FAULTS = 64 };
    static const char page[PAGE_BYTES];
    const size_t bytes = (size_t)FAULTS * AROUND_BYTES;
    int64_t cost_ns = 0;
    int fd = memfd_create("snakefish-trace", MFD_CLOEXEC);
    if (fd < 0)
        return 0;
    size_t written = 0;
    while (written < bytes && write(fd, page, sizeof page) == sizeof page)
        written += sizeof page;
    char *memory = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (memory != MAP_FAILED) {
        if (written == bytes)
            cost_ns = fault_ns(memory, AROUND_BYTES, FAULTS, 0, ns_per_tick);
        munmap(memory, bytes);
    }
    close(fd);
    return cost_ns;
}

/* Of the first access to each page of fresh memory. */
static int64_t fresh(int flags, int write, double ns_per_tick)
{
    const size_t bytes = (size_t)PAGES * PAGE_BYTES;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 0;
    madvise(memory, bytes, MADV_NOHUGEPAGE);
    int64_t cost_ns = fault_ns(memory, PAGE_BYTES, PAGES, write, ns_per_tick);
    munmap(memory, bytes);
    return cost_ns;
}

void kernel_cost_measure(int64_t cost_ns[KERNEL_FAULT_KINDS], double ns_per_tick)
{
    const size_t bytes = (size_t)PAGES * PAGE_BYTES;
    memset(cost_ns, 0, KERNEL_FAULT_KINDS * sizeof *cost_ns);
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) {
        madvise(memory, bytes, MADV_NOHUGEPAGE);
        cost_ns[KERNEL_FIRST_WRITE] = fault_ns(memory, PAGE_BYTES, PAGES, 1, ns_per_tick);
        cost_ns[KERNEL_COPY_ON_WRITE] = copy_on_write(memory, ns_per_tick);
        munmap(memory, bytes);
    }
    cost_ns[KERNEL_FILE_COPY] = cost_ns[KERNEL_COPY_ON_WRITE];
    cost_ns[KERNEL_FIRST_READ] = cost_ns[KERNEL_READ_AGAIN] = fresh(MAP_PRIVATE, 0, ns_per_tick);
    cost_ns[KERNEL_FILE_READ] = cost_ns[KERNEL_FILE_READ_AGAIN] = read_of_file(ns_per_tick);
    cost_ns[KERNEL_FILE_WRITE] = fresh(MAP_SHARED, 1, ns_per_tick);
}
