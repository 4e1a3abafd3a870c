/* This process's pid. See pid.h.
 *
 * The handler is registered when the library is loaded. Handlers of a fork run in the child in the order in which they
 * were registered: so those of other files here, which are registered later, see the child's pid. */
#include "core/os/pid.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

static _Atomic pid_t known; /* 0: not asked for yet; no partner: every thread finds the same */
static bool hears_forks;    /* written once, when the library is loaded */

static void forget(void)
{
    atomic_store_explicit(&known, 0, memory_order_relaxed);
}

__attribute__((constructor)) static void hear_forks(void)
{
    hears_forks = pthread_atfork(NULL, NULL, forget) == 0;
}

pid_t sf_pid_own(void)
{
    pid_t pid = atomic_load_explicit(&known, memory_order_relaxed);
    if (pid)
        return pid;
    pid = getpid();
    if (hears_forks)
        atomic_store_explicit(&known, pid, memory_order_relaxed);
    return pid;
}
