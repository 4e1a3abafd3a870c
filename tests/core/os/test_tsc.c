#include "core/os/tsc.h"
#include "harness.h"

#include <time.h>

TEST(the_counter_never_runs_backwards_on_a_thread)
{
    for (uint64_t before = sf_tsc_read_fenced(), now, i = 0; i < 1000000; i++, before = now) {
        now = sf_tsc_read_fenced();
        CHECK(now >= before);
    }
}

TEST(the_frequency_agrees_with_the_clock_within_a_thousandth)
{
    struct timespec from, to, pause = {0, 200000000};
    double hz = (double)sf_tsc_frequency_hz();
    clock_gettime(CLOCK_MONOTONIC, &from);
    uint64_t tsc = sf_tsc_read_fenced();
    nanosleep(&pause, NULL);
    clock_gettime(CLOCK_MONOTONIC, &to);
    double ticks = (double)(sf_tsc_read_fenced() - tsc);
    double seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    double ratio = ticks / hz / seconds;
    CHECK(ratio > 0.999 && ratio < 1.001);
}

TEST(the_frequency_is_measured_once_and_inherited)
{
    uint64_t hz = sf_tsc_frequency_hz();
    CHECK_EQ(hz, sf_tsc_frequency_hz());
    pid_t child = fork();
    if (child == 0)
        _exit(sf_tsc_frequency_hz() != hz);
    int status;
    waitpid(child, &status, 0);
    CHECK_EQ(0, status);
}

TEST_MAIN()
