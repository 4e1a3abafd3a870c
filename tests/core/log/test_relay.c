/* A log that is written for a process of another host: times, lanes, losses, whose it is. */
#include "core/log/log_session.h"
#include "core/log/relay.h"
#include "harness.h"

#include <sys/wait.h>

enum { RECORDS = 64, WORKER_START = 1000, START = 50000 };
static const struct sf_log_header worker = {
    .pid = 4242, .parent_pid = 7, .space = 5, .start_tsc = WORKER_START, .name = "node:4242"};
static const struct sf_relay_clock plain = {WORKER_START, START, 1, WORKER_START, START, 1000000};

static struct sf_relay *relay;
static struct sf_log_header *theirs;

static void begin(void)
{
    CHECK_EQ(0, sf_log_init());
    make_session("/dev/shm", RECORDS);
    sf_log_set_name("the test");
    CHECK_EQ(0, sf_log_attach(directory));
    CHECK_EQ(0, sf_relay_open(&relay, &worker, START, 0));
    theirs = open_log(4242, RECORDS);
    remove_session();
    CHECK(theirs != NULL);
}

static struct sf_record record(uint64_t tsc, enum sf_event_kind kind, uint32_t lane, uint64_t a, uint64_t b)
{
    return (struct sf_record){tsc, (uint16_t)kind, (uint16_t)(lane << SF_LANE_SHIFT), 0, a, b};
}

TEST(its_log_is_the_workers_and_its_parent_is_this_process)
{
    begin();
    CHECK_EQ(SF_LOG_MAGIC, theirs->magic);
    CHECK_EQ(4242, theirs->pid);
    CHECK_EQ(5, theirs->space);
    CHECK_EQ(START, theirs->start_tsc);
    CHECK_EQ(getpid(), theirs->parent_pid);
    CHECK_EQ(sf_log_start_tsc(), theirs->parent_tsc);
    CHECK_EQ(0, strcmp(theirs->name, "node:4242"));
    sf_relay_free(relay);
}

TEST(nobody_has_it_locked_so_that_it_is_no_process_of_this_machine)
{
    char path[600] = "", pattern[400];
    CHECK_EQ(0, sf_log_init());
    make_session("/dev/shm", RECORDS);
    CHECK_EQ(0, sf_log_attach(directory));
    CHECK_EQ(0, sf_relay_open(&relay, &worker, START, 0));
    snprintf(pattern, sizeof pattern, "%s/" SF_LOG_PREFIX "4242.%d.5", directory, START);
    snprintf(path, sizeof path, "%s", pattern);
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int fd = open(path, O_RDWR);
        _exit(fd < 0 || fcntl(fd, F_GETLK, &whole) || whole.l_type != F_UNLCK);
    }
    waitpid(child, &status, 0);
    remove_session();
    CHECK_EQ(0, status);
}

TEST(times_become_those_of_this_machine_and_are_held_within_the_exchange)
{
    struct sf_relay_clock clock = {2000, 60000, 2, 1900, 59900, 60100};
    CHECK_EQ(60000, sf_relay_time(&clock, 2000));
    CHECK_EQ(60020, sf_relay_time(&clock, 2010));
    CHECK_EQ(60100, sf_relay_time(&clock, 5000)); /* not after the result was here */
    CHECK_EQ(59900, sf_relay_time(&clock, 1910)); /* it is 59820 by the line, but then the chunk was not sent yet */
    CHECK_EQ(59798, sf_relay_time(&clock, 1899)); /* before the worker got the chunk */
    clock.rate = 1e300;
    sf_relay_time(&clock, UINT64_MAX / 4); /* no such time: it only must not trap */
}

TEST(times_do_not_decrease_from_one_part_to_the_next)
{
    begin();
    struct sf_record first = record(WORKER_START + 500, SF_EVENT_MARK, 0, 1, 0);
    struct sf_record second = record(WORKER_START + 510, SF_EVENT_MARK, 0, 2, 0);
    struct sf_relay_clock earlier = plain;
    earlier.to -= 100;
    sf_relay_write(relay, &plain, &first, 1, 40);
    sf_relay_write(relay, &earlier, &second, 1, 30);
    const struct sf_record *all = records_of(theirs);
    CHECK_EQ(4, theirs->head);
    CHECK_EQ(SF_EVENT_REMOTE, all[0].kind);
    CHECK_EQ(1, all[0].a);
    CHECK_EQ(40, all[0].b);
    CHECK_EQ(START + 500, all[1].tsc);
    CHECK_EQ(SF_EVENT_REMOTE, all[2].kind);
    CHECK_EQ(START + 500, all[3].tsc);
    CHECK_EQ(2, all[3].a);
    sf_relay_free(relay);
}

