/* The session's directory: closed to others, and taken over only if it is this user's and no collector has it. */
#include "harness.h"
#include "tracer/writer.h"

#include <sys/file.h>
#include <sys/stat.h>

#include "collect/session.h"

static struct session session;
static struct sentence why;

TEST(it_is_closed_to_others_and_removed_completely)
{
    struct stat st;
    CHECK_EQ(0, session_make(&session, 256, 77, &why));
    CHECK_EQ(0, stat(session.dir, &st));
    CHECK_EQ(0700, st.st_mode & 07777);
    CHECK(strncmp(session_name(&session), SF_SESSION_PREFIX, strlen(SF_SESSION_PREFIX)) == 0);
    CHECK_EQ(SF_SESSION_ACTIVE, session_state(&session));
    CHECK_EQ(getpid(), session.header->collector_pid);
    CHECK_EQ(77, session.header->start_tsc);
    CHECK_EQ(0, writer_open(session.dir, 0, "x"));
    CHECK_EQ(0, session_remove(&session, &why));
    CHECK_EQ(-1, stat(session.dir, &st));
    session_close(&session);
}

/* Takes over `dir` and expects to be refused with a sentence that has `word` in it. */
static void refused(const char *dir, int error, const char *word)
{
    struct session other;
    CHECK_EQ(error, session_take(&other, dir, &why));
    if (!strstr(why.text, word))
        FAIL("\"%s\" does not say \"%s\"", why.text, word);
}

TEST(one_that_is_being_collected_is_refused)
{
    CHECK_EQ(0, session_make(&session, 256, 77, &why));
    session.header->collector_pid = 1; /* whatever it says, the lock is held */
    refused(session.dir, -EBUSY, "still being collected");
    session_remove(&session, NULL);
    session_close(&session);
}

TEST(a_lock_that_a_child_of_the_dead_collector_has_not_yet_let_go_is_waited_for)
{
    struct session *made = mmap(NULL, sizeof *made, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int tested[2];
    char byte;
    CHECK_EQ(0, pipe(tested));
    pid_t collector = fork();
    if (collector == 0) {
        CHECK_EQ(0, session_make(made, 256, 77, &why));
        if (fork() == 0) { /* has the lock too: exec would close it */
            read(tested[0], &byte, 1);
            usleep(100000); /* until session_take waits for the lock */
        }
        _exit(0);
    }
    CHECK_EQ(collector, waitpid(collector, NULL, 0));
    int fd = open(made->dir, O_RDONLY | O_DIRECTORY), file = openat(fd, SF_SESSION_FILE, O_RDWR);
    CHECK_EQ(-1, flock(file, LOCK_EX | LOCK_NB));
    CHECK_EQ(1, write(tested[1], "", 1));
    if (session_take(&session, made->dir, &why))
        FAIL("%s", why.text);
    session_remove(&session, NULL);
    session_close(&session);
}

TEST(what_belongs_to_another_user_or_is_open_to_others_is_refused)
{
    char link[600], dir[512];
    CHECK_EQ(0, session_make(&session, 256, 77, &why));
    struct session mine = session;
    snprintf(dir, sizeof dir, "%s", mine.dir);
    snprintf(link, sizeof link, "%s-link", dir);
    CHECK_EQ(0, symlink(dir, link));
    refused(link, -ENOTDIR, "symbolic link");
    strcat(link, "/");
    refused(link, -ENOTDIR, "symbolic link");
    link[strlen(link) - 1] = '\0';
    unlink(link);
    CHECK_EQ(0, chmod(dir, 0750));
    refused(dir, -EPERM, "group or others");
    if (!geteuid()) {
        CHECK_EQ(0, chmod(dir, 0700));
        CHECK_EQ(0, chown(dir, 12345, 12345));
        refused(dir, -EPERM, "another user");
        CHECK_EQ(0, chown(dir, 0, 0));
    }
    CHECK_EQ(0, chmod(dir, 0700));
    session_remove(&mine, NULL);
    refused(dir, -ENOENT, "cannot open");
    refused("/etc/hostname", -ENOTDIR, "cannot open");
    session_close(&session);
}

TEST(a_damaged_session_file_is_refused)
{
    CHECK_EQ(0, session_make(&session, 256, 77, &why));
    char dir[512];
    snprintf(dir, sizeof dir, "%s", session.dir);
    struct sf_session_header *h = session.header;
    h->magic ^= 1;
    refused(dir, -EBADMSG, "damaged");
    h->magic ^= 1;
    h->version = 99;
    refused(dir, -EBADMSG, "version 99");
    h->version = SF_ABI_VERSION;
    h->log_records = 300;
    refused(dir, -EBADMSG, "damaged");
    h->log_records = 256;
    h->state = 9;
    refused(dir, -EBADMSG, "damaged");
    CHECK_EQ(0, ftruncate(session.fd, 10));
    refused(dir, -EBADMSG, "damaged");
    CHECK_EQ(0, unlinkat(session.dir_fd, SF_SESSION_FILE, 0));
    refused(dir, -ENOENT, "no session file");
    session_remove(&session, NULL);
    session_close(&session);
}

TEST(a_wake_before_the_wait_ends_it_at_once)
{
    CHECK_EQ(0, session_make(&session, 256, 77, &why));
    uint32_t seen = session_wake_count(&session);
    session_wake(&session);
    alarm(2);
    session_wait(&session, seen, 60ll * 1000000000);
    session_remove(&session, NULL);
    session_close(&session);
}

TEST_MAIN()
