/* What is computed when a trace is finished: which pairs of messages are believed. */
#include "tracer/recorded.h"

#include "collect/collect.h"
#include "collect/finish.h"

static void message(bool send, uint32_t channel, uint64_t seq, uint64_t bytes)
{
    if (send) {
        W_BEGIN(SEND, channel, 0, 0);
        W_END(SEND, channel, seq, bytes);
    } else {
        W_BEGIN(RECEIVE, channel, 0, 0);
        W_END(RECEIVE, channel, seq, bytes);
    }
}

static void make(uint32_t channel, enum sf_channel_kind kind)
{
    W_INSTANT(CHANNEL, channel, 65536, kind);
}

/* Collects and finishes, and finishes once more, as the next collector does where one was killed. */
static void collect(void)
{
    struct collect_job job = {
        .session = &recorded.session, .store = recorded.store, .clock = &recorded.clock, .state = "complete"};
    struct finish_facts facts = {.session = &recorded.session, .clock = &recorded.clock, .state = "complete"};
    if (collect_run(&job, &why))
        FAIL("%s", why.text);
    store_begin(recorded.store);
    CHECK_EQ(0, finish_database(recorded.store, &facts));
    store_close(recorded.store);
}

static long long pairs_of(const char *kind)
{
    char sql[200];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM message m JOIN channel c ON c.id = m.channel"
             " WHERE c.kind = '%s' AND m.receive_ns IS NOT NULL",
             kind);
    return ask(sql);
}

static long long mismatched(void)
{
    return ask("SELECT coalesce(sum(value), 0) FROM stats WHERE name = 'mismatched_messages' AND severity = 'loss'");
}

static void received_before_sent(void)
{
    make(1, SF_CHANNEL_PIPE);
    make(2, SF_CHANNEL_PIPE);
    message(true, 1, 1, 7);
    message(false, 1, 1, 7);
    message(false, 1, 2, 7);
    message(true, 1, 2, 7);
    message(true, 1, 3, 7);
    message(false, 1, 3, 7);
    message(true, 2, 1, 7);
    message(false, 2, 1, 7);
}

TEST(a_message_of_a_pipe_received_before_it_was_sent_has_no_row_nor_has_any_after_it)
{
    recorded_begin(4096);
    in_child(received_before_sent);
    collect();
    CHECK_EQ(2, pairs_of("pipe"));
    CHECK_EQ(2, ask("SELECT count(*) FROM message"));
    CHECK_EQ(0, ask("SELECT count(*) FROM message WHERE receive_ns < send_ns"));
    CHECK_EQ(2, mismatched());
    CHECK_EQ(4, ask("SELECT value FROM stats WHERE name = 'messages_without_number' AND severity = 'info'"));
}

static void other_bytes(void)
{
    make(1, SF_CHANNEL_PIPE);
    message(true, 1, 1, 15);
    message(false, 1, 1, 4);
}

TEST(a_message_of_a_pipe_received_with_other_bytes_has_no_row)
{
    recorded_begin(4096);
    in_child(other_bytes);
    collect();
    CHECK_EQ(0, ask("SELECT count(*) FROM message"));
    CHECK_EQ(1, mismatched());
}

static void good_ones(void)
{
    make(1, SF_CHANNEL_PIPE);
    make(2, SF_CHANNEL_OWN);
    for (uint32_t channel = 1; channel <= 2; channel++)
        for (uint64_t k = 1; k <= 100; k++) {
            message(true, channel, k, k);
            message(false, channel, k, k);
        }
    message(true, 1, 101, 1); /* not received */
    message(true, 1, 0, 1);   /* not counted */
}

TEST(pairs_that_can_be_have_their_rows)
{
    recorded_begin(4096);
    in_child(good_ones);
    collect();
    CHECK_EQ(100, pairs_of("pipe"));
    CHECK_EQ(100, pairs_of("channel"));
    CHECK_EQ(201, ask("SELECT count(*) FROM message"));
    CHECK_EQ(0, mismatched());
    CHECK_EQ(1, ask("SELECT value FROM stats WHERE name = 'messages_without_number'"));
    CHECK_EQ(0, ask("SELECT count(*) FROM stats WHERE severity <> 'info'"));
}

static void other_pipes(void)
{
    make(1, SF_CHANNEL_REST);
    message(true, 1, 0, 7);
    message(false, 1, 0, 7);
    message(false, 1, 0, 0); /* nothing came */
}

TEST(messages_of_pipes_that_found_no_place_are_a_loss)
{
    recorded_begin(4096);
    in_child(other_pipes);
    collect();
    CHECK_EQ(2, ask("SELECT value FROM stats WHERE name = 'messages_of_other_pipes' AND severity = 'loss'"));
}

TEST_MAIN()
