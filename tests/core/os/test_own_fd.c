#include "core/os/own_fd.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

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

TEST(one_that_stays_leaves_the_low_numbers_to_the_program)
{
    struct sf_own_fd own;
    int low = memfd_create("ours", MFD_CLOEXEC);
    CHECK_EQ(0, sf_own_fd_take_high(&own, low));
    CHECK(own.fd >= 256 && sf_own_fd_is_ours(&own));
    CHECK(fcntl(own.fd, F_GETFD) & FD_CLOEXEC);
    CHECK(!is_open(low));
    sf_own_fd_close(&own);
    CHECK_EQ(-EMFILE, sf_own_fd_take_high(&own, -EMFILE));
    CHECK_EQ(-EBADF, sf_own_fd_take_high(&own, 1000)); /* not open */
}

TEST(where_the_limit_allows_no_high_number_it_stays_where_it_is)
{
    struct rlimit few = {.rlim_cur = 40, .rlim_max = 40};
    struct sf_own_fd own;
    int low = memfd_create("ours", MFD_CLOEXEC);
    CHECK_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
    CHECK_EQ(0, sf_own_fd_take_high(&own, low));
    CHECK_EQ(low, own.fd);
    sf_own_fd_close(&own);
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
