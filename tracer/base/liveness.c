/* The life of processes that are not our children. A pidfd is opened late, when the log was found, so the pid may
 * have gone to another process by then; that one's start time, in /proc, tells. Traced processes are expected to be
 * in the collector's pid namespace. */
#include "base/liveness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static bool read_file(const char *path, char *to, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, to, size - 1);
    close(fd);
    to[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* State letter and start time (ns of CLOCK_BOOTTIME) from /proc/<pid>/stat; false: no such process. */
static bool look(pid_t pid, char *state, int64_t *started_ns)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (!read_file(path, text, sizeof text))
        return false;
    char *at = strrchr(text, ')'); /* the name before it may hold anything */
    if (!at || strlen(at) < 3)
        return false;
    *state = at[2];
    at += 2;
    for (int field = 3; field < 22 && at; field++) {
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    long hz = sysconf(_SC_CLK_TCK);
    *started_ns = at ? (int64_t)(strtoull(at, NULL, 10) * (1000000000.0 / (double)hz)) : 0;
    return true;
}

/* Asks without a descriptor: for when there is none left to look with. */
static bool is_gone(pid_t pid)
{
    return kill(pid, 0) && errno == ESRCH;
}

void liveness_open(struct liveness *life, pid_t pid, int64_t age_ns)
{
    enum { SLACK_NS = 30000000 }; /* /proc tells the start in hundredths of a second, rounded down */
    struct timespec t;
    char state;
    int64_t started_ns;

    life->pid = pid;
    life->over = false;
    life->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (life->pidfd < 0 && (errno == ESRCH || errno == EINVAL)) {
        life->over = true;
        return;
    }
    if (life->pidfd >= 0)
        fcntl(life->pidfd, F_SETFD, FD_CLOEXEC);
    clock_gettime(CLOCK_BOOTTIME, &t);
    int64_t existed_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec - age_ns;
    if (!look(pid, &state, &started_ns))
        life->over = life->pidfd < 0 && is_gone(pid); /* without /proc the pidfd decides */
    else
        life->over = started_ns > existed_ns + SLACK_NS;
}

void liveness_close(struct liveness *life)
{
    if (life->pidfd >= 0)
        close(life->pidfd);
    life->pidfd = -1;
}

bool liveness_is_over(struct liveness *life)
{
    char state;
    int64_t started_ns;
    if (life->over)
        return true;
    if (life->pidfd >= 0) {
        struct pollfd poll_one = {.fd = life->pidfd, .events = POLLIN};
        life->over = poll(&poll_one, 1, 0) == 1;
    } else {
        life->over = look(life->pid, &state, &started_ns) ? state == 'Z' || state == 'X' : is_gone(life->pid);
    }
    return life->over;
}

bool liveness_is_collector(pid_t pid)
{
    char path[64], text[64], state;
    int64_t started_ns;
    if (pid <= 0 || !look(pid, &state, &started_ns) || state == 'Z' || state == 'X')
        return false;
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    return read_file(path, text, sizeof text) && strcmp(text, "snakefish-trace\n") == 0;
}
