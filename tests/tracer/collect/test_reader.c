/* The reader of one log, with logs as a real writer leaves them, and with damaged ones. */
#include "harness.h"
#include "tracer/writer.h"

#include "collect/discover.h"
#include "collect/reader.h"
#include "collect/session.h"

static struct session session;

static void remove_session(void)
{
    session_remove(&session, NULL);
    session_close(&session);
}

/* A session that the case leaves with nothing behind. */
static void make_session(uint32_t records)
{
    struct sentence why;
    if (session_make(&session, records, writer_tsc(), &why))
        FAIL("%s", why.text);
    atexit(remove_session);
}

static char log_name[300];

static int keep_name(void *arg, const char *name)
{
    (void)arg;
    snprintf(log_name, sizeof log_name, "%s", name);
    return 0;
}

/* A log with `marks` records, written by this process. */
static const char *make_log(int marks)
{
    CHECK_EQ(0, writer_open(session.dir, 0, "writer"));
    for (int i = 0; i < marks; i++)
        W_INSTANT(MARK, 0, (uint64_t)i, 0);
    CHECK_EQ(0, discover_logs(session.dir_fd, keep_name, NULL));
    return log_name;
}

static void *log_page(void)
{
    return writer_log;
}

TEST(records_come_out_as_they_went_in_and_once)
{
    struct reader reader;
    struct sf_record records[512];
    size_t n;
    make_session(256);
    CHECK_EQ(0, reader_open(&reader, session.dir_fd, make_log(200), 256));
    CHECK_EQ(getpid(), reader.header.pid);
    CHECK_EQ(0, reader_look(&reader));
    CHECK_EQ(0, reader_read(&reader, records, 512, &n));
    CHECK_EQ(200, n);
    for (size_t i = 0; i < n; i++) {
        CHECK_EQ(i, records[i].a);
        CHECK_EQ(READER_SOUND, reader_check(&records[i], 0, writer_tsc()));
    }
    CHECK_EQ(0, reader_read(&reader, records, 512, &n));
    CHECK_EQ(0, n);
    reader_close(&reader);
}

TEST(the_buffer_wraps_and_released_room_is_used_again)
{
    struct reader reader;
    struct sf_record records[512];
    size_t n;
    uint64_t expected = 0;
    make_session(256);
    CHECK_EQ(0, reader_open(&reader, session.dir_fd, make_log(0), 256));
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 100; i++)
            W_INSTANT(MARK, 0, (uint64_t)(round * 100 + i), 0);
        CHECK_EQ(0, reader_look(&reader));
        while (!reader_read(&reader, records, 512, &n) && n)
            for (size_t i = 0; i < n; i++)
                CHECK_EQ(expected++, records[i].a);
        reader_release(&reader, reader.next);
    }
    CHECK_EQ(1000, expected);
    CHECK_EQ(0, writer_log->lost);
    reader_close(&reader);
}

TEST(a_full_log_counts_what_it_loses_and_writes_a_record_of_it)
{
    struct reader reader;
    struct sf_record records[512];
    size_t n;
    make_session(256);
    CHECK_EQ(0, reader_open(&reader, session.dir_fd, make_log(300), 256));
    CHECK_EQ(0, reader_look(&reader));
    CHECK_EQ(256, reader.header.head);
    CHECK_EQ(44, reader.header.lost);
    CHECK_EQ(300, reader.header.begun);
    CHECK_EQ(0, reader_read(&reader, records, 512, &n));
    reader_release(&reader, reader.next);
    W_INSTANT(MARK, 0, 1, 0);
    CHECK_EQ(0, reader_look(&reader));
    CHECK_EQ(0, reader_read(&reader, records, 512, &n));
    CHECK_EQ(2, n);
    CHECK_EQ(SF_EVENT_LOST, records[0].kind);
    CHECK_EQ(44, records[0].a);
    reader_close(&reader);
}

TEST(a_log_that_is_being_made_is_asked_to_come_again)
{
    struct reader reader;
    make_session(256);
    CHECK_EQ(0, close(openat(session.dir_fd, "log.1.1", O_CREAT | O_RDWR, 0600)));
    CHECK_EQ(-EAGAIN, reader_open(&reader, session.dir_fd, "log.1.1", 256));
    make_log(1);
    writer_log->magic = 0;
    CHECK_EQ(0, unlinkat(session.dir_fd, "log.1.1", 0));
    discover_logs(session.dir_fd, keep_name, NULL);
    CHECK_EQ(-EAGAIN, reader_open(&reader, session.dir_fd, log_name, 256));
}

TEST(a_bad_magic_version_or_capacity_is_damage)
{
    struct reader reader;
    make_session(256);
    const char *name = make_log(1);
    struct sf_log_header *h = log_page();
    h->magic ^= 1;
    CHECK_EQ(-EBADMSG, reader_open(&reader, session.dir_fd, name, 256));
    h->magic ^= 1;
    h->version++;
    CHECK_EQ(-EBADMSG, reader_open(&reader, session.dir_fd, name, 256));
    h->version--;
    h->capacity = 1u << 31;
    CHECK_EQ(-EBADMSG, reader_open(&reader, session.dir_fd, name, 256));
    h->capacity = 256;
    h->pid = 0;
    CHECK_EQ(-EBADMSG, reader_open(&reader, session.dir_fd, name, 256));
    h->pid = 1;
    CHECK_EQ(0, reader_open(&reader, session.dir_fd, name, 256));
    reader_close(&reader);
}

