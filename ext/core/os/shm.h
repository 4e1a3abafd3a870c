/* Anonymous memory that is shared with the processes forked after it was mapped. It is zeroed, and has no name, so
 * nothing is left behind. */
#ifndef SF_CORE_OS_SHM_H
#define SF_CORE_OS_SHM_H

#include <stddef.h>

#define SF_SHM_PAGE_BYTES 4096u

/* Maps `bytes` bytes, which cost no memory until they are touched. The mapping is the caller's. 0 or -errno (-ENOMEM:
 * no memory or address space). */
int sf_shm_map(void **out, size_t bytes);

/* Unmaps it in this process only. NULL is allowed. */
void sf_shm_unmap(void *mapped, size_t bytes);

/* Call it before all of these bytes of private memory are written. The kernel then provides huge pages, or all pages at
 * once, which takes far fewer page faults. For little memory it does nothing. */
void sf_shm_will_fill(void *memory, size_t bytes);

/* Reserves the pages of a shared mapping, from a page's beginning on, without changing its content. After that, writing
 * to them does not fail. 0 or -errno (-ENOMEM, -EFAULT: no room; -EINVAL: before Linux 5.14). */
int sf_shm_reserve(void *memory, size_t bytes);

/* Call it before all of these bytes of a shared mapping are read: maps their pages at once, which takes far fewer page
 * faults. 0 or -errno: they cannot be read. Before Linux 5.14 it does nothing. */
int sf_shm_will_read(const void *memory, size_t bytes);

/* Gives whole pages of a shared mapping back to the system: they read as zeros, in every process. 0 or -errno. */
int sf_shm_give_back(void *memory, size_t bytes);

#endif
