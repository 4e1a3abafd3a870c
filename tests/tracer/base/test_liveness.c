/* Which processes still run, as the collector sees it. */
#include "harness.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/liveness.h"

TEST(a_process_is_not_taken_for_dead_for_want_of_a_descriptor)
{
    struct rlimit files, none;
    struct liveness living, dead;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    CHECK_EQ(0, getrlimit(RLIMIT_NOFILE, &files));
    none = files;
    none.rlim_cur = 0;
    CHECK_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
    liveness_open(&living, getppid(), 0);
    liveness_open(&dead, pid, 0);
    CHECK_EQ(-1, living.pidfd);
    CHECK(!liveness_is_over(&living));
    CHECK(liveness_is_over(&dead));
    CHECK_EQ(0, setrlimit(RLIMIT_NOFILE, &files)); /* a sanitizer looks around at the end */
}

TEST(the_parent_of_a_process_is_known_while_the_process_is_there)
{
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    CHECK_EQ(getpid(), liveness_parent(pid));
    CHECK_EQ(getppid(), liveness_parent(getpid()));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    CHECK_EQ(0, liveness_parent(pid));
    CHECK_EQ(0, liveness_parent(0));
}

TEST(a_zombie_is_dead)
{
    struct liveness liveness;
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    liveness_open(&liveness, pid, 0);
    CHECK(!liveness_is_over(&liveness));
    kill(pid, SIGKILL);
    siginfo_t info;
    CHECK_EQ(0, waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    CHECK(liveness_is_over(&liveness));
    waitpid(pid, NULL, 0);
    liveness_close(&liveness);
}

TEST_MAIN()
