/* Whether a process still lives, from kill(2) and /proc/<pid>/stat. No state; errors lean to "alive", because
 * taking over from a live process destroys data, while waiting for a dead one costs time. */
#include "identity.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)

enum { FIELD_STATE = 3, FIELD_THREADS = 20, FIELD_START = 22 }; /* numbered from 1, as in proc(5) */

uint64_t sf_identity_now(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_BOOTTIME, &now))
        return 1;
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

bool sf_identity_exists(pid_t pid)
{
    int error = errno;
    bool exists = pid > 0 && (kill(pid, 0) == 0 || errno != ESRCH);
    errno = error;
    return exists;
}

bool sf_identity_parse(const char *line, size_t length, char *state, uint64_t *threads, uint64_t *start_ticks)
{
    /* The name may hold spaces, parentheses and newlines, but nothing after it holds a ')': look from the end. */
    const char *end = line + length, *at = memrchr(line, ')', length);
    if (!at || end - at < 3 || at[1] != ' ')
        return false;
    at += 2;
    *state = *at;
    for (int field = FIELD_STATE; field < FIELD_START; field++) {
        at = memchr(at, ' ', (size_t)(end - at));
        if (!at)
            return false;
        at++;
        if (field + 1 != FIELD_THREADS && field + 1 != FIELD_START)
            continue;
        uint64_t value = 0;
        const char *digit = at;
        for (; digit < end && *digit >= '0' && *digit <= '9'; digit++)
            value = value * 10 + (uint64_t)(*digit - '0');
        if (digit == at || digit == end)
            return false;
        *(field + 1 == FIELD_THREADS ? threads : start_ticks) = value;
    }
    return true;
}

/* Length of the line, 0 if there is none. By hand, because snprintf is not async-signal-safe. */
static size_t read_stat(pid_t pid, char *line, size_t size)
{
    char path[32] = "/proc/", digits[12];
    size_t at = strlen(path), n = 0;
    for (unsigned rest = (unsigned)pid; rest || !n; rest /= 10)
        digits[n++] = (char)('0' + rest % 10);
    while (n)
        path[at++] = digits[--n];
    memcpy(path + at, "/stat", sizeof "/stat");

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t got;
    do
        got = read(fd, line, size); /* one read gives the whole line: it is made in one go */
    while (got < 0 && errno == EINTR);
    close(fd);
    return got < 0 ? 0 : (size_t)got;
}

bool sf_identity_alive(pid_t pid, uint64_t since_ns)
{
    char line[1024], state;
    uint64_t threads, start_ticks;
    if (!sf_identity_exists(pid))
        return false;
    int error = errno;
    size_t length = read_stat(pid, line, sizeof line);
    long ticks_per_s = sysconf(_SC_CLK_TCK);
    errno = error;
    /* Unreadable: there is no /proc, it hides other users' processes, or this one ended just now. The pid decides,
     * and in the last case says so the next time. */
    if (!length || !sf_identity_parse(line, length, &state, &threads, &start_ticks) || ticks_per_s <= 0)
        return sf_identity_exists(pid);
    if (state == 'X' || state == 'x')
        return false;
    /* A first thread that has ended while others run is a Z as well; but then the process counts those threads. */
    if (state == 'Z' && threads <= 1)
        return false;
    /* The start is cut down to whole ticks, so a process alive at `since` has a start of at most since's tick. */
    return start_ticks <= since_ns / (NS_PER_S / (uint64_t)ticks_per_s);
}
