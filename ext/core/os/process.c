/* Child processes. See process.h.
 *
 * Death with the parent. The signal of PR_SET_PDEATHSIG comes when the *thread* that forked ends. If that is the main
 * thread, its process ends with it, and SIGKILL is right. Any other thread may end long before its process: then the
 * kernel makes another thread of the parent process the child's parent, sends the signal, and sends it again when that
 * thread ends. So such children get a signal with a handler, which checks whether the parent process itself has died.
 */
#include "core/os/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/os/monotonic.h"

#define PAUSE_NS INT64_C(1000000) /* between two looks where there is no pidfd to sleep on */

static pid_t expected_parent; /* written before the handler is installed, read by it */

static int parent_death_signal(void)
{
    return SIGRTMAX - 1;
}

/* Async-signal-safe. */
static void on_parent_thread_death(int signal_number)
{
    (void)signal_number;
    if (getppid() != expected_parent)
        kill(getpid(), SIGKILL);
}

int sf_process_die_with_parent(pid_t parent, bool by_main_thread)
{
    int signal_number = SIGKILL;
    if (!by_main_thread) {
        signal_number = parent_death_signal();
        expected_parent = parent;
        struct sigaction action = {.sa_handler = on_parent_thread_death, .sa_flags = SA_RESTART};
        sigset_t unblock;
        sigemptyset(&unblock);
        sigaddset(&unblock, signal_number);
        if (sigaction(signal_number, &action, NULL) || sigprocmask(SIG_UNBLOCK, &unblock, NULL))
            return -errno;
    }
    if (prctl(PR_SET_PDEATHSIG, signal_number))
        return -errno;
    if (getppid() != parent) /* it died before the prctl */
        kill(getpid(), SIGKILL);
    return 0;
}

int sf_process_open_pidfd(pid_t child)
{
    int fd = (int)syscall(SYS_pidfd_open, child, 0);
    return fd < 0 ? -errno : fd;
}

int sf_process_signal(int pidfd, int signal_number)
{
    return syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0u) ? -errno : 0;
}

int sf_process_wait(int pidfd, int64_t timeout_ns)
{
    return sf_process_wait_any(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, timeout_ns);
}

int sf_process_wait_any(struct pollfd *waited, nfds_t count, int64_t timeout_ns)
{
    bool closed = false;
    for (nfds_t i = 0; i < count; i++)
        closed |= waited[i].fd < 0;
    struct timespec pause = sf_monotonic_timespec(timeout_ns < PAUSE_NS ? timeout_ns : PAUSE_NS);
    struct timespec limit = closed ? pause : sf_monotonic_timespec(timeout_ns);
    if (ppoll(waited, count, &limit, NULL) < 0)
        return -errno;
    for (nfds_t i = 0; i < count; i++) {
        if (waited[i].revents & POLLIN)
            return 0;
        if (waited[i].revents & POLLNVAL) /* ppoll did not wait: without a pause the caller would spin */
            return nanosleep(&pause, NULL) ? -errno : -ETIMEDOUT;
    }
    return -ETIMEDOUT;
}

bool sf_process_is_dead(pid_t child)
{
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) ? errno == ECHILD : info.si_pid == child;
}

int sf_process_try_reap(pid_t child, int32_t *status)
{
    int raw;
    pid_t got;
    do
        got = waitpid(child, &raw, WNOHANG);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return 0;
    if (got < 0) {
        if (errno != ECHILD)
            return -errno;
        *status = SF_PROCESS_STATUS_UNKNOWN;
        return 1;
    }
    *status = WIFSIGNALED(raw) ? -WTERMSIG(raw) : WEXITSTATUS(raw);
    return 1;
}
