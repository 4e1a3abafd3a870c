/* Delayed signals. See signal_delay.h. */
#include "core/os/signal_delay.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

static struct sigaction saved[NSIG]; /* of the signals in `replaced` */
static uint64_t replaced;            /* a bit for each signal, from 1 on: its handler is note() */
static _Atomic uint64_t noted;
static _Atomic pid_t delaying; /* the process that delays; 0: none */
static unsigned depth;         /* of pairs, in that process */

/* A thread may still be in here after the end. Either it sees that, or the end sees what it has noted. */
static void note(int signal_number)
{
    uint64_t bit = sf_signal_delay_bit(signal_number);
    if (atomic_load(&delaying) == getpid()) {
        atomic_fetch_or(&noted, bit);
        if (atomic_load(&delaying) == getpid() || !(atomic_fetch_and(&noted, ~bit) & bit))
            return;
    }
    saved[signal_number].sa_handler(signal_number);
}

static bool is_fault(int signal_number)
{
    switch (signal_number) {
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
    case SIGSYS:
    case SIGABRT:
        return true;
    default:
        return false;
    }
}

static void replace(int signal_number)
{
    struct sigaction action;
    if (is_fault(signal_number) || sigaction(signal_number, NULL, &action))
        return;
    if (action.sa_flags & (SA_SIGINFO | (int)SA_RESETHAND) || action.sa_handler == SIG_DFL ||
        action.sa_handler == SIG_IGN)
        return;
    replaced |= sf_signal_delay_bit(signal_number);
    if (action.sa_handler == note) /* this process was forked by one that delays */
        return;
    saved[signal_number] = action;
    action.sa_handler = note;
    sigaction(signal_number, &action, NULL);
}

/* Unless the program has set another action meanwhile. */
static void restore(int signal_number)
{
    struct sigaction now;
    if (sigaction(signal_number, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == note)
        sigaction(signal_number, &saved[signal_number], NULL);
}

void sf_signal_delay_begin(uint64_t signals)
{
    if (atomic_load(&delaying) == getpid()) {
        depth++;
        return;
    }
    sf_signal_delay_adopt();
    for (int number = 1; number < NSIG; number++)
        if (signals & sf_signal_delay_bit(number))
            replace(number);
}

void sf_signal_delay_adopt(void)
{
    depth = 1;
    atomic_store(&noted, 0);
    atomic_store(&delaying, getpid());
}

void sf_signal_delay_end(void)
{
    bool own = atomic_load(&delaying) == getpid();
    if (own && --depth > 0)
        return;
    for (int number = 1; number < NSIG; number++)
        if (replaced & sf_signal_delay_bit(number))
            restore(number);
    replaced = 0;
    atomic_store(&delaying, 0);
    uint64_t late = atomic_exchange(&noted, 0);
    for (int number = 1; own && number < NSIG; number++)
        if (late & sf_signal_delay_bit(number))
            kill(getpid(), number);
}
