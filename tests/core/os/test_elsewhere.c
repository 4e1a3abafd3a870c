/* What other processes have open and mapped. */
#include "core/os/elsewhere.h"
#include "core/os/shm.h"
#include "harness.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

struct search {
    struct stat file;
    bool found;
};

static void look(mode_t kind, uint64_t inode, void *context)
{
    struct search *search = context;
    search->found |= inode == search->file.st_ino && kind == (search->file.st_mode & S_IFMT);
}

static bool is_open(struct search *search)
{
    search->found = false;
    CHECK_EQ(0, sf_elsewhere_each_open(look, search));
    return search->found;
}

static void check_open(int fds[2])
{
    struct search search;
    int status;
    CHECK_EQ(0, fstat(fds[0], &search.file));
    CHECK(is_open(&search));
    pid_t child = fork();
    if (child == 0) {
        close(fds[1]);
        pause();
    }
    close(fds[0]);
    close(fds[1]);
    CHECK(is_open(&search));
    kill(child, SIGKILL);
    CHECK_EQ(child, waitpid(child, &status, 0));
    CHECK(!is_open(&search));
}

TEST(a_pipe_is_open_as_long_as_any_process_has_it)
{
    int fds[2];
    CHECK_EQ(0, pipe(fds));
    check_open(fds);
}

TEST(a_socket_is_open_as_long_as_any_process_has_it)
{
    int fds[2];
    CHECK_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    check_open(fds);
}

static void count(int fd, void *context)
{
    ((int *)context)[fd < 100 ? fd : 100]++;
}

TEST(a_descriptor_that_is_closed_on_exec_is_not_inherited)
{
    int times[101] = {0}, fds[2];
    CHECK_EQ(0, pipe2(fds, O_CLOEXEC));
    CHECK_EQ(0, fcntl(fds[1], F_SETFD, 0));
    CHECK_EQ(0, sf_elsewhere_each_inherited(count, times));
    CHECK_EQ(0, times[fds[0]]);
    CHECK_EQ(1, times[fds[1]]);
}

TEST(a_mapping_is_shared_with_children_and_not_with_what_they_exec)
{
    void *before, *after;
    int ready[2], status;
    char byte;
    CHECK_EQ(0, pipe2(ready, O_CLOEXEC));
    CHECK_EQ(0, sf_shm_map(&before, 8192));
    pid_t child = fork();
    if (child == 0) {
        CHECK_EQ(0, sf_shm_map(&after, 8192));
        close(ready[1]);
        pause();
    }
    pid_t program = fork();
    if (program == 0) {
        execlp("sleep", "sleep", "60", (char *)NULL);
        _exit(1);
    }
    CHECK_EQ(0, sf_shm_map(&after, 8192)); /* most likely at the same address as the child's */
    close(ready[1]);
    CHECK_EQ(0, read(ready[0], &byte, 1)); /* the child has mapped, the program has exec'ed */
    CHECK(sf_elsewhere_has_mapped(child, before));
    CHECK(!sf_elsewhere_has_mapped(child, after));
    CHECK(!sf_elsewhere_has_mapped(child, (char *)before + 4096));
    CHECK(!sf_elsewhere_has_mapped(program, before));
    kill(child, SIGKILL);
    kill(program, SIGKILL);
    CHECK_EQ(child, waitpid(child, &status, 0));
    CHECK_EQ(program, waitpid(program, &status, 0));
    CHECK(!sf_elsewhere_has_mapped(child, before));
}

TEST_MAIN()
