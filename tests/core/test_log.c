/* The writer's side of the log, against a reader made here: it maps the log that the writer made, and takes records
 * as log_format.h says. */
#include "core/log.h"
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

static char directory[256];

static void remove_session(void)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    if (system(command))
        fprintf(stderr, "  cannot remove %s\n", directory);
}

/* Makes a session as a collector would. */
static struct sf_session_header *make_session(const char *where, uint32_t records)
{
    char path[300];
    snprintf(directory, sizeof directory, "%s/snakefish-test-XXXXXX", where);
    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/" SF_SESSION_FILE, directory);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK_EQ(0, ftruncate(fd, 4096));
    struct sf_session_header *session = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    session->version = SF_ABI_VERSION;
    session->log_records = records;
    session->state = SF_SESSION_ACTIVE;
    session->magic = SF_SESSION_MAGIC;
    return session;
}

/* Maps the log of process pid. NULL: there is none that has its length. */
static struct sf_log_header *open_log(pid_t pid, uint32_t records)
{
    char prefix[32], path[600] = "";
    snprintf(prefix, sizeof prefix, SF_LOG_PREFIX "%d.", (int)pid);
    DIR *open_directory = opendir(directory);
    for (struct dirent *entry; (entry = readdir(open_directory));)
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
            snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
    closedir(open_directory);
    int fd = open(path, O_RDWR);
    if (fd < 0)
        return NULL;
    struct stat st;
    if (fstat(fd, &st) || st.st_size != (off_t)(SF_LOG_RECORDS_OFFSET + records * sizeof(struct sf_record))) {
        close(fd);
        return NULL;
    }
    void *log = mmap(NULL, SF_LOG_RECORDS_OFFSET + records * sizeof(struct sf_record), PROT_READ | PROT_WRITE,
                     MAP_SHARED, fd, 0);
    close(fd);
    return log;
}

static struct sf_record *records_of(struct sf_log_header *log)
{
    return (struct sf_record *)((char *)log + SF_LOG_RECORDS_OFFSET);
}

static void mark(uint64_t a)
{
    sf_log_write(SF_EVENT_MARK, SF_PHASE_INSTANT, 1, a, ~a);
}

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

TEST(a_full_log_loses_and_counts_and_says_so_at_the_gap)
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

TEST(a_log_that_is_drained_wraps_for_ever_without_a_loss)
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

TEST(a_fork_wakes_no_collector)
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

TEST(what_a_thread_says_of_its_next_child_is_not_said_of_another_threads)
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

TEST(the_books_balance_wherever_a_writer_is_killed)
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
    const char *text = "exactly sixteen."; /* its NUL needs a record more */
    uint32_t number = sf_log_text(text, 16);
    struct sf_log_header *log = open_log(getpid(), 4096);
    remove_session();
    CHECK_EQ(2, log->head);
    CHECK_EQ(number, records_of(log)[1].object);
    CHECK_EQ(0, memcmp(&records_of(log)[0].a, text, 16));
    CHECK_EQ(0, records_of(log)[1].a);
}

TEST(stopping_ends_the_writing_of_every_process)
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

static int attach_to(const char *where)
{
    CHECK_EQ(0, sf_log_init());
    return sf_log_attach(where);
}

TEST(a_directory_that_is_not_ours_alone_is_refused)
{
    char link[300];
    make_session("/dev/shm", 64);
    snprintf(link, sizeof link, "%s-link", directory);
    CHECK_EQ(0, symlink(directory, link));
    CHECK_EQ(-EPERM, attach_to(link));
    unlink(link);
    CHECK_EQ(0, chmod(directory, 0755));
    CHECK_EQ(-EPERM, attach_to(directory));
    CHECK_EQ(0, chmod(directory, 0700));
    if (geteuid() == 0) {
        CHECK_EQ(0, chown(directory, 12345, 12345));
        CHECK_EQ(-EPERM, attach_to(directory));
        CHECK_EQ(0, chown(directory, 0, 0));
    }
    CHECK_EQ(0, attach_to(directory)); /* nothing else was wrong with it */
    remove_session();
}

TEST(what_is_no_session_is_refused)
{
    struct sf_session_header *session = make_session("/dev/shm", 64);
    CHECK_EQ(-ENOENT, attach_to("/dev/shm/snakefish-there-is-none"));
    session->magic = 1;
    CHECK_EQ(-EPROTO, attach_to(directory));
    session->magic = SF_SESSION_MAGIC;
    session->log_records = 63; /* no power of two */
    CHECK_EQ(-EPROTO, attach_to(directory));
    session->log_records = 64;
    session->state = SF_SESSION_CLOSED;
    CHECK_EQ(-ESHUTDOWN, attach_to(directory));
    remove_session();
}

TEST(a_file_system_that_fills_up_loses_counted_records_and_raises_no_signal)
{
    char where[] = "/tmp/snakefish-test-XXXXXX";
    CHECK(mkdtemp(where) != NULL);
    /* room for the session, a log's first step, and little more */
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

/* A spare of that length with that many bytes of pages, full of an earlier process's records. */
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

/* Attaches where `spares` has put some, fills the log and checks it. */
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

TEST(a_spare_becomes_the_log_and_what_stood_in_it_is_not_seen)
{
    fill_with_spares(whole);
}

TEST(a_spare_with_few_pages_gets_the_others)
{
    fill_with_spares(partly);
}

TEST(spares_that_are_none_are_removed_and_the_log_is_made)
{
    fill_with_spares(useless);
}

/* As with huge pages, of which the last one reaches past the end. */
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
    /* what is mapped next lies below it, so that nobody looks past its end unpunished */
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
