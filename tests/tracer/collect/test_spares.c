/* Spare logs, as the collector makes and hands them on, and as a traced process finds them. */
#include "harness.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "collect/session.h"
#include "collect/spares.h"
#include "core/log/log.h"

enum { RECORDS = 1 << 14 };
static struct session session;

static void leave(void)
{
    session_remove(&session, NULL);
    session_close(&session);
}

static void begin(void)
{
    struct sentence why;
    CHECK_EQ(0, sf_log_init());
    if (session_make(&session, RECORDS, sf_tsc_read(), &why))
        FAIL("%s", why.text);
    atexit(leave);
}

static bool is_there(const char *name)
{
    return faccessat(session.dir_fd, name, F_OK, 0) == 0;
}

/* A traced process that writes `marks` and dies; the name of its log in `name`. */
static void trace_one(uint64_t marks, char name[64])
{
    int ready[2];
    CHECK_EQ(0, pipe(ready));
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_EQ(0, sf_log_attach(session.dir));
        for (uint64_t i = 0; i < marks; i++)
            sf_log_write(SF_EVENT_MARK, SF_PHASE_INSTANT, 1, i, 0);
        CHECK_EQ(8, write(ready[1], &sf_log_self.header->start_tsc, 8));
        _exit(0);
    }
    uint64_t start;
    CHECK_EQ(8, read(ready[0], &start, 8));
    waitpid(pid, NULL, 0);
    snprintf(name, 64, SF_LOG_PREFIX "%d.%llu", (int)pid, (unsigned long long)start);
    CHECK(is_there(name));
}

static struct stat stat_of(const char *name)
{
    struct stat st;
    CHECK_EQ(0, fstatat(session.dir_fd, name, &st, 0));
    return st;
}

TEST(a_session_begins_with_a_spare_whose_pages_are_all_there)
{
    begin();
    struct stat st = stat_of("spare.0");
    CHECK_EQ(SF_LOG_RECORDS_OFFSET + RECORDS * 32, st.st_size);
    CHECK_EQ(st.st_size, st.st_blocks * 512);
}

TEST(no_more_are_made_than_are_to_be_ready)
{
    begin();
    for (int i = 0; i < 5; i++)
        spares_prepare(session.dir_fd, RECORDS);
    char name[32];
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, SF_SPARE_PREFIX "%d", i);
        CHECK_EQ(i < SPARES_READY, is_there(name));
    }
}

TEST(the_log_of_a_dead_process_serves_the_next_one)
{
    char first[64], second[64];
    begin();
    trace_one(5000, first);
    ino_t file = stat_of(first).st_ino;
    spares_recycle(session.dir_fd, first);
    CHECK(!is_there(first));
    trace_one(10, second);
    CHECK_EQ(file, stat_of(second).st_ino);
    int fd = openat(session.dir_fd, second, O_RDONLY);
    struct sf_log_header header;
    CHECK_EQ(sizeof header, read(fd, &header, sizeof header));
    CHECK_EQ(10, header.head);
    CHECK_EQ(10, header.begun);
    CHECK_EQ(0, header.tail);
}

TEST(when_there_are_enough_spares_a_log_is_removed)
{
    char log[64];
    begin();
    for (int i = 0; i < SF_SPARES_MAX + 3; i++) {
        int fd;
        snprintf(log, sizeof log, SF_LOG_PREFIX "1.%d", i);
        fd = openat(session.dir_fd, log, O_CREAT | O_RDWR, 0600);
        CHECK_EQ(0, ftruncate(fd, 8192));
        close(fd);
        spares_recycle(session.dir_fd, log);
        CHECK(!is_there(log));
    }
    snprintf(log, sizeof log, SF_SPARE_PREFIX "%d", SF_SPARES_MAX);
    CHECK(!is_there(log));
}

/* A log of that length that was never written to. */
static void make_log(const char *log, off_t bytes)
{
    int fd = openat(session.dir_fd, log, O_CREAT | O_RDWR, 0600);
    CHECK_EQ(0, ftruncate(fd, bytes));
    close(fd);
}

TEST(a_log_that_a_process_has_mapped_is_not_recycled)
{
    begin();
    unlinkat(session.dir_fd, "spare.0", 0);
    make_log("log.1.1", 8192);
    int fd = openat(session.dir_fd, "log.1.1", O_RDWR);
    uint64_t *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    page[0] = 7;
    spares_recycle(session.dir_fd, "log.1.1");
    CHECK(!is_there("log.1.1"));
    CHECK(!is_there("spare.0"));
    CHECK_EQ(7, page[0]);
}

TEST(where_memory_is_short_no_log_is_handed_on)
{
    struct statvfs fs;
    begin();
    unlinkat(session.dir_fd, "spare.0", 0);
    CHECK_EQ(0, fstatvfs(session.dir_fd, &fs));
    make_log("log.1.1", (off_t)(fs.f_bavail * fs.f_frsize / 16));
    spares_recycle(session.dir_fd, "log.1.1");
    CHECK(!is_there("log.1.1"));
    CHECK(!is_there("spare.0"));
}

TEST(where_memory_becomes_short_spares_are_given_back)
{
    struct statvfs fs;
    begin();
    spares_prepare(session.dir_fd, RECORDS);
    spares_trim(session.dir_fd, RECORDS);
    CHECK(is_there("spare.0"));
    CHECK(is_there("spare.1"));
    CHECK_EQ(0, fstatvfs(session.dir_fd, &fs));
    spares_trim(session.dir_fd, (uint32_t)(fs.f_bavail * fs.f_frsize / 16 / 32));
    CHECK(!is_there("spare.0"));
    CHECK(!is_there("spare.1"));
}

TEST(what_is_no_log_is_removed_and_not_handed_on)
{
    begin();
    unlinkat(session.dir_fd, "spare.0", 0);
    CHECK_EQ(0, symlinkat("/etc/passwd", session.dir_fd, "log.1.1"));
    spares_recycle(session.dir_fd, "log.1.1");
    CHECK(!is_there("spare.0"));
    CHECK(faccessat(session.dir_fd, "log.1.1", F_OK, AT_SYMLINK_NOFOLLOW));
}

TEST(a_spare_that_is_cut_while_it_is_made_raises_no_signal)
{
    begin();
    pid_t cutter = fork();
    while (cutter == 0) {
        int fd = openat(session.dir_fd, "spare.new", O_WRONLY);
        if (fd >= 0 && ftruncate(fd, 0))
            _exit(1);
        close(fd);
    }
    for (int i = 0; i < 1000; i++) {
        for (int spare = 0; spare < SPARES_READY; spare++)
            unlinkat(session.dir_fd, spare ? "spare.1" : "spare.0", 0);
        spares_prepare(session.dir_fd, RECORDS);
    }
    kill(cutter, SIGKILL);
    waitpid(cutter, NULL, 0);
}

TEST_MAIN()
