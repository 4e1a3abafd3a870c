/* See bus.h. A guard is published by its address, and taken back by address 0: the handler, which may run at any moment
 * and in any thread, sees a complete one or none. */
#include "core/os/bus.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

static struct {
    _Atomic uintptr_t start; /* 0: free */
    size_t bytes;
} guards[SF_BUS_GUARDS_MAX];

static struct sigaction before; /* what to do with every other SIGBUS */
static bool is_installed;

static bool replace(uintptr_t at)
{
    for (int i = 0; i < SF_BUS_GUARDS_MAX; i++) {
        /* acquire: partner is the release in sf_bus_guard, after which bytes is valid */
        uintptr_t start = atomic_load_explicit(&guards[i].start, memory_order_acquire);
        if (start && at >= start && at - start < guards[i].bytes)
            return mmap((void *)start, guards[i].bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED;
    }
    return false;
}

static void on_bus(int number, siginfo_t *info, void *context)
{
    int error = errno;
    if (info->si_code == BUS_ADRERR && replace((uintptr_t)info->si_addr)) {
        errno = error;
        return;
    }
    errno = error;
    if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(number, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(number);
    } else if (info->si_code > 0 || before.sa_handler == SIG_DFL) { /* sent by the kernel: cannot be ignored */
        sigaction(SIGBUS, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        raise(SIGBUS); /* blocked until this handler returns; where it came from an instruction, that fails once more */
    }
}

static bool install(void)
{
    struct sigaction action = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    if (!is_installed && sigaction(SIGBUS, NULL, &before) == 0)
        is_installed = sigaction(SIGBUS, &action, NULL) == 0;
    return is_installed;
}

bool sf_bus_guard(void *mapped, size_t bytes)
{
    for (int i = 0; i < SF_BUS_GUARDS_MAX && install(); i++) {
        if (atomic_load_explicit(&guards[i].start, memory_order_relaxed))
            continue;
        guards[i].bytes = bytes;
        atomic_store_explicit(&guards[i].start, (uintptr_t)mapped, memory_order_release);
        return true;
    }
    return false;
}

void sf_bus_unguard(const void *mapped)
{
    for (int i = 0; i < SF_BUS_GUARDS_MAX; i++)
        if (atomic_load_explicit(&guards[i].start, memory_order_relaxed) == (uintptr_t)mapped)
            atomic_store_explicit(&guards[i].start, 0, memory_order_release);
}
