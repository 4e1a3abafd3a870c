/* The CPU time that a process says it has used, when it ends in each of its ways. */
#include "core/log/usage.h"

#include "core/log/log.h"
#include "core/log/log_session.h"
#include "harness.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define MS 1000000ull

static void burn(uint64_t ms)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    uint64_t end_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec + ms * MS;
    while ((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec < end_ns)
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
}

static uint64_t used_ns(int who)
{
    struct rusage usage;
    CHECK_EQ(0, getrusage(who, &usage));
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 * MS +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

static uint64_t before_ns; /* used before the log was made */

static void begin(void)
{
    CHECK_EQ(0, sf_log_init());
    make_session("/dev/shm", 4096);
    burn(30); /* before the log: it does not count */
    before_ns = used_ns(RUSAGE_SELF);
    CHECK_EQ(0, sf_log_attach(directory));
    sf_usage_begin();
}

/* The last record of the log that process `pid` has left: its USAGE. */
static struct sf_record usage_of(pid_t pid)
{
    struct sf_log_header *log = open_log(pid, 4096);
    CHECK(log != NULL && log->head > 0);
    struct sf_record *last = &records_of(log)[log->head - 1];
    CHECK_EQ(SF_EVENT_USAGE, last->kind);
    return *last;
}

/* At least what was burnt, and no more than the kernel knows of: how long a fork takes depends on the machine. */
static void check_used(uint64_t ms, uint64_t ns, uint64_t most_ns)
{
    if (ns < ms * MS || ns > most_ns + MS)
        FAIL("%llu ns are not between %llu ms and %llu ns", (unsigned long long)ns, (unsigned long long)ms,
             (unsigned long long)most_ns);
}

TEST(what_was_used_since_the_log_was_made_counts)
{
    begin();
    burn(20);
    sf_usage_write();
    struct sf_record usage = usage_of(getpid());
    remove_session();
    check_used(20, usage.a, used_ns(RUSAGE_SELF) - before_ns);
    CHECK_EQ(0, usage.b);
}

/* The child calls exit, and a child of its own _exit. */
TEST(a_forked_child_that_exits_says_what_it_and_its_children_have_used)
{
    begin();
    int status;
    pid_t child = fork();
    if (child == 0) {
        pid_t its_own = fork();
        burn(10);
        if (its_own == 0) {
            burn(30);
            _exit(0);
        }
        waitpid(its_own, NULL, 0);
        exit(0);
    }
    waitpid(child, &status, 0);
    CHECK_EQ(0, status);
    sf_usage_write();
    struct sf_record of_child = usage_of(child), ours = usage_of(getpid());
    remove_session();
    uint64_t children_ns = used_ns(RUSAGE_CHILDREN);
    check_used(10, of_child.a, children_ns - of_child.b);
    check_used(40, of_child.b, children_ns - of_child.a);
    check_used(0, ours.a, used_ns(RUSAGE_SELF) - before_ns);
    check_used(50, ours.b, children_ns);
}

TEST(without_a_session_nothing_is_written)
{
    sf_usage_write();
    begin();
    sf_log_detach();
    sf_usage_write();
    remove_session();
}

TEST_MAIN()
