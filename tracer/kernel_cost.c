/* The cost of page faults, by making some: the counter before and after the first touch of each page, less what a
 * touch costs when the page is there. The median, because an interrupt or another process may fall into any of
 * them.
 *
 * First writes are those to fresh anonymous memory; copy-on-write those of a forked child to pages that its parent
 * has written and keeps; first reads those of a mapped file in the page cache, as they happen to libraries after a
 * fork: one fault there maps the pages around it too. */
#include "kernel_cost.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

enum { SAMPLES = 256, PAGE_BYTES = 4096, AROUND_BYTES = 65536 };

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The median number of ticks that a touch at each `step` takes. */
static uint64_t touch(volatile char *memory, size_t step, int write)
{
    uint64_t ticks[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
        volatile char *at = memory + (size_t)i * step;
        uint64_t before = clock_tsc();
        if (write)
            *at = 1;
        else
            (void)*at;
        ticks[i] = clock_tsc() - before;
    }
    qsort(ticks, SAMPLES, sizeof *ticks, by_size);
    return ticks[SAMPLES / 2];
}

static int64_t excess_ns(uint64_t cold, uint64_t warm, double ns_per_tick)
{
    return cold > warm ? (int64_t)((double)(cold - warm) * ns_per_tick) : 0;
}

static int64_t first_write(char *memory, double ns_per_tick)
{
    uint64_t cold = touch(memory, PAGE_BYTES, 1);
    return excess_ns(cold, touch(memory, PAGE_BYTES, 1), ns_per_tick);
}

/* `memory` has been written. */
static int64_t copy_on_write(char *memory, double ns_per_tick)
{
    volatile int64_t *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (told == MAP_FAILED)
        return 0;
    pid_t child = fork();
    if (child == 0) {
        *told = first_write(memory, ns_per_tick);
        _exit(0);
    }
    if (child > 0)
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
            ;
    int64_t cost_ns = *told;
    munmap((void *)told, sizeof *told);
    return cost_ns;
}

static int64_t first_read(double ns_per_tick)
{
    const size_t bytes = (size_t)SAMPLES * AROUND_BYTES;
    int64_t cost_ns = 0;
    int fd = memfd_create("snakefish-trace", MFD_CLOEXEC);
    if (fd < 0)
        return 0;
    if (ftruncate(fd, (off_t)bytes) == 0) {
        for (size_t i = 0; i < SAMPLES; i++)
            if (pwrite(fd, "", 1, (off_t)(i * AROUND_BYTES)) != 1)
                break;
        char *memory = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (memory != MAP_FAILED) {
            uint64_t cold = touch(memory, AROUND_BYTES, 0);
            cost_ns = excess_ns(cold, touch(memory, AROUND_BYTES, 0), ns_per_tick);
            munmap(memory, bytes);
        }
    }
    close(fd);
    return cost_ns;
}

void kernel_cost_measure(int64_t cost_ns[KERNEL_FAULT_KINDS], double ns_per_tick)
{
    const size_t bytes = (size_t)SAMPLES * PAGE_BYTES;
    memset(cost_ns, 0, KERNEL_FAULT_KINDS * sizeof *cost_ns);
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) {
        madvise(memory, bytes, MADV_NOHUGEPAGE);
        cost_ns[KERNEL_FIRST_WRITE] = first_write(memory, ns_per_tick);
        cost_ns[KERNEL_COPY_ON_WRITE] = copy_on_write(memory, ns_per_tick);
        munmap(memory, bytes);
    }
    cost_ns[KERNEL_FIRST_READ] = first_read(ns_per_tick);
}
