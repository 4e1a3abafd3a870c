/* Places for pipes: which pipes have one, and when a place is given again. */
#include "core/log/log.h"
#include "core/log/pipe_table.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

static void setup(void)
{
    CHECK_EQ(0, sf_log_init());
    CHECK_EQ(0, sf_pipe_table_init());
}

TEST(both_ends_of_a_pipe_belong_to_one_pipe_and_those_of_a_socket_pair_to_two)
{
    int fds[2], pair[2];
    setup();
    CHECK_EQ(0, pipe(fds));
    CHECK_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK_EQ(0, sf_pipe_table_declare(fds[0], fds[1], false));
    CHECK_EQ(0, sf_pipe_table_declare(pair[0], pair[1], true));
    CHECK_EQ(sf_pipe_table_find(fds[1]).out, sf_pipe_table_find(fds[0]).in);
    CHECK_EQ(sf_pipe_table_find(pair[0]).out, sf_pipe_table_find(pair[1]).in);
    CHECK_EQ(sf_pipe_table_find(pair[1]).out, sf_pipe_table_find(pair[0]).in);
    CHECK(sf_pipe_table_find(pair[0]).out != sf_pipe_table_find(pair[0]).in);
    CHECK_EQ(sf_pipe_table_find(fds[1]).out, sf_pipe_table_find(dup(fds[1])).out);
    CHECK_EQ(sf_pipe_table_find(fds[1]).out, sf_pipe_table_look_up(fds[0]).in);
}

TEST(looking_up_gives_no_place)
{
    int fds[2], file = open("/dev/null", O_RDWR);
    setup();
    CHECK_EQ(0, pipe(fds));
    CHECK_EQ(0, sf_pipe_table_look_up(fds[0]).in);
    CHECK(sf_pipe_table_find(fds[0]).in);
    CHECK_EQ(0, sf_pipe_table_find(file).in);
    CHECK_EQ(0, sf_pipe_table_find(-1).in);
    CHECK_EQ(-EINVAL, sf_pipe_table_declare(file, file, false));
    CHECK_EQ(-EBADF, sf_pipe_table_declare(-1, -1, false));
}

TEST(places_of_closed_pipes_are_given_again)
{
    int open_all_the_time[2], fds[2];
    setup();
    CHECK_EQ(0, pipe(open_all_the_time));
    CHECK_EQ(0, sf_pipe_table_declare(open_all_the_time[0], open_all_the_time[1], false));
    uint32_t stays = sf_pipe_table_find(open_all_the_time[0]).in, first = 0;
    for (unsigned i = 0; i < 2 * SF_PIPE_TABLE_PLACES + 5; i++) {
        bool duplex = i % 3 == 0;
        CHECK_EQ(0, duplex ? socketpair(AF_UNIX, SOCK_STREAM, 0, fds) : pipe(fds));
        CHECK_EQ(0, sf_pipe_table_declare(fds[0], fds[1], duplex));
        uint32_t number = sf_pipe_table_find(fds[0]).in;
        CHECK(number != SF_PIPE_TABLE_REST && number != stays);
        CHECK_EQ(number, sf_pipe_table_place(number)->counted);
        first = first ? first : number;
        close(fds[0]);
        close(fds[1]);
    }
    CHECK(!sf_pipe_table_is_current(first));
    CHECK_EQ(stays, sf_pipe_table_find(open_all_the_time[0]).in);
    CHECK(sf_pipe_table_is_current(stays));
}

/* Fills the table's places by so many sockets, which take two each. */
static void open_sockets(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        CHECK(fd >= 0);
        sf_pipe_table_find(fd);
    }
}

TEST(open_pipes_of_all_processes_keep_their_places_and_the_rest_share_one_until_they_are_closed)
{
    enum { HALF = SF_PIPE_TABLE_PLACES / 4 + 100 };
    struct rlimit limit;
    int old[2], more[2], ready[2], status;
    char byte;
    setup();
    CHECK_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < HALF + 50)
        SKIP("this needs more descriptors: ulimit -Hn 17000");
    CHECK_EQ(0, pipe(old));
    CHECK_EQ(0, pipe(more));
    CHECK_EQ(0, pipe(ready));
    CHECK_EQ(0, sf_pipe_table_declare(old[0], old[1], false));
    uint32_t number = sf_pipe_table_find(old[0]).in;
    pid_t child = fork();
    if (child == 0) {
        open_sockets(HALF);
        CHECK_EQ(1, write(ready[1], "", 1));
        pause();
    }
    CHECK_EQ(1, read(ready[0], &byte, 1));
    open_sockets(HALF);
    CHECK_EQ(-ENOSPC, sf_pipe_table_declare(more[0], more[1], false));
    CHECK_EQ(SF_PIPE_TABLE_REST, sf_pipe_table_find(more[0]).in);
    CHECK_EQ(number, sf_pipe_table_find(old[0]).in);
    CHECK_EQ(0, sf_pipe_table_place(SF_PIPE_TABLE_REST)->counted);
    kill(child, SIGKILL);
    CHECK_EQ(child, waitpid(child, &status, 0));
    unsigned refused = 0;
    while (sf_pipe_table_declare(more[0], more[1], false) == -ENOSPC)
        CHECK(++refused < SF_PIPE_TABLE_PLACES / 8);
    CHECK(sf_pipe_table_find(more[0]).in != SF_PIPE_TABLE_REST);
    CHECK_EQ(number, sf_pipe_table_find(old[0]).in);
}

TEST_MAIN()
