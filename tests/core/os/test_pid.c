#include "core/os/pid.h"
#include "harness.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t seen_by_handler;

static void look_in_child(void)
{
    seen_by_handler = sf_pid_own();
}

static int status_of(pid_t child)
{
    int status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(each_process_finds_its_own_pid_from_its_fork_on)
{
    CHECK_EQ(getpid(), sf_pid_own());
    CHECK_EQ(0, pthread_atfork(NULL, NULL, look_in_child));
    pid_t child = fork();
    if (child == 0) {
        if (seen_by_handler != getpid() || sf_pid_own() != getpid())
            _exit(1);
        pid_t grandchild = fork();
        if (grandchild == 0)
            _exit(sf_pid_own() == getpid() ? 0 : 2);
        _exit(status_of(grandchild));
    }
    CHECK_EQ(0, status_of(child));
    CHECK_EQ(getpid(), sf_pid_own());
}

TEST_MAIN()
