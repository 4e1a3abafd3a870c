/* Whether a process lives, for real processes and for lines of /proc/<pid>/stat. */
#include "core/identity.h"

#include <errno.h>
#include <pthread.h>
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

TEST(a_name_with_spaces_and_parentheses_is_no_trouble)
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

TEST(a_process_whose_first_thread_has_ended_is_alive)
{
#if defined(__SANITIZE_THREAD__)
    SKIP("the sanitizer needs the first thread");
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
    SKIP("the sanitizer needs the first thread");
#endif
#endif
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

static bool parse(const char *line, char *state, uint64_t *threads, uint64_t *start)
{
    return sf_identity_parse(line, strlen(line), state, threads, start);
}

TEST(the_fields_are_found_behind_the_name)
{
    char state;
    uint64_t threads, start;
    CHECK(parse("12 (a) R) (b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 5 0 777 99 1\n", &state, &threads, &start));
    CHECK_EQ('S', state);
    CHECK_EQ(5, threads);
    CHECK_EQ(777, start);
}

TEST(lines_cut_short_are_refused)
{
    char state, line[] = "12 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 5 0 777 99";
    uint64_t threads, start;
    for (size_t n = 0; n < sizeof line - 4; n++)
        CHECK(!sf_identity_parse(line, n, &state, &threads, &start));
    CHECK(!parse("12 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 5 0 x 99", &state, &threads, &start));
}

TEST_MAIN()
