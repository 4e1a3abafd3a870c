/* When a waiting process checks whether others live. */
#include "core/os/liveness.h"

#include "harness.h"

TEST(no_slice_is_longer_than_the_period)
{
    CHECK_EQ(SF_LIVENESS_PERIOD_NS, sf_liveness_slice_ns(INT64_MAX));
    CHECK_EQ(SF_LIVENESS_PERIOD_NS, sf_liveness_slice_ns(SF_LIVENESS_PERIOD_NS));
    CHECK_EQ(5, sf_liveness_slice_ns(5));
    CHECK_EQ(-1, sf_liveness_slice_ns(-1));
}

TEST(a_check_is_due_after_a_sleep_that_brought_nothing)
{
    int64_t checked_ns = sf_monotonic_ns();
    CHECK(sf_liveness_is_due(-ETIMEDOUT, &checked_ns));
    CHECK(sf_liveness_is_due(-EPIPE, &checked_ns));
    CHECK(!sf_liveness_is_due(-EINTR, &checked_ns));
    CHECK(!sf_liveness_is_due(0, &checked_ns));
}

TEST(a_check_is_due_once_a_period_when_every_sleep_is_interrupted)
{
    int64_t now_ns = sf_monotonic_ns(), checked_ns = 0;
    CHECK(sf_liveness_is_due(-EINTR, &checked_ns)); /* the first time */
    CHECK(checked_ns >= now_ns);
    CHECK(!sf_liveness_is_due(-EINTR, &checked_ns));
    checked_ns -= SF_LIVENESS_PERIOD_NS;
    CHECK(sf_liveness_is_due(-EINTR, &checked_ns));
}

TEST_MAIN()
