/* See usage.h. What was used before the log was made is remembered with the process that it is true of: a child finds
 * its parent's, which is not its own. */
#include "core/log/usage.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "core/log/log.h"
#include "core/log/sampler.h"

struct usage {
    uint64_t own_ns, children_ns;
};

static struct {
    struct usage usage;
    uint32_t forks; /* of that process: see sf_log_forks */
} before;

static uint64_t cpu_ns(int who)
{
    struct rusage rusage;
    if (getrusage(who, &rusage))
        return 0;
    return (uint64_t)(rusage.ru_utime.tv_sec + rusage.ru_stime.tv_sec) * 1000000000 +
           (uint64_t)(rusage.ru_utime.tv_usec + rusage.ru_stime.tv_usec) * 1000;
}

static struct usage usage_now(void)
{
    return (struct usage){cpu_ns(RUSAGE_SELF), cpu_ns(RUSAGE_CHILDREN)};
}

void sf_usage_write(void)
{
    if (!sf_log_enabled())
        return;
    sf_sampler_finish();
    struct usage now = usage_now(), then = before.forks == sf_log_forks() ? before.usage : (struct usage){0, 0};
    sf_log_write(SF_EVENT_USAGE, SF_PHASE_INSTANT, 0, now.own_ns - then.own_ns, now.children_ns - then.children_ns);
}

/* The interpreter may be gone, or not know this thread: in a process that a thread has forked, its end is the exit. */
static void write_at_exit(void)
{
    sf_log_name_threads_by(NULL);
    sf_usage_write();
}

void sf_usage_begin(void)
{
    static bool at_exit; /* inherited by children, like what it says */
    before.usage = usage_now();
    before.forks = sf_log_forks();
    at_exit = at_exit || atexit(write_at_exit) == 0;
}
