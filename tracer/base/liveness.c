/* See liveness.h. A pidfd is opened when a process's log is found. By then the process may have ended, and its pid may
 * belong to another one: the start time in /proc shows that. A /proc of another pid namespace, as a container may have
 * it, speaks of other processes under the same numbers, and is not read. */
#include "base/liveness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

bool liveness_has_proc(void)
{
    char link[32];
    ssize_t n = readlink("/proc/self", link, sizeof link - 1);
    link[n > 0 ? n : 0] = '\0';
    return strtol(link, NULL, 10) == getpid();
}

/* What /proc/<pid>/stat says. */
struct stat_line {
    char state;
    pid_t parent;
    int64_t started_ns; /* of CLOCK_BOOTTIME */
};

/* false: no such process, or no such /proc. */
static bool read_stat(pid_t pid, struct stat_line *line)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (!liveness_has_proc() || !file_read_small(path, text, sizeof text))
        return false;
    char *at = strrchr(text, ')'); /* the program's name before it may contain any character */
    if (!at || strlen(at) < 5)     /* ") S 123 ..." */
        return false;
    line->state = at[2];
    line->parent = (pid_t)strtol(at + 4, NULL, 10);
    at += 2;
    for (int field = 3; field < 22 && at; field++) {
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    long hz = sysconf(_SC_CLK_TCK);
    line->started_ns = at ? (int64_t)(strtoull(at, NULL, 10) * ((double)NS_PER_S / (double)hz)) : 0;
    return true;
}

static bool is_dead(const struct stat_line *line)
{
    return line->state == 'Z' || line->state == 'X';
}

/* Needs no descriptor, unlike read_stat. */
static bool is_gone(pid_t pid)
{
    return kill(pid, 0) && errno == ESRCH;
}

void liveness_open(struct liveness *liveness, pid_t pid, int64_t age_ns)
{
    enum { SLACK_NS = 30 * NS_PER_MS }; /* /proc has the start in hundredths of a second, rounded down */
    struct stat_line line;

    liveness->pid = pid;
    liveness->over = false;
    liveness->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (liveness->pidfd < 0 && (errno == ESRCH || errno == EINVAL)) {
        liveness->over = true;
        return;
    }
    if (liveness->pidfd >= 0)
        fcntl(liveness->pidfd, F_SETFD, FD_CLOEXEC);
    int64_t existed_ns = clock_system_ns(CLOCK_BOOTTIME) - age_ns;
    if (!read_stat(pid, &line))
        liveness->over = liveness->pidfd < 0 && is_gone(pid); /* without /proc the pidfd decides */
    else
        liveness->over = line.started_ns > existed_ns + SLACK_NS;
}

void liveness_close(struct liveness *liveness)
{
    if (liveness->pidfd >= 0)
        close(liveness->pidfd);
    liveness->pidfd = -1;
}

bool liveness_is_over(struct liveness *liveness)
{
    struct stat_line line;
    if (liveness->over)
        return true;
    if (liveness->pidfd >= 0) {
        struct pollfd poll_one = {.fd = liveness->pidfd, .events = POLLIN};
        liveness->over = poll(&poll_one, 1, 0) == 1;
    } else {
        liveness->over = read_stat(liveness->pid, &line) ? is_dead(&line) : is_gone(liveness->pid);
    }
    return liveness->over;
}

pid_t liveness_parent(pid_t pid)
{
    struct stat_line line;
    return read_stat(pid, &line) ? line.parent : 0;
}

bool liveness_is_collector(pid_t pid)
{
    char path[64], text[64];
    struct stat_line line;
    if (pid <= 0 || !read_stat(pid, &line) || is_dead(&line))
        return false;
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    return file_read_small(path, text, sizeof text) && strcmp(text, "snakefish-trace\n") == 0;
}
