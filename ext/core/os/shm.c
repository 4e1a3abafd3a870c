/* Shared anonymous memory. See shm.h. */
#include "core/os/shm.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE /* Linux 5.14 */
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

#define PAGE ((uintptr_t)SF_SHM_PAGE_BYTES)
#define HUGE ((uintptr_t)2 << 20)
#define POPULATE_BYTES (128u << 10) /* malloc maps fresh memory from this size on; less comes from what it has */

int sf_shm_map(void **out, size_t bytes)
{
    void *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED)
        return -errno;
    *out = mapped;
    return 0;
}

void sf_shm_unmap(void *mapped, size_t bytes)
{
    if (mapped)
        munmap(mapped, bytes);
}

/* Whether the memory is fresh from the kernel: whether its middle has no page yet. Memory that malloc uses again has
 * its pages. */
static bool is_fresh(uintptr_t start, size_t bytes)
{
    unsigned char resident;
    uintptr_t middle = (start + bytes / 2) & ~(PAGE - 1);
    return mincore((void *)middle, PAGE, &resident) == 0 && !(resident & 1);
}

void sf_shm_will_fill(void *memory, size_t bytes)
{
    uintptr_t start = (uintptr_t)memory, end = start + bytes;
    uintptr_t huge_start = (start + HUGE - 1) & ~(HUGE - 1), huge_end = end & ~(HUGE - 1);
    if (huge_start < huge_end)
        madvise((void *)huge_start, huge_end - huge_start, MADV_HUGEPAGE);
    else if (bytes >= POPULATE_BYTES && is_fresh(start, bytes)) /* older kernels refuse; then each page costs a fault */
        madvise((void *)(start & ~(PAGE - 1)), end - (start & ~(PAGE - 1)), MADV_POPULATE_WRITE);
}

static int populate(void *memory, size_t bytes, int advice)
{
    int got;
    do
        got = madvise(memory, bytes, advice);
    while (got && errno == EINTR);
    return got ? -errno : 0;
}

int sf_shm_reserve(void *memory, size_t bytes)
{
    return populate(memory, bytes, MADV_POPULATE_WRITE);
}

int sf_shm_will_read(const void *memory, size_t bytes)
{
    uintptr_t start = (uintptr_t)memory & ~(PAGE - 1);
    int error = populate((void *)start, (uintptr_t)memory + bytes - start, MADV_POPULATE_READ);
    return error == -EINVAL ? 0 : error;
}

int sf_shm_give_back(void *memory, size_t bytes)
{
    return madvise(memory, bytes, MADV_REMOVE) ? -errno : 0;
}
