/* What is cleared away of sessions that were never begun, and what is not. */
#include "harness.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "abi/log_format.h"
#include "collect/sweep.h"

#define NAME "snakefish-4194305-0123456789abcdef" /* no pid is so large */

static char parent[] = "/tmp/sweep-XXXXXX", dir[128], file[160];

static void grow_old(void)
{
    struct timespec hour_ago[2] = {{time(NULL) - 3600, 0}, {time(NULL) - 3600, 0}};
    CHECK_EQ(0, utimensat(AT_FDCWD, dir, hour_ago, 0));
}

static int make_file(const char *name)
{
    snprintf(file, sizeof file, "%s/%s", dir, name);
    int fd = open(file, O_WRONLY | O_CREAT, 0600);
    grow_old();
    return fd;
}

/* A directory of that name as if it were an hour old, with a session file of that magic; 0: no file. */
static void make(const char *name, mode_t mode, uint64_t magic)
{
    CHECK(mkdtemp(parent) != NULL);
    snprintf(dir, sizeof dir, "%s/%s", parent, name);
    CHECK_EQ(0, mkdir(dir, 0700));
    if (magic) {
        struct sf_session_header header = {.magic = magic};
        int fd = make_file(SF_SESSION_FILE);
        CHECK_EQ(sizeof header, write(fd, &header, sizeof header));
        close(fd);
    }
    CHECK_EQ(0, chmod(dir, mode));
    grow_old();
}

static void tidy(void)
{
    if (file[0])
        unlink(file);
    rmdir(dir);
    CHECK_EQ(0, rmdir(parent));
}

static void expect(int there)
{
    sweep_abandoned(parent);
    CHECK_EQ(there ? 0 : -1, access(dir, F_OK));
    tidy();
}

TEST(an_empty_directory_of_a_dead_collector_goes)
{
    make(NAME, 0700, 0);
    expect(0);
}

TEST(one_with_a_session_file_that_was_never_finished_goes)
{
    make(NAME, 0700, 0);
    close(make_file(SF_SESSION_FILE));
    expect(0);
}

TEST(a_session_stays)
{
    make(NAME, 0700, SF_SESSION_MAGIC);
    expect(1);
}

TEST(an_unfinished_one_that_is_locked_stays)
{
    make(NAME, 0700, 0);
    int fd = make_file(SF_SESSION_FILE);
    CHECK_EQ(0, flock(fd, LOCK_EX));
    expect(1);
}

TEST(one_that_was_just_made_stays)
{
    make(NAME, 0700, 0);
    CHECK_EQ(0, utimensat(AT_FDCWD, dir, NULL, 0));
    expect(1);
}

TEST(one_of_a_running_collector_stays)
{
    char name[64];
    snprintf(name, sizeof name, "snakefish-%d-0123456789abcdef", (int)getpid());
    make(name, 0700, 0);
    CHECK_EQ(0, prctl(PR_SET_NAME, "snakefish-trace"));
    expect(1);
}

TEST(one_that_is_open_to_others_stays)
{
    make(NAME, 0755, 0);
    expect(1);
}

TEST(one_of_another_user_stays)
{
    make(NAME, 0700, 0);
    if (chown(dir, 12345, 12345)) {
        tidy();
        SKIP("needs root to give a directory to another user");
    }
    expect(1);
}

TEST(what_is_called_otherwise_stays)
{
    make("snakefish-4194305-0123456789abcdef.old", 0700, 0);
    expect(1);
}

TEST(one_with_something_else_in_it_stays)
{
    make(NAME, 0700, 0);
    close(make_file("log.1.2"));
    expect(1);
}

TEST(a_link_to_one_stays)
{
    char real[160];
    make(NAME, 0700, 0);
    snprintf(real, sizeof real, "%s/real", parent);
    CHECK_EQ(0, rename(dir, real));
    CHECK_EQ(0, symlink(real, dir));
    sweep_abandoned(parent);
    CHECK_EQ(0, access(real, F_OK));
    unlink(dir);
    rmdir(real);
    CHECK_EQ(0, rmdir(parent));
}

TEST_MAIN()
