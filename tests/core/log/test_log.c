/* The writer's side of the log. The reader is made here: it maps the log that the writer made, and takes records as
 * log_format.h says. */
#include "core/log/log.h"
#include "core/log/log_session.h"
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

static void begin(uint32_t records)
{
    CHECK_EQ(0, sf_log_init());
    make_session("/dev/shm", records);
    sf_log_set_name("the test");
    CHECK_EQ(0, sf_log_attach(directory));
}

TEST(nothing_is_written_without_a_session)
{
    CHECK(!sf_log_enabled());
    mark(1);
    CHECK_EQ(0, sf_log_text("x", 1));
}

TEST(records_carry_what_was_written_in_order)
{
    begin(4096);
    for (uint64_t i = 0; i < 100; i++)
        mark(i);
    struct sf_log_header *log = open_log(getpid(), 4096);
    remove_session();
    CHECK_EQ(SF_LOG_MAGIC, log->magic);
    CHECK_EQ(getpid(), log->pid);
    CHECK_EQ(0, strcmp(log->name, "the test"));
    CHECK_EQ(100, log->head);
    CHECK_EQ(100, log->begun);
    for (uint64_t i = 0; i < 100; i++) {
        struct sf_record *record = &records_of(log)[i];
        CHECK_EQ(SF_EVENT_MARK, record->kind);
        CHECK_EQ(SF_PHASE_INSTANT, record->flags);
        CHECK_EQ(i, record->a);
        CHECK_EQ(~i, record->b);
        CHECK(i == 0 || record->tsc >= record[-1].tsc);
    }
}

TEST(a_process_may_be_renamed_while_it_writes)
{
    begin(4096);
    struct sf_log_header *log = open_log(getpid(), 4096);
    sf_log_rename("another, longer than the first");
    mark(1);
    CHECK_EQ(0, strcmp(log->name, "another, longer than the first"));
    sf_log_rename("short");
    CHECK_EQ(0, strcmp(log->name, "short"));
    remove_session();
    sf_log_detach();
    sf_log_rename("without a log"); /* does nothing but keep the name for the next one */
}

TEST(a_full_log_counts_what_it_loses_and_a_lost_record_marks_the_gap)
{
    begin(64);
    for (uint64_t i = 0; i < 100; i++)
        mark(i);
    struct sf_log_header *log = open_log(getpid(), 64);
    CHECK_EQ(64, log->head);
    CHECK_EQ(36, log->lost);
    CHECK_EQ(100, log->begun);
    log->tail = 10; /* the reader takes ten */
    mark(100);
    remove_session();
    CHECK_EQ(66, log->head);
    CHECK_EQ(102, log->begun);
    struct sf_record *gap = &records_of(log)[64 % 64];
    CHECK_EQ(SF_EVENT_LOST, gap->kind);
    CHECK_EQ(36, gap->a);
    CHECK(gap->b > records_of(log)[63].tsc && gap->b < gap->tsc);
    CHECK_EQ(100, records_of(log)[65 % 64].a);
}

TEST(a_log_that_is_drained_goes_round_many_times_without_a_loss)
{
    begin(64);
    struct sf_log_header *log = open_log(getpid(), 64);
    uint64_t expected = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        mark(i);
        while (i % 50 == 49 && log->tail < log->head) {
            CHECK_EQ(expected++, records_of(log)[log->tail % 64].a);
            log->tail++;
        }
    }
    remove_session();
    CHECK_EQ(0, log->lost);
    CHECK_EQ(10000, log->head);
}

TEST(the_collector_is_woken_when_a_log_passes_half_full)
{
    CHECK_EQ(0, sf_log_init());
    struct sf_session_header *session = make_session("/dev/shm", 64);
    CHECK_EQ(0, sf_log_attach(directory));
    uint32_t woken = session->wake;
    for (uint64_t i = 0; i < 32; i++)
        mark(i);
    CHECK_EQ(woken, session->wake);
    mark(32);
    remove_session();
    CHECK(session->wake != woken);
}

TEST(a_full_log_wakes_the_collector_once_and_not_at_each_loss)
{
    CHECK_EQ(0, sf_log_init());
    struct sf_session_header *session = make_session("/dev/shm", 64);
    CHECK_EQ(0, sf_log_attach(directory));
    uint32_t woken = session->wake;
    for (uint64_t i = 0; i < 1000; i++)
        mark(i);
    remove_session();
    CHECK_EQ(woken + 1, session->wake);
}

