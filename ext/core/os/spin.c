/* Whether spinning is useful. See spin.h. */
#include "core/os/spin.h"

#include <sched.h>
#include <stdatomic.h>

enum answer { UNKNOWN = 0, NO, YES };

bool sf_spin_is_useful(void)
{
    static _Atomic int known; /* enum answer; relaxed, no partner: every thread finds the same */
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (answer == UNKNOWN) {
        cpu_set_t set;
        /* sched_getaffinity fails where the machine has more CPUs than the set holds (1024): so there is more than one
         */
        answer = sched_getaffinity(0, sizeof set, &set) || CPU_COUNT(&set) > 1 ? YES : NO;
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer == YES;
}
