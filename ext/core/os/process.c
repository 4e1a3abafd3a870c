/* Child processes in their parent. See process.h. */
#include "core/os/process.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/os/monotonic.h"

#if __has_include(<sys/single_threaded.h>) /* glibc 2.32 */
#include <sys/single_threaded.h>
#define KNOWS_SINGLE /* what it says is true if it says so: from the first thread on it may say no for ever */
#endif
#define FIRST_PAUSE_NS                                                                                                 \
    INT64_C(200000) /* between two looks where there is no pidfd; each pause is twice the last one                     \
                     */
#define LAST_PAUSE_NS INT64_C(5000000)
#define PIDFS 0x50494446 /* the file system that pidfds have from Linux 6.9 on */
#define FEW 16           /* children that are waited for without allocating memory */

int sf_process_open_pidfd(pid_t child)
{
    int fd = (int)syscall(SYS_pidfd_open, child, 0);
    return fd < 0 ? -errno : fd;
}

/* pidfs has one device, and is asked for once: the kernel does not change. */
static bool has_inode_of_its_own(const struct sf_own_fd *pidfd)
{
    static _Atomic uint64_t known; /* its device and 1 more; no partner: every thread finds the same */
    struct statfs status;
    uint64_t device = (uint64_t)pidfd->device + 1;
    if (atomic_load_explicit(&known, memory_order_relaxed) == device)
        return true;
    bool found = fstatfs(pidfd->fd, &status) == 0 && status.f_type == PIDFS;
    if (found)
        atomic_store_explicit(&known, device, memory_order_relaxed);
    return found;
}

/* Whether one of the numbers in the text is this one. */
static bool has_number(const char *text, long number)
{
    char *end;
    for (long found = strtol(text, &end, 10); end != text; text = end, found = strtol(text, &end, 10))
        if (found == number)
            return true;
    return false;
}

/* Whether /proc says that the descriptor is a pidfd of the child, or of a process that was reaped. True where /proc
 * cannot be read. NSpid has the child's numbers in all pid namespaces below that of /proc. */
static bool is_of(int fd, pid_t child)
{
    char path[48], line[128];
    bool found = false;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *file = fopen(path, "re");
    if (!file)
        return true;
    while (!found && fgets(line, sizeof line, file)) {
        if (strncmp(line, "Pid:", 4) == 0)
            found = has_number(line + 4, child) || has_number(line + 4, -1);
        else if (strncmp(line, "NSpid:", 6) == 0)
            found = has_number(line + 6, child);
    }
    fclose(file);
    return found;
}

int sf_process_get_pidfd(const struct sf_own_fd *pidfd, pid_t child)
{
    int fd = sf_own_fd_get(pidfd);
    return fd >= 0 && (has_inode_of_its_own(pidfd) || is_of(fd, child)) ? fd : -1;
}

void sf_process_close_pidfd(struct sf_own_fd *pidfd, pid_t child)
{
    int fd = sf_process_get_pidfd(pidfd, child);
    if (fd >= 0)
        close(fd);
    *pidfd = SF_OWN_FD_NONE;
}

/* ---- signals ---- */

static bool is_reaped(pid_t child)
{
    siginfo_t info;
    return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) && errno == ECHILD;
}

int sf_process_signal(pid_t child, int signal_number)
{
    assert(child > 0); /* others are groups of processes */
    int error = -ESRCH, pidfd = sf_process_open_pidfd(child);
    /* Not reaped after the pidfd was opened, so the pidfd is the child's. Without one, nothing else in this process
     * reaps between the two calls, unless another thread waits for children that it has not started. */
    if (!is_reaped(child)) {
        bool sent = pidfd >= 0 && syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0u) == 0;
        error = sent || kill(child, signal_number) == 0 ? 0 : -errno;
    }
    if (pidfd >= 0)
        close(pidfd);
    return error;
}

/* ---- waiting ---- */

struct waited {
    pid_t child;
    struct sf_own_fd pidfd; /* none: the child has to be looked at */
};

/* False: one of the children is gone already. */
static bool open_pidfds(struct waited *waited, struct pollfd *polled, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (sf_own_fd_take(&waited[i].pidfd, sf_process_open_pidfd(waited[i].child)) == -ESRCH)
            return false;
        polled[i] = (struct pollfd){.fd = waited[i].pidfd.fd, .events = POLLIN}; /* ppoll passes over -1 */
    }
    return true;
}

/* Whether one of the children that have no pidfd is dead. *any: whether there is such a child. */
static bool look(const struct waited *waited, const struct pollfd *polled, size_t count, bool *any)
{
    *any = false;
    for (size_t i = 0; i < count; i++) {
        if (polled[i].fd >= 0)
            continue;
        if (sf_process_is_dead(waited[i].child))
            return true;
        *any = true;
    }
    return false;
}

/* After ppoll. Whether one is dead. A descriptor that the program has closed meanwhile is not waited on any more. */
static bool found(struct pollfd *polled, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (polled[i].revents & POLLIN)
            return true;
        if (polled[i].revents)
            polled[i].fd = -1;
    }
    return false;
}

static int wait_for(const struct waited *waited, struct pollfd *polled, size_t count, int64_t timeout_ns)
{
    int64_t left_ns = timeout_ns, end_ns = sf_monotonic_ns() + timeout_ns, pause_ns = FIRST_PAUSE_NS;
    bool any;
    while (!look(waited, polled, count, &any)) {
        struct timespec limit = sf_monotonic_timespec(any && pause_ns < left_ns ? pause_ns : left_ns);
        if (ppoll(polled, count, &limit, NULL) < 0)
            return -errno;
        if (found(polled, count))
            return 0;
        left_ns = end_ns - sf_monotonic_ns();
        if (left_ns <= 0)
            return -ETIMEDOUT;
        pause_ns = pause_ns < LAST_PAUSE_NS / 2 ? 2 * pause_ns : LAST_PAUSE_NS;
    }
    return 0;
}

int sf_process_wait_any(const pid_t *children, size_t count, int64_t timeout_ns)
{
    struct waited few_waited[FEW], *many_waited = count > FEW ? calloc(count, sizeof *many_waited) : NULL;
    struct pollfd few_polled[FEW], *many_polled = count > FEW ? calloc(count, sizeof *many_polled) : NULL;
    bool are_many = many_waited && many_polled;
    struct waited *waited = are_many ? many_waited : few_waited;
    struct pollfd *polled = are_many ? many_polled : few_polled;
    if (count > FEW && !are_many) { /* no memory: waits for some of them, and not for long */
        count = FEW;
        timeout_ns = timeout_ns < LAST_PAUSE_NS ? timeout_ns : LAST_PAUSE_NS;
    }
    for (size_t i = 0; i < count; i++)
        waited[i] = (struct waited){children[i], SF_OWN_FD_NONE};
    int error = open_pidfds(waited, polled, count) ? wait_for(waited, polled, count, timeout_ns) : 0;
    for (size_t i = 0; i < count; i++)
        sf_process_close_pidfd(&waited[i].pidfd, waited[i].child);
    free(many_waited);
    free(many_polled);
    return error;
}

int sf_process_wait(pid_t child, int64_t timeout_ns)
{
    return sf_process_wait_any(&child, 1, timeout_ns);
}

/* ---- the end ---- */

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

uint64_t sf_process_threads(void)
{
#ifdef KNOWS_SINGLE
    if (__libc_single_threaded)
        return 1;
#endif
    struct stat tasks; /* a directory with one folder for each thread, and so many links */
    return stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink > 2 ? tasks.st_nlink - 2 : 0;
}
