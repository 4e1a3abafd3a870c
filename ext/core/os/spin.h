/* Spinning: waiting for another CPU without giving up one's own. */
#ifndef SF_CORE_OS_SPIN_H
#define SF_CORE_OS_SPIN_H

#include <stdbool.h>

/* Tells the CPU that this is a spin loop. */
static inline void sf_spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

/* Whether this process may run on more than one CPU: else nothing can happen while it spins. The kernel is asked once,
 * so a later change of the affinity mask is not noticed. */
bool sf_spin_is_useful(void);

#endif
