/* Records set aside in a file beside their log: as the collector writes it, as a killed one leaves it, and as no
 * collector writes it. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collect/spill.h"

#define LOG "log.1.1"
#define FILE_OF_IT "spill.1.1"

static char dir[] = "/dev/shm/test-spill-XXXXXX";
static int dir_fd;

static void leave(void)
{
    unlinkat(dir_fd, FILE_OF_IT, 0);
    rmdir(dir);
}

static struct spill begin(void)
{
    struct spill spill;
    CHECK(mkdtemp(dir));
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
    atexit(leave);
    CHECK_EQ(0, spill_open(&spill, dir_fd, LOG));
    return spill;
}

static void add(struct spill *spill, uint64_t number, size_t count)
{
    struct sf_record records[1000];
    for (size_t i = 0; i < count; i++)
        records[i] = (struct sf_record){.tsc = number + i};
    CHECK_EQ(0, spill_add(spill, number, records, count));
}

static void check_records(const struct spill *spill, uint64_t from, uint64_t to)
{
    struct sf_record record;
    for (uint64_t n = from; n < to; n++) {
        CHECK_EQ(0, spill_read(spill, n, &record, 1));
        CHECK_EQ(n, record.tsc);
    }
}

static bool is_there(void)
{
    return faccessat(dir_fd, FILE_OF_IT, F_OK, 0) == 0;
}

static off_t file_bytes(void)
{
    struct stat st;
    CHECK_EQ(0, fstatat(dir_fd, FILE_OF_IT, &st, 0));
    return st.st_blocks * 512;
}

TEST(nothing_set_aside_makes_no_file)
{
    struct spill spill = begin();
    CHECK(!is_there());
    CHECK_EQ(0, spill.end);
    spill_remove(&spill);
}

TEST(records_come_back_by_their_numbers)
{
    struct spill spill = begin();
    add(&spill, 500, 1000);
    add(&spill, 1500, 10);
    CHECK_EQ(500, spill.first);
    CHECK_EQ(1510, spill.end);
    check_records(&spill, 500, 1510);
    spill_remove(&spill);
    CHECK(!is_there());
    add(&spill, 7, 1); /* a new one, from another number */
    check_records(&spill, 7, 8);
    spill_close(&spill);
}

TEST(the_next_collector_finds_what_was_set_aside_and_how_much_of_it_was_taken)
{
    struct spill spill = begin(), again;
    add(&spill, 100, 1000);
    spill_release(&spill, 300);
    CHECK_EQ(0, spill_open(&again, dir_fd, LOG));
    CHECK_EQ(100, again.first);
    CHECK_EQ(300, again.taken);
    CHECK_EQ(1100, again.end);
    check_records(&again, 300, 1100);
    spill_close(&again);
    spill_close(&spill);
}

TEST(what_is_taken_gives_its_memory_back)
{
    struct spill spill = begin();
    for (int i = 0; i < 100; i++)
        add(&spill, (uint64_t)i * 1000, 1000);
    off_t full = file_bytes();
    spill_release(&spill, 99000);
    CHECK(file_bytes() < full / 10);
    check_records(&spill, 99000, 100000);
    spill_close(&spill);
}

TEST(a_collector_killed_before_the_header_was_written_has_set_nothing_aside)
{
    struct spill spill = begin(), again;
    char records[320] = {1};
    int fd = openat(dir_fd, FILE_OF_IT, O_RDWR | O_CREAT, 0600);
    CHECK_EQ(0, spill_open(&spill, dir_fd, LOG)); /* an empty file */
    CHECK(!is_there());
    close(fd);
    fd = openat(dir_fd, FILE_OF_IT, O_RDWR | O_CREAT, 0600);
    CHECK_EQ(sizeof records, pwrite(fd, records, sizeof records, 32));
    close(fd);
    CHECK_EQ(0, spill_open(&again, dir_fd, LOG)); /* records without a header */
    CHECK(!is_there());
    add(&again, 3, 5);
    check_records(&again, 3, 8);
    spill_close(&again);
}

TEST(records_written_after_the_last_header_do_not_count)
{
    struct spill spill = begin(), again;
    struct sf_record record = {.tsc = 77};
    add(&spill, 0, 10);
    CHECK_EQ(sizeof record, pwrite(spill.fd, &record, sizeof record, 32 + 10 * 32));
    CHECK_EQ(0, spill_open(&again, dir_fd, LOG));
    CHECK_EQ(10, again.end);
    spill_close(&again);
    spill_close(&spill);
}

TEST(headers_that_cannot_be_are_refused)
{
    struct spill spill = begin(), again;
    add(&spill, 100, 10);
    const struct {
        int field;
        uint64_t value;
    } wrong[] = {{0, 1}, {1, 106}, {1, 0}, {2, 99}, {2, 111}, {3, 111}, {3, UINT64_MAX}, {3, 104}};
    spill_release(&spill, 105);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint64_t right;
        CHECK_EQ(8, pread(spill.fd, &right, 8, wrong[i].field * 8));
        CHECK_EQ(8, pwrite(spill.fd, &wrong[i].value, 8, wrong[i].field * 8));
        CHECK_EQ(-EBADMSG, spill_open(&again, dir_fd, LOG));
        CHECK_EQ(8, pwrite(spill.fd, &right, 8, wrong[i].field * 8));
    }
    CHECK_EQ(0, spill_open(&again, dir_fd, LOG));
    spill_close(&again);
    spill_close(&spill);
}

TEST(what_is_no_file_of_ours_is_refused)
{
    struct spill spill = begin();
    CHECK_EQ(0, symlinkat("/etc/passwd", dir_fd, FILE_OF_IT));
    CHECK_EQ(-EBADMSG, spill_open(&spill, dir_fd, LOG));
    unlinkat(dir_fd, FILE_OF_IT, 0);
    CHECK_EQ(0, mkfifoat(dir_fd, FILE_OF_IT, 0600));
    CHECK_EQ(-EBADMSG, spill_open(&spill, dir_fd, LOG));
    unlinkat(dir_fd, FILE_OF_IT, 0);
    close(openat(dir_fd, FILE_OF_IT, O_CREAT | O_RDWR, 0600));
    CHECK_EQ(0, fchmodat(dir_fd, FILE_OF_IT, 0644, 0));
    CHECK_EQ(-EPERM, spill_open(&spill, dir_fd, LOG));
}

TEST(where_there_is_no_room_nothing_is_set_aside)
{
    struct spill spill = begin();
    struct sf_record records[1000] = {0};
    struct rlimit little = {.rlim_cur = 16384, .rlim_max = 16384};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &little);
    add(&spill, 0, 100);
    CHECK_EQ(-EFBIG, spill_add(&spill, 100, records, 1000));
    CHECK_EQ(100, spill.end);
    check_records(&spill, 0, 100);
    spill_remove(&spill);
    CHECK_EQ(-EFBIG, spill_add(&spill, 0, records, 1000));
    CHECK_EQ(0, spill.end);
    CHECK(!is_there());
}

TEST_MAIN()
