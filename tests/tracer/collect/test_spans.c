/* Stacks of open spans. */
#include "harness.h"

#include "abi/log_format.h"
#include "collect/spans.h"

static long long open_sum;

static void add(void *arg, int64_t event)
{
    (void)arg;
    open_sum += event;
}

TEST(an_end_finds_its_begin)
{
    struct spans *s = spans_new();
    spans_begin(s, 0, SF_EVENT_RUN, 1, 10);
    spans_begin(s, 0, SF_EVENT_SEND, 7, 11);
    CHECK_EQ(11, spans_end(s, 0, SF_EVENT_SEND, 7));
    CHECK_EQ(10, spans_end(s, 0, SF_EVENT_RUN, 1));
    CHECK_EQ(0, spans_unmatched(s));
    spans_free(s);
}

TEST(lanes_do_not_mix)
{
    struct spans *s = spans_new();
    spans_begin(s, 0, SF_EVENT_SEND, 7, 10);
    spans_begin(s, SF_LANE_MAX, SF_EVENT_SEND, 7, 11);
    CHECK_EQ(10, spans_end(s, 0, SF_EVENT_SEND, 7));
    CHECK_EQ(11, spans_end(s, SF_LANE_MAX, SF_EVENT_SEND, 7));
    spans_free(s);
}

TEST(an_end_closes_what_was_left_open_inside)
{
    struct spans *s = spans_new();
    spans_begin(s, 0, SF_EVENT_RUN, 1, 10);
    spans_begin(s, 0, SF_EVENT_SEND, 7, 11);
    CHECK_EQ(10, spans_end(s, 0, SF_EVENT_RUN, 1));
    CHECK_EQ(1, spans_unmatched(s));
    CHECK_EQ(0, spans_end(s, 0, SF_EVENT_SEND, 7));
    CHECK_EQ(2, spans_unmatched(s));
    spans_free(s);
}

TEST(what_is_open_at_the_end_is_reported)
{
    struct spans *s = spans_new();
    spans_begin(s, 0, SF_EVENT_RUN, 1, 100);
    spans_begin(s, 3, SF_EVENT_SEND, 1, 20);
    spans_each_open(s, add, NULL);
    CHECK_EQ(120, open_sum);
    spans_clear(s);
    spans_each_open(s, add, NULL);
    CHECK_EQ(120, open_sum);
    spans_free(s);
}

TEST(a_million_begins_do_not_eat_the_memory)
{
    struct spans *s = spans_new();
    for (int i = 1; i <= 1000000; i++)
        spans_begin(s, 0, SF_EVENT_SPAN, 1, i);
    CHECK_EQ(4096, spans_end(s, 0, SF_EVENT_SPAN, 1));
    for (unsigned lane = 0; lane <= SF_LANE_MAX; lane++)
        for (int i = 0; i < 100; i++)
            spans_begin(s, lane, SF_EVENT_SPAN, 1, i);
    spans_free(s);
}

TEST_MAIN()
