/* Which begin an end belongs to. */
#include "harness.h"

#include "abi/log_format.h"
#include "collect/spans.h"

static long long open_sum;

static void add(void *arg, int64_t event)
{
    (void)arg;
    open_sum += event;
}

static struct span_key of_thread(uint64_t thread, unsigned kind, int64_t object)
{
    return (struct span_key){.thread = thread, .kind = kind, .object = object};
}

static struct span_key numbered(uint64_t number, int64_t object)
{
    return (struct span_key){.number = number, .kind = SF_EVENT_SPAN, .object = object};
}

static void begin(struct spans *s, struct span_key key, int64_t event)
{
    spans_begin(s, &key, event);
}

static int64_t end(struct spans *s, struct span_key key)
{
    return spans_end(s, &key);
}

TEST(an_end_finds_its_begin)
{
    struct spans *s = spans_new();
    begin(s, of_thread(1, SF_EVENT_RUN, 1), 10);
    begin(s, of_thread(1, SF_EVENT_SEND, 7), 11);
    CHECK_EQ(11, end(s, of_thread(1, SF_EVENT_SEND, 7)));
    CHECK_EQ(10, end(s, of_thread(1, SF_EVENT_RUN, 1)));
    CHECK_EQ(0, end(s, of_thread(1, SF_EVENT_RUN, 1)));
    CHECK_EQ(1, spans_unmatched(s));
    spans_free(s);
}

TEST(threads_kinds_and_objects_do_not_mix)
{
    struct spans *s = spans_new();
    begin(s, of_thread(1, SF_EVENT_SEND, 7), 10);
    begin(s, of_thread(2, SF_EVENT_SEND, 7), 11);
    begin(s, of_thread(1, SF_EVENT_SEND, 8), 12);
    begin(s, of_thread(1, SF_EVENT_JOIN, 7), 13);
    CHECK_EQ(10, end(s, of_thread(1, SF_EVENT_SEND, 7)));
    CHECK_EQ(11, end(s, of_thread(2, SF_EVENT_SEND, 7)));
    CHECK_EQ(13, end(s, of_thread(1, SF_EVENT_JOIN, 7)));
    CHECK_EQ(12, end(s, of_thread(1, SF_EVENT_SEND, 8)));
    spans_free(s);
}

TEST(numbered_spans_of_one_name_end_in_any_order)
{
    struct spans *s = spans_new();
    for (int n = 1; n <= 1000; n++)
        begin(s, numbered((uint64_t)n, 5), n);
    for (int n = 1; n <= 1000; n++)
        CHECK_EQ(n * 9 % 1001, end(s, numbered((uint64_t)n * 9 % 1001, 5)));
    CHECK_EQ(0, end(s, numbered(1, 5)));
    CHECK_EQ(1, spans_unmatched(s));
    spans_free(s);
}

TEST(spans_that_overlap_without_nesting_keep_their_begins)
{
    struct spans *s = spans_new();
    begin(s, of_thread(1, SF_EVENT_RUN, 1), 10);
    begin(s, of_thread(1, SF_EVENT_SEND, 7), 11);
    CHECK_EQ(10, end(s, of_thread(1, SF_EVENT_RUN, 1)));
    CHECK_EQ(11, end(s, of_thread(1, SF_EVENT_SEND, 7)));
    CHECK_EQ(0, spans_unmatched(s));
    spans_free(s);
}

TEST(the_same_again_ends_the_last_one_first_however_many_there_are)
{
    struct spans *s = spans_new();
    for (int i = 1; i <= 100000; i++)
        begin(s, of_thread(1, SF_EVENT_MERGE, 1), i);
    for (int i = 100000; i >= 1; i--)
        if (end(s, of_thread(1, SF_EVENT_MERGE, 1)) != i)
            CHECK_EQ(i, 0);
    CHECK_EQ(0, spans_unmatched(s));
    spans_free(s);
}

TEST(what_is_open_at_the_end_is_reported)
{
    struct spans *s = spans_new();
    begin(s, of_thread(1, SF_EVENT_RUN, 1), 100);
    begin(s, of_thread(4, SF_EVENT_SEND, 1), 20);
    begin(s, numbered(9, 3), 5);
    begin(s, numbered(10, 3), 1);
    end(s, numbered(9, 3));
    spans_each_open(s, add, NULL);
    CHECK_EQ(121, open_sum);
    spans_clear(s);
    spans_each_open(s, add, NULL);
    CHECK_EQ(121, open_sum);
    CHECK_EQ(0, end(s, numbered(10, 3)));
    begin(s, numbered(11, 3), 7);
    CHECK_EQ(7, end(s, numbered(11, 3)));
    spans_free(s);
}

TEST(a_million_begins_do_not_eat_the_memory)
{
    struct spans *s = spans_new();
    for (int i = 1; i <= 1000000; i++)
        begin(s, numbered((uint64_t)i, 1), i);
    CHECK_EQ(262144, end(s, numbered(262144, 1)));
    CHECK_EQ(0, end(s, numbered(262145, 1)));
    spans_free(s);
}

TEST_MAIN()
