/* Whether a process still lives, from kill(2) and /proc/<pid>/stat. The only state is this process's own stack address.
 * Where something cannot be known the answer is "alive", because taking over from a live process destroys data, while
 * waiting for a dead one only costs time.
 *
 * An exec keeps the pid and the start, but begins a new stack at a random address; a fork keeps the stack's address. So
 * processes that come from one process by fork have the same address, and one with another address has exec'ed since.
 * (Apart from exec only prctl(PR_SET_MM) changes it, which is for restoring checkpoints; and a restored process has its
 * old address.) */
#include "core/os/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/os/monotonic.h"

enum { FIELD_STATE = 3, FIELD_THREADS = 20, FIELD_START = 22, FIELD_STACK = 28 }; /* from 1: proc(5) */

uint64_t sf_identity_now(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_BOOTTIME, &now))
        return 1;
    return (uint64_t)now.tv_sec * (uint64_t)SF_NS_PER_S + (uint64_t)now.tv_nsec;
}

bool sf_identity_exists(pid_t pid)
{
    int error = errno;
    bool exists = pid > 0 && (kill(pid, 0) == 0 || errno != ESRCH);
    errno = error;
    return exists;
}

/* Reads a number. False for one at the end of the line, because its last digits may have been cut off. */
static bool read_number(const char *at, const char *end, uint64_t *out)
{
    uint64_t value = 0;
    const char *digit = at;
    for (; digit < end && *digit >= '0' && *digit <= '9'; digit++)
        value = value * 10 + (uint64_t)(*digit - '0');
    if (digit == at || digit == end)
        return false;
    *out = value;
    return true;
}

bool sf_identity_parse(const char *line, size_t length, struct sf_identity_stat *out)
{
    /* The name may hold spaces, parentheses and newlines. Nothing after it holds a ')', so look for the last one. */
    const char *end = line + length, *at = memrchr(line, ')', length);
    if (!at || end - at < 3 || at[1] != ' ')
        return false;
    at += 2;
    *out = (struct sf_identity_stat){.state = *at};
    for (int field = FIELD_STATE + 1; field <= FIELD_STACK; field++) {
        at = memchr(at, ' ', (size_t)(end - at));
        if (!at)
            return field > FIELD_START;
        at++;
        if (field == FIELD_THREADS && !read_number(at, end, &out->threads))
            return false;
        if (field == FIELD_START && !read_number(at, end, &out->start_ticks))
            return false;
        if (field == FIELD_STACK)
            read_number(at, end, &out->stack);
    }
    return true;
}

/* False if the file cannot be read or has no such line. Keeps errno. */
static bool read_stat(const char *path, struct sf_identity_stat *out)
{
    char line[1024];
    int error = errno, fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = -1;
    if (fd >= 0) {
        do
            got = read(fd, line, sizeof line); /* one read gives the whole line: the kernel makes it at once */
        while (got < 0 && errno == EINTR);
        close(fd);
    }
    errno = error;
    return got > 0 && sf_identity_parse(line, (size_t)got, out);
}

/* "/proc/<pid>/stat", by hand, because snprintf is not async-signal-safe. */
static void stat_path(pid_t pid, char path[32])
{
    char digits[12];
    size_t at = strlen("/proc/"), n = 0;
    memcpy(path, "/proc/", at);
    for (unsigned rest = (unsigned)pid; rest || !n; rest /= 10)
        digits[n++] = (char)('0' + rest % 10);
    while (n)
        path[at++] = digits[--n];
    memcpy(path + at, "/stat", sizeof "/stat");
}

/* Whether /proc numbers processes as this process does. In a pid namespace that has no /proc of its own it does not:
 * there /proc/5 may be another process than the one that we call 5. Asked each time: a forked child may have the pid of
 * its parent in a namespace of its own. */
static bool is_own_proc(void)
{
    char link[16];
    int error = errno;
    ssize_t length = readlink("/proc/self", link, sizeof link);
    errno = error;
    long pid = 0;
    for (ssize_t i = 0; i < length && link[i] >= '0' && link[i] <= '9'; i++)
        pid = pid * 10 + (link[i] - '0');
    return pid == getpid();
}

/* This process's stack address, 0 if it cannot be known. It is read from the thread's file, because user-mode emulators
 * make up their own contents for the process's file, but not for the thread's. */
static uint64_t own_stack(void)
{
    static _Atomic uint64_t known; /* no partner: every thread finds the same, and so does a forked child */
    uint64_t stack = atomic_load_explicit(&known, memory_order_relaxed);
    struct sf_identity_stat self;
    if (!stack && read_stat("/proc/thread-self/stat", &self)) {
        stack = self.stack;
        atomic_store_explicit(&known, stack, memory_order_relaxed);
    }
    return stack;
}

uint32_t sf_identity_space(void)
{
    struct stat st;
    int error = errno;
    bool known = stat("/proc/self/ns/pid", &st) == 0;
    errno = error;
    return known ? (uint32_t)st.st_ino : 0;
}

uint64_t sf_identity_age_ns(void)
{
    struct sf_identity_stat self;
    long ticks_per_s = sysconf(_SC_CLK_TCK);
    if (!read_stat("/proc/self/stat", &self) || ticks_per_s <= 0)
        return 0;
    uint64_t start_ns = self.start_ticks * ((uint64_t)SF_NS_PER_S / (uint64_t)ticks_per_s), now_ns = sf_identity_now();
    return now_ns > start_ns ? now_ns - start_ns : 1;
}

bool sf_identity_alive(pid_t pid, uint64_t since_ns)
{
    char path[32];
    struct sf_identity_stat stat;
    if (!sf_identity_exists(pid))
        return false;
    stat_path(pid, path);
    long ticks_per_s = sysconf(_SC_CLK_TCK);
    /* Not readable: there is no /proc, it is another namespace's, it hides other users' processes, or this process has
     * just ended. Then the pid decides. */
    if (!is_own_proc() || !read_stat(path, &stat) || ticks_per_s <= 0)
        return sf_identity_exists(pid);
    if (stat.state == 'X' || stat.state == 'x')
        return false;
    /* The state is also Z when the main thread has ended and others run, but then the process counts those threads. */
    if (stat.state == 'Z' && stat.threads <= 1)
        return false;
    if (stat.stack && own_stack() && stat.stack != own_stack())
        return false;
    /* The start is rounded down to whole ticks, so a process that lived at since_ns started in that tick or before. */
    return stat.start_ticks <= since_ns / ((uint64_t)SF_NS_PER_S / (uint64_t)ticks_per_s);
}