TEST(a_fork_does_not_wake_the_collector)
{
    CHECK_EQ(0, sf_log_init());
    struct sf_session_header *session = make_session("/dev/shm", 64);
    CHECK_EQ(0, sf_log_attach(directory));
    uint32_t woken = session->wake;
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    waitpid(child, &status, 0);
    CHECK_EQ(0, status);
    remove_session();
    CHECK_EQ(woken, session->wake);
}

TEST(after_a_fork_the_child_writes_to_a_log_of_its_own_that_begins_with_start)
{
    begin(4096);
    mark(1);
    sf_log_fork_as(77, "the child");
    pid_t child = fork();
    if (child == 0) {
        mark(2);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    mark(3);
    struct sf_log_header *ours = open_log(getpid(), 4096), *its = open_log(child, 4096);
    remove_session();
    CHECK(its != NULL);
    CHECK_EQ(2, ours->head);
    CHECK_EQ(2, its->head);
    CHECK_EQ(77, its->task);
    CHECK_EQ(getpid(), its->parent_pid);
    CHECK_EQ(ours->family, its->family);
    CHECK_EQ(0, strcmp(its->name, "the child"));
    CHECK_EQ(SF_EVENT_START, records_of(its)[0].kind);
    CHECK_EQ(77, records_of(its)[0].object);
    CHECK_EQ(2, records_of(its)[1].a);
    CHECK(records_of(its)[0].tsc > records_of(ours)[0].tsc);
}

static pid_t ends_first;

static void wait_for_that_end(void)
{
    while (ends_first && getppid() == ends_first)
        usleep(100);
}

TEST(the_parent_of_a_child_is_the_one_that_forked_it_also_when_that_has_ended)
{
    int pipe_ends[2];
    CHECK_EQ(0, pthread_atfork(NULL, NULL, wait_for_that_end)); /* in a child it runs before the log's own handler */
    begin(4096);
    CHECK_EQ(0, pipe(pipe_ends));
    pid_t middle = fork(), last = 0;
    if (middle == 0) {
        ends_first = getpid();
        if (fork() == 0) {
            last = getpid();
            CHECK_EQ((long)sizeof last, (long)write(pipe_ends[1], &last, sizeof last));
        }
        _exit(0);
    }
    waitpid(middle, NULL, 0);
    CHECK_EQ((long)sizeof last, (long)read(pipe_ends[0], &last, sizeof last));
    struct sf_log_header *its = open_log(middle, 4096), *lasts = open_log(last, 4096);
    remove_session();
    CHECK_EQ(getpid(), its->parent_pid);
    CHECK_EQ(middle, lasts->parent_pid);
    CHECK_EQ(middle, records_of(lasts)[0].a);
}

TEST(a_child_of_a_plain_fork_is_no_task)
{
    begin(4096);
    sf_log_fork_as(5, "first");
    pid_t first = fork();
    if (first == 0)
        _exit(0);
    pid_t second = fork();
    if (second == 0)
        _exit(0);
    waitpid(first, NULL, 0);
    waitpid(second, NULL, 0);
    struct sf_log_header *its = open_log(second, 4096);
    remove_session();
    CHECK_EQ(0, its->task);
}

static void *fork_one(void *pid)
{
    *(pid_t *)pid = fork();
    if (*(pid_t *)pid == 0)
        _exit(0);
    return NULL;
}

TEST(fork_as_is_for_the_next_child_of_its_own_thread_only)
{
    begin(4096);
    pthread_t thread;
    pid_t other = 0;
    sf_log_fork_as(5, "ours");
    CHECK_EQ(0, pthread_create(&thread, NULL, fork_one, &other));
    pthread_join(thread, NULL);
    pid_t ours = fork();
    if (ours == 0)
        _exit(0);
    waitpid(other, NULL, 0);
    waitpid(ours, NULL, 0);
    struct sf_log_header *its = open_log(other, 4096), *our = open_log(ours, 4096);
    remove_session();
    CHECK_EQ(0, its->task);
    CHECK_EQ(5, our->task);
}

TEST(a_child_that_is_no_part_of_the_program_has_no_log_and_the_next_one_has)
{
    begin(4096);
    sf_log_fork_unseen();
    pid_t unseen = fork();
    if (unseen == 0) {
        mark(1);
        _exit(0);
    }
    waitpid(unseen, NULL, 0);
    pid_t seen = fork();
    if (seen == 0)
        _exit(0);
    waitpid(seen, NULL, 0);
    sf_log_fork_unseen();
    sf_log_fork_as(0, NULL);
    pid_t later = fork();
    if (later == 0)
        _exit(0);
    waitpid(later, NULL, 0);
    struct sf_log_header *its = open_log(unseen, 4096), *seens = open_log(seen, 4096), *laters = open_log(later, 4096);
    remove_session();
    CHECK(!its && seens && laters);
}

TEST(the_counts_agree_wherever_a_writer_is_killed)
{
    begin(1u << 12);
    for (int trial = 0; trial < 30; trial++) {
        pid_t child = fork();
        if (child == 0)
            for (uint64_t i = 0;; i++)
                mark(i);
        usleep((useconds_t)(1000 + trial * 137));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        struct sf_log_header *log = open_log(child, 1u << 12);
        if (!log || log->magic != SF_LOG_MAGIC)
            continue; /* killed while it made its log */
        uint64_t torn = log->begun - log->head - log->lost;
        if (torn > 1)
            FAIL("begun %llu, head %llu, lost %llu", (unsigned long long)log->begun, (unsigned long long)log->head,
                 (unsigned long long)log->lost);
        munmap(log, SF_LOG_RECORDS_OFFSET + (1u << 12) * sizeof(struct sf_record));
    }
    remove_session();
}

TEST(a_text_is_written_in_pieces_that_end_with_a_nul)
{
    begin(4096);
    const char *text = "exactly sixteen."; /* its NUL needs one more record */
    uint32_t number = sf_log_text(text, 16);
    struct sf_log_header *log = open_log(getpid(), 4096);
    remove_session();
    CHECK_EQ(2, log->head);
    CHECK_EQ(number, records_of(log)[1].object);
    CHECK_EQ(0, memcmp(&records_of(log)[0].a, text, 16));
    CHECK_EQ(0, records_of(log)[1].a);
}

TEST(after_a_stop_no_process_writes_any_more)
{
    begin(4096);
    CHECK(sf_log_enabled());
    sf_log_request_stop();
    CHECK(!sf_log_enabled());
    mark(1);
    struct sf_log_header *log = open_log(getpid(), 4096);
    sf_log_detach();
    remove_session();
    CHECK_EQ(0, log->head);
    CHECK_EQ(0, strcmp(sf_log_directory(), ""));
}

TEST(a_file_system_that_fills_up_loses_counted_records_and_raises_no_signal)
{
    char where[] = "/tmp/snakefish-test-XXXXXX";
    CHECK(mkdtemp(where) != NULL);
    /* room for the session, the first pages of a log, and little more */
    if (mount("tmpfs", where, "tmpfs", 0, "size=160k")) {
        rmdir(where);
        SKIP("needs to mount a small tmpfs: %s", strerror(errno));
    }
    CHECK_EQ(0, sf_log_init());
    make_session(where, 1u << 14);
    int attached = sf_log_attach(directory);
    for (uint64_t i = 0; i < 10000; i++)
        mark(i);
    struct sf_log_header *log = open_log(getpid(), 1u << 14), seen = *log;
    umount2(where, MNT_DETACH);
    rmdir(where);
    CHECK_EQ(0, attached);
    CHECK_EQ(10000, seen.begun);
    CHECK(seen.lost > 0);
    CHECK(seen.head >= 65536 / sizeof(struct sf_record));
    CHECK_EQ(seen.begun, seen.head + seen.lost);
}

TEST(a_process_that_gets_no_log_is_counted)
{
    CHECK_EQ(0, sf_log_init());
    struct sf_session_header *session = make_session("/dev/shm", 64);
    if (geteuid() == 0) { /* root could write anyway: take the directory away */
        CHECK_EQ(0, sf_log_attach(directory));
        remove_session();
        pid_t child = fork();
        if (child == 0) {
            mark(1);
            _exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        CHECK_EQ(0, status);
    } else {
        CHECK_EQ(0, chmod(directory, 0500));
        CHECK_EQ(-EACCES, sf_log_attach(directory));
        remove_session();
    }
    CHECK_EQ(1, session->lost_logs);
}

TEST_MAIN()