TEST(a_head_that_cannot_be_is_damage)
{
    struct reader reader;
    struct sf_record records[512];
    size_t n;
    make_session(256);
    CHECK_EQ(0, reader_open(&reader, session.dir_fd, make_log(10), 256));
    struct sf_log_header *h = log_page();
    h->head = 257;
    CHECK_EQ(-EBADMSG, reader_look(&reader));
    h->head = UINT64_MAX;
    CHECK_EQ(-EBADMSG, reader_look(&reader));
    h->head = 10;
    CHECK_EQ(0, reader_look(&reader));
    CHECK_EQ(0, reader_read(&reader, records, 512, &n));
    CHECK_EQ(10, n);
    h->head = 9; /* backwards */
    CHECK_EQ(-EBADMSG, reader_look(&reader));
    reader_close(&reader);
}

TEST(a_file_cut_short_is_damage_and_no_signal)
{
    struct reader reader;
    struct sf_record records[512];
    size_t n;
    make_session(4096);
    CHECK_EQ(0, reader_open(&reader, session.dir_fd, make_log(1000), 4096));
    CHECK_EQ(0, reader_look(&reader));
    CHECK_EQ(0, ftruncate(writer_fd, SF_LOG_RECORDS_OFFSET + 32 * 600));
    CHECK_EQ(0, reader_read(&reader, records, 512, &n));
    CHECK_EQ(512, n);
    CHECK_EQ(-EBADMSG, reader_read(&reader, records, 512, &n));
    CHECK_EQ(0, n);
    CHECK_EQ(0, ftruncate(writer_fd, 0));
    CHECK_EQ(-EBADMSG, reader_look(&reader));
    reader_close(&reader);
}

TEST(links_pipes_directories_and_open_modes_are_refused)
{
    struct reader reader;
    make_session(256);
    const char *name = make_log(1);
    CHECK_EQ(0, symlinkat(name, session.dir_fd, "log.2.2"));
    CHECK_EQ(-EBADMSG, reader_open(&reader, session.dir_fd, "log.2.2", 256));
    CHECK_EQ(0, mkfifoat(session.dir_fd, "log.3.3", 0600));
    CHECK_EQ(-EBADMSG, reader_open(&reader, session.dir_fd, "log.3.3", 256));
    CHECK_EQ(0, mkdirat(session.dir_fd, "log.4.4", 0700));
    CHECK_EQ(-EBADMSG, reader_open(&reader, session.dir_fd, "log.4.4", 256));
    CHECK_EQ(0, unlinkat(session.dir_fd, "log.4.4", AT_REMOVEDIR));
    CHECK_EQ(0, fchmod(writer_fd, 0666));
    CHECK_EQ(-EPERM, reader_open(&reader, session.dir_fd, name, 256));
    CHECK_EQ(0, fchmod(writer_fd, 0600));
    CHECK_EQ(0, linkat(session.dir_fd, name, session.dir_fd, "log.5.5", 0));
    CHECK_EQ(-EPERM, reader_open(&reader, session.dir_fd, name, 256));
}

TEST(another_users_log_is_refused)
{
    struct reader reader;
    if (geteuid())
        SKIP("needs root");
    make_session(256);
    const char *name = make_log(1);
    CHECK_EQ(0, fchown(writer_fd, 12345, 12345));
    CHECK_EQ(-EPERM, reader_open(&reader, session.dir_fd, name, 256));
}

TEST(each_flaw_of_a_record_is_recognized)
{
    struct sf_record r = {.tsc = 1000, .kind = SF_EVENT_MARK};
    CHECK_EQ(READER_SOUND, reader_check(&r, 500, 2000));
    CHECK_EQ(READER_BAD_TIME, reader_check(&r, 1001, 2000));
    CHECK_EQ(READER_BAD_TIME, reader_check(&r, 500, 999));
    r.flags = SF_PHASE_BEGIN; /* of an instant */
    CHECK_EQ(READER_BAD_PHASE, reader_check(&r, 500, 2000));
    r.kind = SF_EVENT_SEND;
    CHECK_EQ(READER_SOUND, reader_check(&r, 500, 2000));
    r.flags = SF_LANE_MAX << SF_LANE_SHIFT | SF_PHASE_END;
    CHECK_EQ(READER_SOUND, reader_check(&r, 500, 2000));
    r.flags = SF_PHASE_INSTANT; /* of a span */
    CHECK_EQ(READER_BAD_PHASE, reader_check(&r, 500, 2000));
    r.flags = 3;
    CHECK_EQ(READER_BAD_PHASE, reader_check(&r, 500, 2000));
    r.kind = 0;
    CHECK_EQ(READER_BAD_KIND, reader_check(&r, 500, 2000));
    r.kind = 60000;
    CHECK_EQ(READER_BAD_KIND, reader_check(&r, 500, 2000));
}

TEST(a_tail_that_cannot_be_written_repeats_no_record)
{
    struct reader reader;
    struct sf_record records[512];
    size_t n;
    char path[900];
    make_session(256);
    CHECK_EQ(0, reader_open(&reader, session.dir_fd, make_log(200), 256));
    snprintf(path, sizeof path, "%s/%s", session.dir, log_name);
    int only_read = open(path, O_RDONLY);
    CHECK(dup2(only_read, reader.fd) == reader.fd);
    CHECK_EQ(0, reader_look(&reader));
    CHECK_EQ(0, reader_set_aside(&reader, records, 64));
    CHECK_EQ(0, writer_log->tail);
    CHECK_EQ(0, reader_set_aside(&reader, records, 64)); /* finds nothing more */
    CHECK_EQ(0, reader_read(&reader, records, 512, &n));
    CHECK_EQ(200, n);
    for (size_t i = 0; i < n; i++)
        CHECK_EQ(i, records[i].a);
    reader_close(&reader);
    close(only_read);
}

TEST_MAIN()
