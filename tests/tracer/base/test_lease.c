/* Whether anybody can still write a file. */
#include "harness.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/lease.h"

static char path[64];

static void leave(void)
{
    unlink(path);
}

static int make(void)
{
    snprintf(path, sizeof path, "/dev/shm/test_lease.%d", (int)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    atexit(leave);
    CHECK_EQ(0, ftruncate(fd, 4096));
    return fd;
}

TEST(a_file_that_is_open_here_only_is_free)
{
    int fd = make();
    CHECK_EQ(LEASE_FREE, lease_look(fd));
    CHECK_EQ(LEASE_FREE, lease_look(fd)); /* the first look gave it back */
}

TEST(a_mapping_holds_it_also_after_its_descriptor_is_closed)
{
    int fd = make(), other = open(path, O_RDWR | O_CLOEXEC);
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
    close(other);
    CHECK_EQ(LEASE_HELD, lease_look(fd));
    munmap(page, 4096);
    CHECK_EQ(LEASE_FREE, lease_look(fd));
}

TEST(what_a_process_holds_is_free_when_it_has_ended)
{
    int fd = make(), ready[2];
    char byte;
    CHECK_EQ(0, pipe(ready));
    pid_t pid = fork();
    if (pid == 0) {
        close(fd);
        CHECK(open(path, O_RDWR) >= 0);
        CHECK_EQ(1, write(ready[1], "", 1));
        pause();
    }
    CHECK_EQ(1, read(ready[0], &byte, 1));
    CHECK_EQ(LEASE_HELD, lease_look(fd));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    CHECK_EQ(LEASE_FREE, lease_look(fd));
}

TEST(where_there_are_no_leases_it_is_unknown)
{
    int ends[2];
    CHECK_EQ(0, pipe(ends));
    CHECK_EQ(LEASE_UNKNOWN, lease_look(ends[0]));
}

TEST_MAIN()
