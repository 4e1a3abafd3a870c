/* Spares: a spare becomes the log of the process that takes it, whatever its records held before. */
#include "core/log/log.h"
#include "core/log/log_session.h"
#include "harness.h"

/* Makes a spare of that length, of which so many bytes have pages, full of an earlier process's records. */
static void make_spare(const char *name, off_t length, size_t pages_bytes)
{
    char path[300], dirt[4096];
    memset(dirt, 0x5a, sizeof dirt);
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK_EQ(0, ftruncate(fd, length));
    for (size_t at = 4096; at < pages_bytes; at += sizeof dirt)
        CHECK_EQ(sizeof dirt, pwrite(fd, dirt, sizeof dirt, (off_t)at));
    if (pages_bytes)
        CHECK_EQ(0, fallocate(fd, 0, 0, 4096)); /* the header: zeros */
    close(fd);
}

static bool is_there(const char *name)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return access(path, F_OK) == 0;
}

static void check_marks(struct sf_log_header *log, uint64_t count, uint32_t capacity)
{
    CHECK_EQ(count, log->head);
    CHECK_EQ(count, log->begun);
    CHECK_EQ(0, log->lost);
    for (uint64_t i = 0; i < count; i++)
        CHECK_EQ(i, records_of(log)[i % capacity].a);
}

/* Attaches to a session in which `spares` has made some, fills the log and checks it. */
static void fill_with_spares(void (*spares)(void))
{
    CHECK_EQ(0, sf_log_init());
    make_session("/dev/shm", 16384);
    spares();
    CHECK_EQ(0, sf_log_attach(directory));
    for (uint64_t i = 0; i < 16384; i++)
        mark(i);
    struct sf_log_header *log = open_log(getpid(), 16384);
    bool left = is_there("spare.0");
    remove_session();
    CHECK(!left);
    CHECK(log != NULL);
    check_marks(log, 16384, 16384);
}

#define SPARE_BYTES (4096 + 16384 * 32)

static void whole(void)
{
    make_spare("spare.0", SPARE_BYTES, SPARE_BYTES);
}

static void partly(void)
{
    make_spare("spare.0", SPARE_BYTES, 4096 * 7);
}

static void useless(void)
{
    make_spare("spare.0", 4096, 4096);     /* too short */
    make_spare("spare.1", SPARE_BYTES, 0); /* no pages */
    make_spare("spare.2", SPARE_BYTES * 2, 8192);
}

TEST(a_spare_becomes_the_log_and_its_old_records_are_not_seen)
{
    fill_with_spares(whole);
}

TEST(a_spare_with_few_pages_gets_the_rest_when_they_are_needed)
{
    fill_with_spares(partly);
}

TEST(damaged_spares_are_removed_and_the_log_is_made)
{
    fill_with_spares(useless);
}

/* As with huge pages, when the last one reaches past the end of the file. */
TEST(a_spare_with_pages_past_its_end_is_written_to_its_end)
{
    enum { RECORDS = 16384 };
    CHECK_EQ(0, sf_log_init());
    make_session("/dev/shm", RECORDS);
    make_spare("spare.0", SPARE_BYTES, SPARE_BYTES);
    char path[300];
    snprintf(path, sizeof path, "%s/spare.0", directory);
    int fd = open(path, O_RDWR);
    CHECK_EQ(0, fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, SPARE_BYTES + (2 << 20)));
    close(fd);
    /* the next mapping is placed below this one, so that a read past the end of the log faults */
    CHECK(mmap(NULL, (4 << 20) + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    CHECK_EQ(0, sf_log_attach(directory));
    struct sf_log_header *log = open_log(getpid(), RECORDS);
    for (uint64_t i = 0; i < RECORDS * 3; i++) {
        mark(i);
        log->tail = i; /* the collector keeps up */
    }
    remove_session();
    CHECK_EQ(RECORDS * 3, log->head);
    CHECK_EQ(0, log->lost);
}

TEST(processes_that_want_the_same_spare_get_a_log_each)
{
    enum { CHILDREN = 20 };
    int go[2];
    char name[16];
    CHECK_EQ(0, sf_log_init());
    make_session("/dev/shm", 1024);
    CHECK_EQ(0, sf_log_attach(directory));
    for (int i = 0; i < SF_SPARES_MAX; i++) {
        snprintf(name, sizeof name, SF_SPARE_PREFIX "%d", i);
        make_spare(name, 4096 + 1024 * 32, 4096 + 1024 * 32);
    }
    CHECK_EQ(0, pipe(go));
    for (int i = 0; i < CHILDREN; i++)
        if (fork() == 0) {
            char word;
            close(go[1]);
            CHECK_EQ(0, read(go[0], &word, 1)); /* all at once */
            pid_t twin = fork();
            for (uint64_t n = 1; n < 500; n++) /* number 0 is START */
                mark(n);
            struct sf_log_header *log = open_log(getpid(), 1024);
            CHECK(log != NULL);
            CHECK_EQ(getpid(), log->pid);
            CHECK_EQ(500, log->head);
            for (uint64_t n = 1; n < 500; n++)
                CHECK_EQ(n, records_of(log)[n].a);
            int status = 0;
            if (twin)
                waitpid(twin, &status, 0);
            _exit(status != 0);
        }
    close(go[0]);
    close(go[1]);
    int failed = 0;
    for (int status; wait(&status) > 0;)
        failed += status != 0;
    bool left = is_there("spare.0");
    remove_session();
    CHECK_EQ(0, failed);
    CHECK(!left);
}

TEST_MAIN()
