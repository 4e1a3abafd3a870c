#include "core/os/process.h"
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

static void nap_ms(long ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

static bool lives(pid_t pid)
{
    char path[64], state = 'X';
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 'X';
    fclose(file);
    return state != 'Z' && state != 'X';
}

static bool dies_within_ms(pid_t pid, long ms)
{
    for (; ms > 0 && lives(pid); ms--)
        nap_ms(1);
    return !lives(pid);
}

static int32_t reaped(pid_t child)
{
    int32_t status = 12345;
    int fd = sf_process_open_pidfd(child);
    CHECK(fd >= 0);
    while (sf_process_wait(fd, 1000000000) == -ETIMEDOUT) {
    }
    CHECK_EQ(1, sf_process_try_reap(child, &status));
    close(fd);
    return status;
}

TEST(exit_statuses_and_signals_are_distinguished)
{
    pid_t child = fork();
    if (child == 0)
        _exit(7);
    CHECK_EQ(7, reaped(child));
    child = fork();
    if (child == 0)
        for (;;)
            pause();
    kill(child, SIGTERM);
    CHECK_EQ(-SIGTERM, reaped(child));
}

TEST(a_running_child_is_not_reaped_and_waiting_times_out)
{
    int32_t status;
    pid_t child = fork();
    if (child == 0)
        for (;;)
            pause();
    int fd = sf_process_open_pidfd(child);
    CHECK_EQ(-ETIMEDOUT, sf_process_wait(fd, 1000000));
    CHECK_EQ(0, sf_process_try_reap(child, &status));
}

TEST(a_wait_on_a_closed_descriptor_pauses_and_times_out)
{
    CHECK_EQ(-ETIMEDOUT, sf_process_wait(1000, 0));
    double before_s = (double)clock() / CLOCKS_PER_SEC;
    for (int i = 0; i < 100; i++)
        CHECK_EQ(-ETIMEDOUT, sf_process_wait(1000, 1000000000));
    CHECK((double)clock() / CLOCKS_PER_SEC - before_s < 0.05); /* of 0.1 s */
}

TEST(a_child_is_dead_before_and_after_it_is_reaped)
{
    int32_t status;
    pid_t child = fork();
    if (child == 0)
        for (;;)
            pause();
    CHECK(!sf_process_is_dead(child));
    kill(child, SIGKILL);
    while (!sf_process_is_dead(child))
        nap_ms(1);
    CHECK_EQ(1, sf_process_try_reap(child, &status)); /* the question has not reaped it */
    CHECK_EQ(-SIGKILL, status);
    CHECK(sf_process_is_dead(child));
}

TEST(a_child_reaped_by_somebody_else_has_an_unknown_status)
{
    int32_t status = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(3);
    waitpid(child, NULL, 0);
    CHECK_EQ(1, sf_process_try_reap(child, &status));
    CHECK_EQ(SF_PROCESS_STATUS_UNKNOWN, status);
}

/* Forks a parent, which forks a child by `fork_child`; kills the parent; returns the child. */
static pid_t orphan(void (*be_parent)(pid_t *child))
{
    pid_t *child = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t parent = fork();
    if (parent == 0) {
        be_parent(child);
        for (;;)
            pause();
    }
    while (!*(volatile pid_t *)child)
        nap_ms(1);
    nap_ms(20);
    CHECK(lives(*child));
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    return *child;
}

static void live_with(pid_t parent, bool by_main_thread, pid_t *tell)
{
    if (sf_process_die_with_parent(parent, by_main_thread))
        _exit(1);
    *tell = getpid();
    for (;;)
        pause();
}

static void fork_by_main_thread(pid_t *child)
{
    pid_t self = getpid();
    if (fork() == 0)
        live_with(self, true, child);
}

static void *fork_in_thread(void *child)
{
    pid_t self = getpid();
    if (fork() == 0)
        live_with(self, false, child);
    return NULL;
}

static void fork_by_other_thread(pid_t *child)
{
    pthread_t thread;
    pthread_create(&thread, NULL, fork_in_thread, child);
    pthread_join(thread, NULL);
}

TEST(a_child_dies_with_its_parent)
{
    CHECK(dies_within_ms(orphan(fork_by_main_thread), 2000));
}

TEST(a_child_forked_by_a_thread_outlives_the_thread_and_dies_with_the_parent)
{
    SKIP_UNDER_TSAN("keeps a signal from its handler while the process sleeps");
    CHECK(dies_within_ms(orphan(fork_by_other_thread), 2000)); /* orphan has checked that it outlived the thread */
}

TEST(a_child_whose_parent_is_dead_already_ends_at_once)
{
    pid_t dead = fork();
    if (dead == 0)
        _exit(0);
    waitpid(dead, NULL, 0);
    pid_t child = fork();
    if (child == 0) {
        sf_process_die_with_parent(dead, true);
        _exit(0);
    }
    CHECK_EQ(-SIGKILL, reaped(child));
}

TEST_MAIN()
