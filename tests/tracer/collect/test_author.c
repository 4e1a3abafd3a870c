/* The process that writes a log: found by its lock, over by its lease. */
#include "harness.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collect/author.h"
#include "collect/session.h"
#include "core/log/log.h"
#include "core/os/identity.h"

static struct session session;
static struct author author;
static int ready[2], go[2], log_fd;

static void leave(void)
{
    session_remove(&session, NULL);
    session_close(&session);
}

static void begin(void)
{
    struct sentence why;
    CHECK_EQ(0, sf_log_init());
    if (session_make(&session, 4096, sf_tsc_read(), &why))
        FAIL("%s", why.text);
    atexit(leave);
    CHECK_EQ(0, pipe(ready));
    CHECK_EQ(0, pipe(go));
}

/* In the child: has a log now; its header goes to the parent. Returns when the parent says so. */
static void have_log(void)
{
    char byte;
    CHECK_EQ(0, sf_log_attach(session.dir));
    CHECK_EQ(sizeof(struct sf_log_header), write(ready[1], sf_log_self.header, sizeof(struct sf_log_header)));
    CHECK_EQ(1, read(go[0], &byte, 1));
}

/* The same in a process that closes its descriptors. */
static void have_log_without_descriptors(void)
{
    char byte;
    CHECK_EQ(0, sf_log_attach(session.dir));
    struct sf_log_header header = *sf_log_self.header;
    for (int fd = 3; fd < 1024; fd++)
        if (fd != ready[1] && fd != go[0])
            close(fd);
    CHECK_EQ(sizeof header, write(ready[1], &header, sizeof header));
    CHECK_EQ(1, read(go[0], &byte, 1));
}

/* In the parent: opens the child's log, and looks who writes it. */
static struct sf_log_header find(void)
{
    struct sf_log_header header;
    char name[64];
    CHECK_EQ(sizeof header, read(ready[0], &header, sizeof header));
    snprintf(name, sizeof name, SF_LOG_PREFIX "%u.%llu", header.pid, (unsigned long long)header.start_tsc);
    log_fd = openat(session.dir_fd, name, O_RDWR | O_CLOEXEC);
    CHECK(log_fd >= 0);
    author_open(&author, log_fd, (pid_t)header.pid, header.space, 0);
    return header;
}

static void let_go(void)
{
    CHECK_EQ(1, write(go[1], "", 1));
}

TEST(a_process_is_known_and_over_when_it_has_ended)
{
    begin();
    pid_t pid = fork();
    if (pid == 0) {
        have_log();
        _exit(0);
    }
    CHECK_EQ(author_own_space(), find().space);
    CHECK_EQ(pid, author.pid);
    CHECK(!author.end_is_unknown);
    CHECK(!author_is_over(&author, log_fd));
    let_go();
    waitpid(pid, NULL, 0);
    CHECK(author_is_over(&author, log_fd));
    CHECK(author_has_ended(&author, log_fd));
}

TEST(one_that_has_closed_the_descriptor_is_known_by_its_pid)
{
    begin();
    pid_t pid = fork();
    if (pid == 0) {
        have_log_without_descriptors();
        _exit(0);
    }
    find();
    CHECK_EQ(pid, author.pid);
    CHECK(!author_is_over(&author, log_fd));
    let_go();
    waitpid(pid, NULL, 0);
    CHECK(author_is_over(&author, log_fd));
}

TEST(a_child_that_keeps_its_parents_log_keeps_it_from_being_over)
{
    int child[2], end[2];
    char byte;
    begin();
    CHECK_EQ(0, pipe(child));
    CHECK_EQ(0, pipe(end));
    pid_t pid = fork();
    if (pid == 0) {
        have_log();
        if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) == 0) { /* a fork without the fork handlers */
            CHECK_EQ(1, write(child[1], "", 1));
            CHECK_EQ(1, read(end[0], &byte, 1));
        }
        _exit(0);
    }
    find();
    let_go();
    CHECK_EQ(1, read(child[0], &byte, 1));
    waitpid(pid, NULL, 0);
    CHECK(author_has_ended(&author, log_fd));
    CHECK(!author_is_over(&author, log_fd));
    CHECK_EQ(1, write(end[1], "", 1));
    for (int i = 0; i < 500 && !author_is_over(&author, log_fd); i++)
        usleep(10000);
    CHECK(author_is_over(&author, log_fd));
}

/* Runs `act` as process 1 of a new pid namespace, in a child of the child, whose end it waits for. False: not allowed.
 */
static pid_t start_in_namespace(void (*act)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWPID))
            _exit(77);
        pid_t inner = fork();
        if (inner == 0) {
            act();
            _exit(0);
        }
        waitpid(inner, NULL, 0);
        _exit(0);
    }
    return pid;
}

static void expect_found(void (*act)(void))
{
    if (geteuid())
        SKIP("unshare needs root");
    begin();
    pid_t pid = start_in_namespace(act);
    struct sf_log_header header = find();
    CHECK_EQ(1, header.pid);
    CHECK(header.space != author_own_space());
    CHECK(author.pid > 1);
    CHECK(!author.end_is_unknown);
    CHECK(!author_is_over(&author, log_fd));
    let_go();
    waitpid(pid, NULL, 0);
    CHECK(author_is_over(&author, log_fd));
}

TEST(a_process_of_an_inner_namespace_is_found_by_its_lock)
{
    expect_found(have_log);
}

TEST(one_of_an_inner_namespace_without_a_lock_is_found_in_proc)
{
    expect_found(have_log_without_descriptors);
}

/* Runs `act` as a collector in a pid namespace of its own, whose /proc is that of the namespace outside. */
static void in_inner_collector(void (*act)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_EQ(0, unshare(CLONE_NEWPID));
        pid_t inner = fork();
        if (inner == 0) {
            CHECK_EQ(1, getpid());
            act();
            _exit(0);
        }
        waitpid(inner, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
    waitpid(pid, &status, 0);
    CHECK_EQ(0, status);
}

static void find_one_further_in(void)
{
    pid_t pid = start_in_namespace(have_log);
    CHECK_EQ(1, find().pid);
    CHECK(author.pid > 1);
    CHECK(!author.end_is_unknown);
    let_go();
    waitpid(pid, NULL, 0);
    CHECK(author_is_over(&author, log_fd));
}

TEST(without_a_proc_of_the_collectors_own_the_lock_is_enough)
{
    if (geteuid())
        SKIP("unshare needs root");
    begin();
    in_inner_collector(find_one_further_in);
}

static void find_one_outside(void)
{
    find();
    CHECK_EQ(0, author.pid);
    CHECK(author.end_is_unknown);
    CHECK(!author_is_over(&author, log_fd));
    let_go();
    for (int i = 0; i < 500 && !author_is_over(&author, log_fd); i++)
        usleep(10000);
    CHECK(author_is_over(&author, log_fd));
}

TEST(one_that_cannot_be_seen_is_over_when_its_log_is_free)
{
    if (geteuid())
        SKIP("unshare needs root");
    begin();
    pid_t outer = fork();
    if (outer == 0) { /* a process outside of the collector's namespace */
        have_log();
        _exit(0);
    }
    in_inner_collector(find_one_outside);
    waitpid(outer, NULL, 0);
}

TEST_MAIN()
