/* Shared anonymous memory. See shm.h. */
#include "core/shm.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

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

void sf_shm_advise_huge(void *memory, size_t bytes)
{
    const uintptr_t huge = (uintptr_t)2 << 20;
    uintptr_t start = ((uintptr_t)memory + huge - 1) & ~(huge - 1), end = ((uintptr_t)memory + bytes) & ~(huge - 1);
    if (start < end)
        madvise((void *)start, end - start, MADV_HUGEPAGE);
}
