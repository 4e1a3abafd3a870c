#include "core/os/own_fd.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

static struct sf_own_fd new_own(void)
{
    struct sf_own_fd own;
    CHECK_EQ(0, sf_own_fd_take(&own, memfd_create("ours", 0)));
    CHECK(sf_own_fd_is_ours(&own));
    CHECK_EQ(own.fd, sf_own_fd_get(&own));
    return own;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

TEST(what_is_ours_is_closed_once)
{
    struct sf_own_fd own = new_own();
    int fd = own.fd;
    sf_own_fd_close(&own);
    CHECK(!is_open(fd));
    CHECK_EQ(-1, own.fd);
    CHECK_EQ(fd, memfd_create("the program's", 0));
    sf_own_fd_close(&own);
    CHECK(is_open(fd));
}

TEST(another_file_under_the_same_number_is_not_ours_and_stays_open)
{
    struct sf_own_fd own = new_own();
    int fd = own.fd, other = memfd_create("the program's", 0);
    CHECK_EQ(fd, dup2(other, fd));
    CHECK(!sf_own_fd_is_ours(&own));
    CHECK_EQ(-1, sf_own_fd_get(&own));
    sf_own_fd_close(&own);
    CHECK(is_open(fd));
}

TEST(a_descriptor_that_the_program_has_closed_is_not_ours)
{
    struct sf_own_fd own = new_own();
    close(own.fd);
    CHECK(!sf_own_fd_is_ours(&own));
    CHECK_EQ(-1, sf_own_fd_get(&own));
}

TEST(an_error_in_place_of_a_descriptor_gives_none)
{
    struct sf_own_fd own;
    CHECK_EQ(-EMFILE, sf_own_fd_take(&own, -EMFILE));
    CHECK_EQ(-1, own.fd);
    CHECK(!sf_own_fd_is_ours(&own));
    CHECK_EQ(-EBADF, sf_own_fd_take(&own, 1000)); /* not open */
    CHECK_EQ(-1, own.fd);
}

TEST_MAIN()

TEST(numbers_of_closed_standard_streams_stay_free)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        int kept = dup(fd);
        close(fd);
        struct sf_own_fd own = new_own(); /* memfd_create gives it that number */
        bool free = !is_open(fd);
        int flags = fcntl(own.fd, F_GETFD);
        sf_own_fd_close(&own);
        dup2(kept, fd);
        close(kept);
        CHECK(free);
        CHECK(flags & FD_CLOEXEC);
    }
}
