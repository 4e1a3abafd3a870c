/* Joining a session: which directories and session files are refused. */
#include "core/log/session.h"

#include <errno.h>
#include <sys/stat.h>

#include "core/log/log.h"
#include "core/log/log_session.h"
#include "harness.h"

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
    CHECK_EQ(0, attach_to(directory)); /* the refusals above had no other reason */
    remove_session();
}

TEST(a_directory_without_a_valid_session_is_refused)
{
    struct sf_session_header *session = make_session("/dev/shm", 64);
    CHECK_EQ(-ENOENT, attach_to("/dev/shm/snakefish-there-is-none"));
    session->magic = 1;
    CHECK_EQ(-EPROTO, attach_to(directory));
    session->magic = SF_SESSION_MAGIC;
    session->log_records = 63; /* not a power of two */
    CHECK_EQ(-EPROTO, attach_to(directory));
    session->log_records = 64;
    session->state = SF_SESSION_CLOSED;
    CHECK_EQ(-ESHUTDOWN, attach_to(directory));
    remove_session();
}

TEST(a_session_file_that_is_cut_while_it_is_looked_at_raises_no_signal)
{
    char path[300];
    make_session("/dev/shm", 64);
    snprintf(path, sizeof path, "%s/" SF_SESSION_FILE, directory);
    pid_t cutter = fork();
    for (; cutter == 0;)
        if (truncate(path, 0) || truncate(path, 4096))
            _exit(1);
    int directory_fd = sf_session_open(directory);
    for (int i = 0; i < 20000; i++) {
        struct sf_session_header *mapped;
        int error = sf_session_map(directory_fd, &mapped);
        CHECK(error == 0 || error == -EPROTO);
        if (!error)
            sf_session_unmap(mapped);
    }
    close(directory_fd);
    kill(cutter, SIGKILL);
    waitpid(cutter, NULL, 0);
    remove_session();
}

TEST_MAIN()
