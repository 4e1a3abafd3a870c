/* Whether a CPU is idle, on this machine's own CPUs: one that is used, and one that is not. */
#include "harness.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "collect/idle_cpu.h"

/* This process, and who it forks, on one CPU. */
static void stay_on_one(void)
{
    cpu_set_t allowed, one;
    CPU_ZERO(&one);
    CHECK_EQ(0, sched_getaffinity(0, sizeof allowed, &allowed));
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0 && !CPU_COUNT(&one); cpu--)
        if (CPU_ISSET(cpu, &allowed))
            CPU_SET(cpu, &one);
    CHECK_EQ(0, sched_setaffinity(0, sizeof one, &one));
}

static void wait_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static pid_t spinner;

static void end_spinner(void)
{
    kill(spinner, SIGKILL);
    waitpid(spinner, NULL, 0);
}

TEST(no_cpu_is_to_spare_while_another_process_takes_the_only_one)
{
    struct idle_cpu spare = {0};
    stay_on_one();
    spinner = fork();
    if (spinner == 0)
        for (;;)
            ;
    atexit(end_spinner);
    for (int i = 0; i < 3; i++) {
        idle_cpu_watch(&spare);
        wait_ms(150);
        CHECK(!idle_cpu_is_there(&spare));
    }
}

TEST(a_cpu_that_no_process_uses_is_idle)
{
    struct idle_cpu spare = {0};
    for (int i = 0; i < 100; i++) {
        idle_cpu_watch(&spare);
        wait_ms(100);
        if (idle_cpu_is_there(&spare))
            return;
    }
    SKIP("no CPU was idle in ten seconds");
}

TEST(after_too_short_a_watch_the_answer_is_no)
{
    struct idle_cpu spare = {0};
    CHECK(!idle_cpu_is_there(&spare)); /* none at all */
    idle_cpu_watch(&spare);
    CHECK(!idle_cpu_is_there(&spare));
}

TEST_MAIN()
