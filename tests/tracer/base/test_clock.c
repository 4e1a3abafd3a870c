/* The session's clock: pairs of readings and the lines between them. */
#include "harness.h"

#include <time.h>

#include "base/clock.h"

static int64_t monotonic_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

TEST(a_session_starts_at_0)
{
    struct clock clock;
    clock_start(&clock);
    CHECK_EQ(0, clock_ns(&clock, clock.first.tsc));
    CHECK_EQ(0, clock.open.from_tsc);
    CHECK(clock.first.error_ns > 0 && clock.first.error_ns < 100000);
}

TEST(it_agrees_with_the_monotonic_clock)
{
    struct clock clock;
    struct clock_segment closed;
    struct timespec pause = {.tv_nsec = 50000000};
    clock_start(&clock);
    nanosleep(&pause, NULL);
    struct clock_snapshot next = clock_take(clock.open.ns_per_tick);
    CHECK(clock_advance(&clock, &next, &closed));
    int64_t before = monotonic_ns() - clock.first.monotonic_ns;
    int64_t shown = clock_ns(&clock, clock_tsc());
    int64_t after = monotonic_ns() - clock.first.monotonic_ns;
    CHECK(shown > before - 20000 && shown < after + 20000);
    CHECK_EQ(before / 1000000000, shown / 1000000000);
}

TEST(segments_meet_where_one_ends_and_the_next_begins)
{
    struct clock_snapshot a = {1000, 5000, 0, 1}, b = {2000, 5400, 0, 7}, c = {4000, 6400, 0, 2};
    struct clock clock;
    struct clock_segment first, second;
    clock_resume(&clock, &a, &a, 1.0);
    CHECK(clock_advance(&clock, &b, &first));
    CHECK(clock_advance(&clock, &c, &second));
    CHECK_EQ(0, first.from_tsc);
    CHECK_EQ(1000, first.tsc);
    CHECK_EQ(0, first.ns);
    CHECK_EQ(400, (long long)(first.ns + 1000 * first.ns_per_tick));
    CHECK_EQ(2000, second.from_tsc);
    CHECK_EQ(400, second.ns);
    CHECK_EQ(1400, (long long)(second.ns + 2000 * second.ns_per_tick));
    CHECK_EQ(1400, clock.open.ns);
    CHECK_EQ(1900, clock_ns(&clock, 5000)); /* continues at the last rate */
    CHECK_EQ(7, clock.worst_error_ns);
}

TEST(a_reading_that_goes_back_changes_nothing)
{
    struct clock_snapshot a = {1000, 5000, 0, 1}, back = {900, 5100, 0, 1}, stands = {1100, 5000, 0, 1};
    struct clock clock;
    struct clock_segment closed;
    clock_resume(&clock, &a, &a, 1.0);
    CHECK(!clock_advance(&clock, &back, &closed));
    CHECK(!clock_advance(&clock, &stands, &closed));
    CHECK_EQ(10, clock_ns(&clock, 1010));
}

TEST(the_frequency_is_that_of_the_whole_session)
{
    struct clock_snapshot a = {0, 0, 0, 1}, b = {3000000000u, 1000000000, 0, 1};
    struct clock clock;
    struct clock_segment closed;
    clock_resume(&clock, &a, &a, 1.0);
    CHECK(clock_advance(&clock, &b, &closed));
    CHECK_EQ(3000000000ll, (long long)(clock_hz(&clock) + 0.5));
}

TEST_MAIN()
