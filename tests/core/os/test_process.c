#include "core/os/process.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

static void nap_ms(long ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

static int32_t reaped(pid_t child)
{
    int32_t status = 12345;
    while (sf_process_wait(child, 1000000000) == -ETIMEDOUT) {
    }
    CHECK_EQ(1, sf_process_try_reap(child, &status));
    return status;
}

static pid_t fork_sleeper(void)
{
    pid_t child = fork();
    if (child == 0)
        for (;;)
            pause();
    return child;
}

static int descriptors(void)
{
    int fd = dup(0);
    CHECK(fd >= 0);
    close(fd);
    return fd; /* the lowest free number */
}

TEST(exit_statuses_and_signals_are_distinguished)
{
    pid_t child = fork();
    if (child == 0)
        _exit(7);
    CHECK_EQ(7, reaped(child));
    child = fork_sleeper();
    kill(child, SIGTERM);
    CHECK_EQ(-SIGTERM, reaped(child));
}

TEST(a_running_child_is_not_reaped_and_waiting_times_out)
{
    int32_t status;
    pid_t child = fork_sleeper();
    CHECK_EQ(-ETIMEDOUT, sf_process_wait(child, 1000000));
    CHECK_EQ(0, sf_process_try_reap(child, &status));
    kill(child, SIGKILL);
    CHECK_EQ(-SIGKILL, reaped(child));
}

/* A wait for `count` children, the last of which dies: ends when it does, and leaves no descriptor. */
static void wait_for_the_last(pid_t *children, size_t count)
{
    int before = descriptors();
    for (size_t i = 0; i < count; i++)
        children[i] = fork_sleeper();
    CHECK_EQ(-ETIMEDOUT, sf_process_wait_any(children, count, 2000000));
    kill(children[count - 1], SIGKILL);
    CHECK_EQ(0, sf_process_wait_any(children, count, 20000000000));
    CHECK(sf_process_is_dead(children[count - 1]));
    CHECK_EQ(before, descriptors());
    for (size_t i = 0; i < count; i++) {
        kill(children[i], SIGKILL);
        CHECK_EQ(-SIGKILL, reaped(children[i]));
    }
}

TEST(a_wait_for_several_ends_when_one_is_dead)
{
    pid_t children[40];
    wait_for_the_last(children, 1);
    wait_for_the_last(children, 3);
    wait_for_the_last(children, 40);
}

static void refuse(int call, int error)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof steps / sizeof *steps, steps};
    CHECK_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        SKIP("no seccomp filters here");
}

TEST(without_pidfds_waits_and_signals_work_too)
{
    pid_t children[3];
    refuse(SYS_pidfd_open, ENOSYS);
    CHECK_EQ(-ENOSYS, sf_process_open_pidfd(getpid()));
    wait_for_the_last(children, 1);
    wait_for_the_last(children, 3);
    pid_t child = fork_sleeper();
    CHECK_EQ(0, sf_process_signal(child, SIGTERM));
    CHECK_EQ(-SIGTERM, reaped(child));
    CHECK_EQ(-ESRCH, sf_process_signal(child, SIGTERM));
}

TEST(a_pidfd_that_must_not_send_signals_is_passed_over)
{
    refuse(SYS_pidfd_send_signal, EPERM);
    pid_t child = fork_sleeper();
    CHECK_EQ(0, sf_process_signal(child, SIGTERM));
    CHECK_EQ(-SIGTERM, reaped(child));
}

TEST(without_a_free_descriptor_a_wait_works_too)
{
    pid_t children[3];
    int before = descriptors();
    struct rlimit some, none;
    CHECK_EQ(0, getrlimit(RLIMIT_NOFILE, &some));
    none = (struct rlimit){(rlim_t)before, some.rlim_max};
    for (size_t i = 0; i < 3; i++)
        children[i] = fork_sleeper();
    CHECK_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
    CHECK_EQ(-EMFILE, sf_process_open_pidfd(children[0]));
    CHECK_EQ(-ETIMEDOUT, sf_process_wait_any(children, 3, 2000000));
    CHECK_EQ(0, sf_process_signal(children[1], SIGKILL));
    CHECK_EQ(0, sf_process_wait_any(children, 3, 20000000000));
    for (size_t i = 0; i < 3; i++)
        kill(children[i], SIGKILL);
    CHECK_EQ(0, setrlimit(RLIMIT_NOFILE, &some)); /* a sanitizer opens files at the end */
}

static void on_signal(int signal_number)
{
    (void)signal_number;
}

TEST(a_wait_without_pidfds_rests_between_its_looks_and_hears_signals)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGALRM, &action, NULL);
    refuse(SYS_pidfd_open, EPERM);
    pid_t child = fork_sleeper();
    double before_s = (double)clock() / CLOCKS_PER_SEC;
    CHECK_EQ(-ETIMEDOUT, sf_process_wait(child, 300000000));
    CHECK((double)clock() / CLOCKS_PER_SEC - before_s < 0.05);
    ualarm(200000, 20000); /* again and again: one may come between two sleeps */
    CHECK_EQ(-EINTR, sf_process_wait(child, 20000000000));
    ualarm(0, 0);
    kill(child, SIGKILL);
    CHECK_EQ(-SIGKILL, reaped(child));
}

TEST(a_signal_to_a_child_that_was_reaped_goes_nowhere)
{
    pid_t child = fork();
    if (child == 0)
        _exit(3);
    waitpid(child, NULL, 0);
    CHECK_EQ(-ESRCH, sf_process_signal(child, SIGTERM));
    CHECK_EQ(-ESRCH, sf_process_signal(getppid(), 0)); /* it lives, and is no child */
    CHECK_EQ(0, sf_process_wait(child, 20000000000));
}

static void *nothing(void *unused)
{
    pause();
    return unused;
}

TEST(threads_are_counted)
{
    SKIP_UNDER_TSAN("has a thread of its own, which the C library does not know of");
    pthread_t thread;
    uint64_t before = sf_process_threads();
    CHECK(before >= 1);
    pthread_create(&thread, NULL, nothing, NULL);
    CHECK_EQ(before + 1, sf_process_threads());
}

TEST(a_descriptor_of_the_programs_in_the_place_of_a_pidfd_is_left_alone)
{
    struct sf_own_fd pidfd, other;
    pid_t child = fork_sleeper();
    CHECK_EQ(0, sf_own_fd_take(&pidfd, sf_process_open_pidfd(child)));
    CHECK_EQ(pidfd.fd, sf_process_get_pidfd(&pidfd, child));
    CHECK_EQ(0, sf_own_fd_take(&other, eventfd(0, EFD_CLOEXEC))); /* all have its inode before Linux 6.9 */
    int fd = other.fd;
    CHECK_EQ(-1, sf_process_get_pidfd(&other, child));
    sf_process_close_pidfd(&other, child);
    CHECK(other.fd == -1 && fcntl(fd, F_GETFD) >= 0);
    kill(child, SIGKILL);
    CHECK_EQ(-SIGKILL, reaped(child));
    fd = pidfd.fd;
    sf_process_close_pidfd(&pidfd, child);
    CHECK(pidfd.fd == -1 && fcntl(fd, F_GETFD) < 0);
}

TEST(a_child_is_dead_before_and_after_it_is_reaped)
{
    int32_t status;
    pid_t child = fork_sleeper();
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

TEST_MAIN()
