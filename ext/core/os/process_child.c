/* A child's first steps. See process_child.h.
 *
 * Death with the parent. The signal of PR_SET_PDEATHSIG comes when the *thread* that forked ends. If that is the main
 * thread, its process ends with it, and SIGKILL is right. Any other thread may end long before its process: then the
 * kernel makes another thread of the parent process the child's parent, sends the signal, and sends it again when that
 * thread ends. So such children get a signal with a handler, which checks whether the parent process itself has died.
 * An exec takes the handler away, and not the signal. So it is a signal that does nothing by default; else it would
 * kill the program when the thread ends. Of those, SIGURG is the one that programs use least. */
#include "core/os/process_child.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME_BYTES 15 /* PR_SET_NAME */

/* Written before the handler is installed, read by it. */
static pid_t watching, expected_parent; /* the process that has the handler, not those it forks; and its parent */
static struct sigaction action_before;  /* of SIGURG */

/* Async-signal-safe. */
static void on_parent_thread_death(int signal_number, siginfo_t *info, void *context)
{
    if (getpid() == watching && getppid() != expected_parent)
        kill(getpid(), SIGKILL);
    else if (action_before.sa_flags & SA_SIGINFO)
        action_before.sa_sigaction(signal_number, info, context);
    else if (action_before.sa_handler != SIG_DFL && action_before.sa_handler != SIG_IGN)
        action_before.sa_handler(signal_number);
}

static void watch_parent(pid_t parent)
{
    struct sigaction before, action = {.sa_sigaction = on_parent_thread_death, .sa_flags = SA_RESTART | SA_SIGINFO};
    watching = getpid();
    expected_parent = parent;
    if (sigaction(SIGURG, NULL, &before) == 0 && before.sa_sigaction != on_parent_thread_death)
        action_before = before;
    sigaction(SIGURG, &action, NULL);
}

void sf_process_child_prepare(struct sf_process_child *start, bool only_sigterm)
{
    sigset_t block;
    if (only_sigterm) {
        sigemptyset(&block);
        sigaddset(&block, SIGTERM);
    } else {
        sigfillset(&block);
    }
    start->parent = getpid();
    start->by_main_thread = (pid_t)syscall(SYS_gettid) == start->parent;
    pthread_sigmask(SIG_BLOCK, &block, &start->mask);
}

void sf_process_child_forked(const struct sf_process_child *start)
{
    pthread_sigmask(SIG_SETMASK, &start->mask, NULL);
}

bool sf_process_child_begin(const struct sf_process_child *start)
{
    struct sigaction before, by_default = {.sa_handler = SIG_DFL};
    sigset_t mask = start->mask;
    if (!start->by_main_thread)
        watch_parent(start->parent);
    prctl(PR_SET_PDEATHSIG, start->by_main_thread ? SIGKILL : SIGURG);
    if (getppid() != start->parent) /* it died before the prctl */
        kill(getpid(), SIGKILL);
    sigaction(SIGTERM, &by_default, &before);
    sigdelset(&mask, SIGTERM);
    if (!start->by_main_thread)
        sigdelset(&mask, SIGURG);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    return before.sa_flags & SA_SIGINFO || before.sa_handler != SIG_DFL;
}

void sf_process_child_name(const char *name)
{
    char cut[NAME_BYTES + 1];
    size_t bytes = strnlen(name, NAME_BYTES + 1);
    if (bytes > NAME_BYTES)
        for (bytes = NAME_BYTES; bytes > 0 && ((unsigned char)name[bytes] & 0xC0) == 0x80; bytes--) {
        }
    memcpy(cut, name, bytes);
    cut[bytes] = 0;
    prctl(PR_SET_NAME, cut);
}