TEST(times_inside_records_are_translated_too)
{
    begin();
    struct sf_record all[] = {record(WORKER_START + 10, SF_EVENT_THREAD, 0, WORKER_START, 1),
                              record(WORKER_START + 90, SF_EVENT_PICKLED, 0, 8, WORKER_START + 50),
                              record(WORKER_START + 95, SF_EVENT_THREAD, 3, WORKER_START + 93, 1)};
    sf_relay_write(relay, &plain, all, 3, 0);
    CHECK_EQ(START, records_of(theirs)[1].a); /* the first thread is known by its log's start */
    CHECK_EQ(START + 50, records_of(theirs)[2].b);
    CHECK_EQ(WORKER_START + 93,
             records_of(theirs)[3].a); /* any other by a number that only has to be the same each time */
    sf_relay_free(relay);
}

TEST(the_thread_that_runs_chunks_becomes_the_first_one)
{
    begin();
    struct sf_record all[] = {record(WORKER_START + 1, SF_EVENT_MARK, 0, 0, 0),
                              record(WORKER_START + 2, SF_EVENT_CHUNK, 2, 0, 0),
                              record(WORKER_START + 3, SF_EVENT_MARK, 1, 0, 0)};
    all[1].flags |= SF_PHASE_BEGIN;
    sf_relay_write(relay, &plain, all, 3, 0);
    const struct sf_record *stored = records_of(theirs) + 1;
    CHECK_EQ(2, stored[0].flags >> SF_LANE_SHIFT);
    CHECK_EQ(SF_PHASE_BEGIN, stored[1].flags);
    CHECK_EQ(1, stored[2].flags >> SF_LANE_SHIFT);
    sf_relay_free(relay);
}

TEST(what_is_lost_on_the_way_is_counted_and_has_a_lost_record)
{
    begin();
    struct sf_record one = record(WORKER_START + 5, SF_EVENT_MARK, 0, 1, 0);
    sf_relay_write(relay, &plain, &one, 1, 0);
    sf_relay_lose(relay, 30);
    sf_relay_count(relay, 12, 1);
    sf_relay_write(relay, &plain, &one, 1, 0);
    CHECK_EQ(42, theirs->lost);
    CHECK_EQ(5, theirs->head);
    CHECK_EQ(theirs->head + theirs->lost + 1, theirs->begun); /* one is torn */
    CHECK_EQ(SF_EVENT_LOST, records_of(theirs)[2].kind);
    CHECK_EQ(30, records_of(theirs)[2].a);
    sf_relay_free(relay);
}

TEST(a_full_log_loses_records_and_goes_on_when_it_is_drained)
{
    begin();
    struct sf_record many[2 * RECORDS];
    for (uint64_t i = 0; i < 2 * RECORDS; i++)
        many[i] = record(WORKER_START + i, SF_EVENT_MARK, 0, i, 0);
    sf_relay_write(relay, &plain, many, 2 * RECORDS, 0);
    CHECK_EQ(RECORDS, theirs->head);
    CHECK_EQ(RECORDS + 1, theirs->lost);
    theirs->tail = theirs->head;
    sf_relay_write(relay, &plain, many, 1, 0);
    CHECK_EQ(RECORDS + 3, theirs->head); /* LOST, REMOTE, the record */
    CHECK_EQ(SF_EVENT_LOST, records_of(theirs)[0].kind);
    CHECK_EQ(theirs->head + theirs->lost, theirs->begun);
    sf_relay_free(relay);
}

TEST(a_forked_child_and_a_session_that_is_over_have_no_relays)
{
    begin();
    struct sf_record one = record(WORKER_START + 5, SF_EVENT_MARK, 0, 1, 0);
    int status;
    pid_t child = fork();
    if (child == 0) {
        sf_relay_write(relay, &plain, &one, 1, 0);
        sf_relay_free(relay);
        _exit(0);
    }
    waitpid(child, &status, 0);
    CHECK_EQ(0, status);
    CHECK_EQ(0, theirs->head);
    sf_log_detach();
    sf_relay_write(relay, &plain, &one, 1, 0);
    sf_relay_lose(relay, 3);
    CHECK_EQ(0, theirs->begun);
    struct sf_relay *none;
    CHECK(sf_relay_open(&none, &worker, START, 0) != 0);
    sf_relay_free(relay);
}

TEST_MAIN()
