/* What is computed when a trace is finished: which pairs of messages and which parents are believed. */
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

/* A log that says to be of this process's parent, and to have seen this process end with status 7. */
static void write_log_of_parent(void)
{
    enum { SPACE = 4711 };
    static struct {
        struct sf_log_header header;
        char rest[SF_LOG_RECORDS_OFFSET - sizeof(struct sf_log_header)];
        struct sf_record records[256];
    } log;
    log.header = (struct sf_log_header){.magic = SF_LOG_MAGIC,
                                        .version = SF_ABI_VERSION,
                                        .capacity = 256,
                                        .pid = writer_log->parent_pid,
                                        .parent_pid = 1,
                                        .start_tsc = writer_log->start_tsc - 1,
                                        .space = writer_log->space = SPACE,
                                        .name = "parent",
                                        .head = 1,
                                        .begun = 1};
    log.records[0] = (struct sf_record){
        .tsc = writer_log->start_tsc + 1, .kind = SF_EVENT_REAP, .object = 0, .a = writer_log->pid, .b = 7};
    char name[64];
    snprintf(name, sizeof name, SF_LOG_PREFIX "%u.%llu", log.header.pid, (unsigned long long)log.header.start_tsc);
    int fd = openat(recorded.session.dir_fd, name, O_CREAT | O_WRONLY, 0600);
    CHECK_EQ((long long)sizeof log, write(fd, &log, sizeof log));
    close(fd);
}

static const char parents_of_writer[] = "SELECT count(*) FROM process p JOIN process c ON c.parent = p.id"
                                        " WHERE p.name = 'parent' AND c.name = 'writer'";
static const char status_of_writer[] = "SELECT exit_status FROM process WHERE name = 'writer'";

static void begin_with_log_of_parent(uint64_t age_ns, bool names_it)
{
    recorded_begin(256);
    CHECK_EQ(0, writer_open(recorded.session.dir, 0, "writer"));
    write_log_of_parent();
    writer_log->age_ns = age_ns;
    writer_log->parent_tsc = names_it ? writer_log->start_tsc - 1 : 0;
}

TEST(a_log_with_the_pid_of_a_parent_that_had_no_log_is_not_the_parents)
{
    begin_with_log_of_parent(0, false);
    collect();
    CHECK_EQ(0, ask(parents_of_writer));
    CHECK_EQ(-1000, ask(status_of_writer)); /* and what it says of the child's end is not believed */
}

TEST(the_log_that_a_forked_child_names_is_its_parents)
{
    begin_with_log_of_parent(0, true);
    collect();
    CHECK_EQ(1, ask(parents_of_writer));
    CHECK_EQ(7, ask(status_of_writer));
}

TEST(of_a_program_that_came_by_exec_the_log_with_its_parents_pid_is_the_parents)
{
    begin_with_log_of_parent(1, false);
    collect();
    CHECK_EQ(1, ask(parents_of_writer));
    CHECK_EQ(7, ask(status_of_writer));
}

TEST_MAIN()
