/* Whether a process lives, for real processes and for lines of /proc/<pid>/stat. */
#include "core/os/identity.h"

#include <errno.h>
#include <pthread.h>
#include <sys/personality.h>
#include <sys/prctl.h>

#include "harness.h"

#define TICK_NS (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK))

static pid_t sleeper(const char *name)
{
    int ready[2];
    char byte;
    CHECK(pipe(ready) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_NAME, name);
        CHECK(write(ready[1], "", 1) == 1);
        for (;;)
            pause();
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    return pid;
}

TEST(this_process_and_its_parent_are_alive)
{
    CHECK(sf_identity_alive(getpid(), sf_identity_now()));
    CHECK(sf_identity_alive(getppid(), sf_identity_now()));
    CHECK(sf_identity_now() > 0 && sf_identity_now() <= sf_identity_now());
}

TEST(an_age_counts_from_the_fork)
{
    uint64_t before = sf_identity_now();
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        uint64_t age = sf_identity_age_ns();
        _exit(!(age > 0 && age <= sf_identity_now() - before + TICK_NS));
    }
    waitpid(pid, &status, 0);
    CHECK_EQ(0, status);
    usleep(50000);
    CHECK(sf_identity_age_ns() >= 50000000);
}

TEST(a_running_child_is_alive_and_a_reaped_one_is_not)
{
    pid_t pid = sleeper("child");
    uint64_t since = sf_identity_now();
    CHECK(sf_identity_alive(pid, since));
    CHECK(sf_identity_exists(pid));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    CHECK(!sf_identity_alive(pid, since));
    CHECK(!sf_identity_exists(pid));
}

TEST(a_zombie_is_dead_though_its_pid_exists)
{
    pid_t pid = sleeper("child");
    uint64_t since = sf_identity_now();
    kill(pid, SIGKILL);
    siginfo_t info;
    CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
    CHECK(kill(pid, 0) == 0);
    CHECK(sf_identity_exists(pid));
    CHECK(!sf_identity_alive(pid, since));
}

TEST(a_process_that_has_executed_a_program_is_another_one)
{
    int pipes[2];
    char byte;
    CHECK(pipe(pipes) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(pipes[0]);
        dup2(pipes[1], STDOUT_FILENO);
        execlp("sh", "sh", "-c", "echo; exec sleep 20", NULL);
        _exit(1);
    }
    uint64_t since = sf_identity_now();
    close(pipes[1]);
    CHECK(read(pipes[0], &byte, 1) == 1); /* the shell runs */
    FILE *file = fopen("/proc/sys/kernel/randomize_va_space", "r");
    if (!file || fgetc(file) == '0' || personality(0xffffffff) & ADDR_NO_RANDOMIZE)
        SKIP("stacks do not begin at random addresses here");
    CHECK(sf_identity_exists(pid));
    CHECK(!sf_identity_alive(pid, since));
    kill(pid, SIGKILL);
}

TEST(a_child_of_a_child_is_alive_for_every_process_of_the_family)
{
    int pipes[2];
    pid_t pid;
    CHECK(pipe(pipes) == 0);
    if (fork() == 0) {
        pid = sleeper("grandchild");
        CHECK(sf_identity_alive(getppid(), sf_identity_now()));
        CHECK(write(pipes[1], &pid, sizeof pid) == sizeof pid);
        pause();
    }
    CHECK(read(pipes[0], &pid, sizeof pid) == sizeof pid);
    CHECK(sf_identity_alive(pid, sf_identity_now()));
}

TEST(a_stopped_process_is_alive)
{
    pid_t pid = sleeper("child");
    kill(pid, SIGSTOP);
    siginfo_t info;
    CHECK(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT) == 0);
    CHECK(sf_identity_alive(pid, sf_identity_now()));
    kill(pid, SIGKILL);
}

TEST(a_process_that_started_later_is_another_one)
{
    uint64_t before = sf_identity_now();
    usleep((unsigned)(3 * TICK_NS / 1000));
    pid_t pid = sleeper("recycled");
    CHECK(!sf_identity_alive(pid, before));
    CHECK(!sf_identity_alive(pid, 0));
    CHECK(sf_identity_alive(pid, sf_identity_now()));
    kill(pid, SIGKILL);
}

TEST(the_tick_in_which_it_started_counts_as_its_own)
{
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();
        uint64_t since = sf_identity_now();
        if (pid == 0)
            for (;;)
                pause();
        CHECK(sf_identity_alive(pid, since)); /* the earliest time a parent can know */
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
}

TEST(a_name_with_spaces_and_parentheses_does_not_matter)
{
    uint64_t before = sf_identity_now();
    usleep((unsigned)(3 * TICK_NS / 1000));
    pid_t pid = sleeper(") Z 1 (a b) (");
    CHECK(sf_identity_alive(pid, sf_identity_now()));
    CHECK(!sf_identity_alive(pid, before));
    kill(pid, SIGKILL);
}

TEST(nonsense_pids_are_dead)
{
    CHECK(!sf_identity_alive(0, UINT64_MAX));
    CHECK(!sf_identity_alive(-1, UINT64_MAX));
    CHECK(!sf_identity_alive(0x7fffffff, UINT64_MAX));
}

static void *go_on(void *main_thread)
{
    pthread_join(*(pthread_t *)main_thread, NULL);
    while (pause())
        ;
    return NULL;
}

TEST(a_process_whose_main_thread_has_ended_is_alive)
{
    SKIP_UNDER_TSAN("needs the first thread");
    pid_t pid = fork();
    if (pid == 0) {
        static pthread_t self;
        pthread_t thread;
        self = pthread_self();
        pthread_create(&thread, NULL, go_on, &self);
        pthread_exit(NULL);
    }
    usleep(50000);
    CHECK(sf_identity_alive(pid, sf_identity_now()));
    kill(pid, SIGKILL);
    siginfo_t info;
    CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
    CHECK(!sf_identity_alive(pid, sf_identity_now()));
}

static bool parse(const char *line, struct sf_identity_stat *stat)
{
    return sf_identity_parse(line, strlen(line), stat);
}

TEST(the_fields_after_the_name_are_found)
{
    struct sf_identity_stat stat;
    CHECK(parse("12 (a) R) (b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 5 0 777 99 1 2 3 4 888 5\n", &stat));
    CHECK_EQ('S', stat.state);
    CHECK_EQ(5, stat.threads);
    CHECK_EQ(777, stat.start_ticks);
    CHECK_EQ(888, stat.stack);
}

TEST(a_line_without_the_stack_address_is_accepted)
{
    struct sf_identity_stat stat;
    CHECK(parse("12 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 5 0 777 99 1\n", &stat));
    CHECK_EQ(777, stat.start_ticks);
    CHECK_EQ(0, stat.stack);
    CHECK(parse("12 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 5 0 777 99 1 2 3 4 888", &stat)); /* cut */
    CHECK_EQ(0, stat.stack);
}

TEST(lines_cut_short_are_refused)
{
    char line[] = "12 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 5 0 777 99";
    struct sf_identity_stat stat;
    for (size_t n = 0; n < sizeof line - 4; n++)
        CHECK(!sf_identity_parse(line, n, &stat));
    CHECK(!parse("12 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 5 0 x 99", &stat));
}

TEST_MAIN()
