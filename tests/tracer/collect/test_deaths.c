/* When processes die: the watch on their pidfds. */
#include "harness.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "collect/deaths.h"

static int pidfd_of(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        SKIP("no pidfd_open here");
    return fd;
}

static pid_t sleeper(void)
{
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    return pid;
}

static uint64_t wait_for_death(struct deaths *deaths, uint32_t number)
{
    for (int i = 0; i < 5000; i++) {
        uint64_t tsc = deaths_tsc(deaths, number);
        if (tsc)
            return tsc;
        usleep(1000);
    }
    FAIL("no death was noted");
    return 0;
}

TEST(a_death_is_noted_with_its_time_although_nobody_asks)
{
    struct deaths *deaths = deaths_start();
    CHECK(deaths);
    pid_t pid = sleeper();
    int fd = pidfd_of(pid);
    uint32_t number = deaths_watch(deaths, fd);
    CHECK(number != DEATHS_NONE);
    usleep(20000);
    CHECK_EQ(0, deaths_tsc(deaths, number));
    uint64_t before = clock_tsc();
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    uint64_t died = wait_for_death(deaths, number), after = clock_tsc();
    CHECK(died > before && died < after);
    usleep(20000);
    CHECK_EQ(died, deaths_tsc(deaths, number)); /* the first time stays */
    deaths_unwatch(deaths, number);
    close(fd);
    deaths_stop(deaths);
}

TEST(many_are_watched_and_places_are_used_again)
{
    enum { EACH = 100, ROUNDS = 3 };
    struct deaths *deaths = deaths_start();
    for (int round = 0; round < ROUNDS; round++) {
        pid_t pids[EACH];
        int fds[EACH];
        uint32_t numbers[EACH];
        for (int i = 0; i < EACH; i++) {
            pids[i] = sleeper();
            fds[i] = pidfd_of(pids[i]);
            numbers[i] = deaths_watch(deaths, fds[i]);
            CHECK(numbers[i] < EACH);
        }
        for (int i = 0; i < EACH; i += 2)
            kill(pids[i], SIGKILL);
        for (int i = 0; i < EACH; i += 2)
            wait_for_death(deaths, numbers[i]);
        for (int i = 1; i < EACH; i += 2)
            CHECK_EQ(0, deaths_tsc(deaths, numbers[i]));
        for (int i = 0; i < EACH; i++) { /* also of those that still run */
            deaths_unwatch(deaths, numbers[i]);
            close(fds[i]);
            kill(pids[i], SIGKILL);
            waitpid(pids[i], NULL, 0);
        }
    }
    deaths_stop(deaths);
}

TEST(one_that_is_dead_already_is_noted_at_once)
{
    struct deaths *deaths = deaths_start();
    pid_t pid = sleeper();
    int fd = pidfd_of(pid);
    kill(pid, SIGKILL);
    waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT);
    uint32_t number = deaths_watch(deaths, fd);
    CHECK(wait_for_death(deaths, number));
    waitpid(pid, NULL, 0);
    deaths_unwatch(deaths, number);
    close(fd);
    deaths_stop(deaths);
}

TEST(without_a_watch_nothing_is_known_and_nothing_fails)
{
    CHECK_EQ(DEATHS_NONE, deaths_watch(NULL, 0));
    CHECK_EQ(0, deaths_tsc(NULL, DEATHS_NONE));
    deaths_unwatch(NULL, DEATHS_NONE);
    deaths_stop(NULL);
    struct deaths *deaths = deaths_start();
    CHECK_EQ(DEATHS_NONE, deaths_watch(deaths, -1));
    deaths_stop(deaths);
}

TEST_MAIN()
