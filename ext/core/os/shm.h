/* Anonymous memory shared with the processes forked after it was mapped. Zeroed; nothing is left behind. */
#ifndef SF_CORE_OS_SHM_H
#define SF_CORE_OS_SHM_H

#include <stddef.h>

/* 0 or -errno (-ENOMEM: no memory or address space). The mapping is the caller's. */
int sf_shm_map(void **out, size_t bytes);

/* In this process only. */
void sf_shm_unmap(void *mapped, size_t bytes);

/* `bytes` bytes of private memory, all of which are about to be filled: has the kernel give huge pages, or the pages at
 * once, which takes far fewer faults. For small ones nothing happens. */
void sf_shm_will_fill(void *memory, size_t bytes);

#endif
