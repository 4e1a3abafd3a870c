/* Records leave the logs of a session that has no collector, and no record comes twice or is lost uncounted. */
#include "core/log/log_session.h"
#include "core/log/parcel.h"
#include "harness.h"

#include <errno.h>
#include <sys/wait.h>

static struct sf_record taken[SF_PARCEL_RECORDS];
static struct sf_parcel parcel;

static void begin(void)
{
    CHECK_EQ(0, sf_log_init());
    snprintf(directory, sizeof directory, "/dev/shm/snakefish-test-XXXXXX");
    CHECK(mkdtemp(directory) != NULL);
    CHECK_EQ(0, sf_parcel_begin(directory, "node:1"));
}

TEST(own_records_come_once_and_in_order)
{
    begin();
    mark(1);
    mark(2);
    CHECK(sf_parcel_take_own(taken, SF_PARCEL_RECORDS, &parcel));
    CHECK_EQ(0, parcel.first);
    CHECK_EQ(2, parcel.end);
    CHECK_EQ(2, taken[1].a);
    CHECK_EQ(0, strcmp(parcel.header.name, "node:1"));
    mark(3);
    CHECK(sf_parcel_take_own(taken, SF_PARCEL_RECORDS, &parcel));
    remove_session();
    CHECK_EQ(2, parcel.first);
    CHECK_EQ(1, parcel.count);
    CHECK_EQ(3, taken[0].a);
    CHECK(!parcel.is_over);
}

TEST(what_finds_no_room_is_left_out_and_seen_by_the_numbers)
{
    begin();
    for (uint64_t i = 0; i < 10; i++)
        mark(i);
    CHECK(sf_parcel_take_own(taken, 4, &parcel));
    CHECK_EQ(4, parcel.count);
    CHECK_EQ(10, parcel.end);
    for (uint64_t i = 0; i < 3 * SF_PARCEL_RECORDS; i++)
        mark(i);
    CHECK(sf_parcel_take_own(taken, SF_PARCEL_RECORDS, &parcel));
    remove_session();
    CHECK_EQ(10, parcel.first);
    CHECK_EQ(SF_PARCEL_RECORDS, parcel.count);
    CHECK_EQ(2 * SF_PARCEL_RECORDS, parcel.header.lost);
}

TEST(a_paused_session_records_nothing_and_its_forks_make_no_log)
{
    begin();
    sf_parcel_pause(true);
    mark(1);
    CHECK(sf_parcel_take_own(taken, SF_PARCEL_RECORDS, &parcel));
    CHECK_EQ(0, parcel.end);
    pid_t child = fork();
    if (child == 0)
        _exit(sf_parcel_take_own(taken, SF_PARCEL_RECORDS, &parcel));
    int status;
    waitpid(child, &status, 0);
    CHECK_EQ(0, status);
    sf_parcel_pause(false);
    mark(2);
    CHECK(sf_parcel_take_own(taken, SF_PARCEL_RECORDS, &parcel));
    remove_session();
    CHECK_EQ(1, parcel.count);
}

/* The name of the log of that process. */
static const char *log_of(pid_t pid)
{
    static char name[300];
    char prefix[32];
    snprintf(prefix, sizeof prefix, SF_LOG_PREFIX "%d.", (int)pid);
    DIR *dir = opendir(directory);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
            snprintf(name, sizeof name, "%s", entry->d_name);
    closedir(dir);
    return name;
}

TEST(a_forked_process_is_over_when_it_has_ended)
{
    begin();
    int gate[2], ready[2], status;
    char byte = 0;
    CHECK_EQ(0, pipe(gate) | pipe(ready));
    pid_t child = fork();
    if (child == 0) {
        mark(1);
        CHECK_EQ(1, write(ready[1], "", 1));
        CHECK_EQ(1, read(gate[0], &byte, 1));
        mark(2);
        _exit(0);
    }
    CHECK_EQ(1, read(ready[0], &byte, 1));
    CHECK_EQ(0, sf_parcel_take(log_of(child), taken, SF_PARCEL_RECORDS, &parcel));
    CHECK(!parcel.is_over);
    CHECK_EQ(child, parcel.header.pid);
    CHECK_EQ(sf_log_start_tsc(), parcel.header.parent_tsc);
    CHECK_EQ(SF_EVENT_START, taken[0].kind);
    uint64_t end = parcel.end;
    CHECK_EQ(1, write(gate[1], "", 1));
    waitpid(child, &status, 0);
    CHECK_EQ(0, sf_parcel_take(log_of(child), taken, SF_PARCEL_RECORDS, &parcel));
    CHECK(parcel.is_over);
    CHECK_EQ(end, parcel.first);
    CHECK_EQ(2, taken[0].a);
    CHECK(sf_parcel_take("session", taken, SF_PARCEL_RECORDS, &parcel) < 0);
    remove_session();
}

TEST(who_is_in_a_session_that_goes_on_stays_there)
{
    CHECK_EQ(0, sf_log_init());
    make_session("/dev/shm", 64);
    CHECK_EQ(0, sf_log_attach(directory));
    CHECK_EQ(-EALREADY, sf_parcel_begin("/dev/shm", "node:1"));
    CHECK_EQ(0, strcmp(directory, sf_log_directory()));
    remove_session();
}

TEST_MAIN()
