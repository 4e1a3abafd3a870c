/* Files that are cut short while they are mapped. */
#include "core/os/bus.h"
#include "harness.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BYTES = 3 * 4096 };

/* Three pages of a file of its own; *fd is that file. */
static volatile char *map(int *fd)
{
    *fd = memfd_create("test", MFD_CLOEXEC);
    CHECK_EQ(0, ftruncate(*fd, BYTES));
    char *mapped = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    CHECK(mapped != MAP_FAILED);
    memset(mapped, 'x', BYTES);
    return mapped;
}

/* How a child ends that runs `act`: its exit status, or minus its signal. */
static int status_of(void (*act)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGBUS, SIG_DFL); /* a sanitizer has one of its own */
        act();
        _exit(0);
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(a_guarded_mapping_becomes_zeros_and_can_be_written)
{
    int fd;
    volatile char *mapped = map(&fd);
    CHECK(sf_bus_guard((void *)mapped, BYTES));
    CHECK_EQ(0, ftruncate(fd, 0));
    CHECK_EQ(0, mapped[4096]);
    CHECK_EQ(0, mapped[0]);
    mapped[BYTES - 1] = 'y';
    CHECK_EQ('y', mapped[BYTES - 1]);
}

TEST(in_a_child_it_is_guarded_too)
{
    int fd, status;
    volatile char *mapped = map(&fd);
    CHECK(sf_bus_guard((void *)mapped, BYTES));
    CHECK_EQ(0, ftruncate(fd, 0));
    pid_t pid = fork();
    if (pid == 0)
        _exit(mapped[0] + 7);
    waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK_EQ(7, WEXITSTATUS(status));
}

static void touch_another_file(void)
{
    int fd, other;
    volatile char *mapped = map(&fd), *foreign = map(&other);
    CHECK(sf_bus_guard((void *)mapped, BYTES));
    CHECK_EQ(0, ftruncate(other, 0));
    (void)foreign[0];
}

static void touch_what_is_guarded_no_more(void)
{
    int fd;
    volatile char *mapped = map(&fd);
    CHECK(sf_bus_guard((void *)mapped, BYTES));
    sf_bus_unguard((void *)mapped);
    CHECK_EQ(0, ftruncate(fd, 0));
    (void)mapped[0];
}

static void exit_9(int number)
{
    (void)number;
    _exit(9);
}

static void with_a_handler_of_the_program(void)
{
    signal(SIGBUS, exit_9);
    touch_another_file();
}

static void by_a_signal_that_is_sent(void)
{
    int fd;
    CHECK(sf_bus_guard((void *)map(&fd), BYTES));
    raise(SIGBUS);
}

static void ignored(void)
{
    signal(SIGBUS, SIG_IGN);
    by_a_signal_that_is_sent();
}

TEST(every_other_sigbus_does_what_it_did_before)
{
    CHECK_EQ(-SIGBUS, status_of(touch_another_file));
    CHECK_EQ(-SIGBUS, status_of(touch_what_is_guarded_no_more));
    CHECK_EQ(9, status_of(with_a_handler_of_the_program));
    CHECK_EQ(-SIGBUS, status_of(by_a_signal_that_is_sent));
    CHECK_EQ(0, status_of(ignored));
}

TEST(there_are_only_so_many_guards)
{
    int fd;
    void *mapped[SF_BUS_GUARDS_MAX + 1];
    for (int i = 0; i <= SF_BUS_GUARDS_MAX; i++) {
        mapped[i] = (void *)map(&fd);
        CHECK_EQ(i < SF_BUS_GUARDS_MAX, sf_bus_guard(mapped[i], BYTES));
    }
    sf_bus_unguard(mapped[2]);
    CHECK(sf_bus_guard(mapped[SF_BUS_GUARDS_MAX], BYTES));
}

TEST_MAIN()
