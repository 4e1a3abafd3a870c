/* Sleeping and waking on a shared word, with real processes. */
#include "core/os/futex.h"

#include <errno.h>
#include <limits.h>
#include <sys/mman.h>
#include <time.h>

#include "harness.h"

#define MS INT64_C(1000000)

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 * MS + now.tv_nsec;
}

static _Atomic uint32_t *shared_word(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    return page;
}

TEST(a_changed_word_does_not_sleep)
{
    _Atomic uint32_t *word = shared_word();
    int64_t start = now_ns();
    CHECK_EQ(0, sf_futex_wait(word, 7, 5000 * MS));
    CHECK(now_ns() - start < 1000 * MS);
}

TEST(an_unchanged_word_sleeps_for_the_whole_timeout)
{
    _Atomic uint32_t *word = shared_word();
    int64_t start = now_ns();
    CHECK_EQ(-ETIMEDOUT, sf_futex_wait(word, 0, 30 * MS));
    CHECK(now_ns() - start >= 30 * MS);
    CHECK_EQ(-ETIMEDOUT, sf_futex_wait(word, 0, 0));
    CHECK_EQ(-ETIMEDOUT, sf_futex_wait(word, 0, -1));
}

TEST(another_process_wakes_the_sleeper)
{
    _Atomic uint32_t *word = shared_word();
    pid_t child = fork();
    if (child == 0) {
        int result;
        while ((result = sf_futex_wait(word, 0, 5000 * MS)) == 0 && atomic_load(word) == 0)
            ;
        _exit(result == 0 && atomic_load(word) == 1 ? 0 : 1);
    }
    usleep(20000);
    atomic_store(word, 1);
    sf_futex_wake(word, INT_MAX);
    int status;
    waitpid(child, &status, 0);
    CHECK_EQ(0, status);
}

TEST(wake_says_how_many_it_woke)
{
    _Atomic uint32_t *word = shared_word();
    CHECK_EQ(0, sf_futex_wake(word, INT_MAX));
    pid_t child[3];
    for (int i = 0; i < 3; i++)
        if ((child[i] = fork()) == 0)
            _exit(sf_futex_wait(word, 0, 5000 * MS) == 0 ? 0 : 1);
    int woken = 0;
    for (int tries = 0; woken < 3 && tries < 2000; tries++) {
        int now = sf_futex_wake(word, 1);
        CHECK(now <= 1);
        woken += now;
        usleep(1000);
    }
    CHECK_EQ(3, woken);
    for (int i = 0; i < 3; i++) {
        int status;
        waitpid(child[i], &status, 0);
        CHECK_EQ(0, status);
    }
}

static void nothing(int signal)
{
    (void)signal;
}

TEST(a_signal_handler_interrupts_the_sleep_and_errno_stays)
{
    struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    _Atomic uint32_t *word = shared_word();
    pid_t self = getpid(), child = fork();
    if (child == 0) {
        for (;;) { /* until the case ends: one signal may come before the sleep */
            usleep(20000);
            kill(self, SIGUSR1);
        }
    }
    errno = 0;
    CHECK_EQ(-EINTR, sf_futex_wait(word, 0, 5000 * MS));
    CHECK_EQ(0, errno);
    kill(child, SIGKILL);
}

TEST_MAIN()
