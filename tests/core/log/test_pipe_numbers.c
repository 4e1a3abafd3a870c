/* The numbers of messages in other programs' pipes and sockets. */
#include "core/log/log.h"
#include "core/log/pipe_numbers.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static void setup(void)
{
    CHECK_EQ(0, sf_log_init());
    CHECK_EQ(0, sf_pipe_numbers_init());
}

static void make(int fds[2], bool duplex)
{
    CHECK_EQ(0, duplex ? socketpair(AF_UNIX, SOCK_STREAM, 0, fds) : pipe(fds));
}

/* Writes a message that holds its number, and returns the number. */
static uint64_t write_one(int fd)
{
    uint64_t seq;
    uint32_t pipe = sf_pipe_numbers_find(fd).out;
    while (sf_pipe_numbers_write_begin(pipe, &seq) == -EAGAIN)
        usleep(10);
    CHECK_EQ(sizeof seq, write(fd, &seq, sizeof seq));
    sf_pipe_numbers_write_end(pipe, true);
    return seq;
}

/* Reads a message: returns the number that its writer gave it; *seq is the reader's number. */
static uint64_t read_one(int fd, uint64_t *seq)
{
    uint64_t sent;
    uint32_t pipe = sf_pipe_numbers_find(fd).in;
    sf_pipe_numbers_read_begin(pipe);
    CHECK_EQ(sizeof sent, read(fd, &sent, sizeof sent));
    *seq = sf_pipe_numbers_read_end(pipe);
    return sent;
}

TEST(both_ends_of_a_pipe_belong_to_one_pipe_and_those_of_a_socket_pair_to_two)
{
    int fds[2], pair[2];
    setup();
    make(fds, false);
    make(pair, true);
    CHECK_EQ(0, sf_pipe_numbers_declare(fds[0], fds[1], false));
    CHECK_EQ(0, sf_pipe_numbers_declare(pair[0], pair[1], true));
    CHECK_EQ(sf_pipe_numbers_find(fds[1]).out, sf_pipe_numbers_find(fds[0]).in);
    CHECK_EQ(sf_pipe_numbers_find(pair[0]).out, sf_pipe_numbers_find(pair[1]).in);
    CHECK_EQ(sf_pipe_numbers_find(pair[1]).out, sf_pipe_numbers_find(pair[0]).in);
    CHECK(sf_pipe_numbers_find(pair[0]).out != sf_pipe_numbers_find(pair[0]).in);
    CHECK_EQ(sf_pipe_numbers_find(fds[1]).out, sf_pipe_numbers_find(dup(fds[1])).out);
    CHECK(sf_pipe_numbers_capacity(sf_pipe_numbers_find(fds[0]).in) > 0);
}

TEST(many_writers_that_do_not_lock_get_numbers_in_the_order_of_the_pipe)
{
    enum { WRITERS = 4, EACH = 5000 };
    int fds[2], status;
    setup();
    make(fds, false);
    CHECK_EQ(0, sf_pipe_numbers_declare(fds[0], fds[1], false));
    for (int i = 0; i < WRITERS; i++)
        if (fork() == 0) {
            for (int k = 0; k < EACH; k++)
                write_one(fds[1]);
            _exit(0);
        }
    for (uint64_t k = 1; k <= WRITERS * EACH; k++) {
        uint64_t seq;
        CHECK_EQ(k, read_one(fds[0], &seq));
        CHECK_EQ(k, seq);
    }
    for (int i = 0; i < WRITERS; i++)
        CHECK(wait(&status) > 0 && status == 0);
}

TEST(a_writer_that_died_in_its_write_ends_the_counting_and_blocks_nobody)
{
    int fds[2], status;
    uint64_t seq;
    setup();
    make(fds, false);
    CHECK_EQ(0, sf_pipe_numbers_declare(fds[0], fds[1], false));
    CHECK_EQ(1, write_one(fds[1]));
    pid_t child = fork();
    if (child == 0) {
        sf_pipe_numbers_write_begin(sf_pipe_numbers_find(fds[1]).out, &seq);
        _exit(0);
    }
    CHECK_EQ(child, waitpid(child, &status, 0));
    CHECK_EQ(0, write_one(fds[1]));
    read_one(fds[0], &seq);
    CHECK_EQ(0, seq);
}

/* Lets the traced process run until it enters this system call. */
static void run_until_syscall(pid_t pid, unsigned long number)
{
    struct __ptrace_syscall_info info;
    int status;
    CHECK(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD) == 0);
    do {
        CHECK(ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0);
        CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
        CHECK(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) > 0);
    } while (info.op != PTRACE_SYSCALL_INFO_ENTRY || info.entry.nr != number);
}

/* A writer finds the pipe taken and asks whether its owner lives (kill(2) with signal 0 comes first). It is stopped
 * right there until the owner has finished its write and died: the owner died, but not in its write. */
TEST(a_writer_that_died_after_its_write_does_not_end_the_counting)
{
    int fds[2], owns[2], go[2], status;
    uint64_t seq;
    char byte;
    setup();
    make(fds, false);
    make(owns, false);
    make(go, false);
    CHECK_EQ(0, sf_pipe_numbers_declare(fds[0], fds[1], false));
    pid_t owner = fork();
    if (owner == 0) {
        uint32_t number = sf_pipe_numbers_find(fds[1]).out;
        CHECK_EQ(0, sf_pipe_numbers_write_begin(number, &seq));
        CHECK_EQ(1, write(owns[1], "", 1));
        CHECK_EQ(1, read(go[0], &byte, 1));
        CHECK_EQ(sizeof seq, write(fds[1], &seq, sizeof seq));
        sf_pipe_numbers_write_end(number, true);
        _exit(0);
    }
    CHECK_EQ(1, read(owns[0], &byte, 1));
    pid_t other = fork();
    if (other == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
            _exit(HARNESS_SKIP);
        raise(SIGSTOP);
        _exit(write_one(fds[1]) == 2 ? 0 : 1);
    }
    CHECK_EQ(other, waitpid(other, &status, 0));
    if (WIFEXITED(status))
        SKIP("ptrace is not allowed here");
    run_until_syscall(other, SYS_kill);
    CHECK_EQ(1, write(go[1], "", 1));
    CHECK_EQ(owner, waitpid(owner, &status, 0));
    CHECK_EQ(0, status);
    CHECK(ptrace(PTRACE_DETACH, other, NULL, NULL) == 0);
    CHECK_EQ(other, waitpid(other, &status, 0));
    CHECK_EQ(0, status);
    for (uint64_t k = 1; k <= 2; k++) {
        CHECK_EQ(k, read_one(fds[0], &seq));
        CHECK_EQ(k, seq);
    }
}

TEST(a_fork_in_the_middle_of_a_write_ends_the_counting)
{
    int fds[2], status;
    uint64_t seq;
    setup();
    make(fds, false);
    CHECK_EQ(0, sf_pipe_numbers_declare(fds[0], fds[1], false));
    uint32_t number = sf_pipe_numbers_find(fds[1]).out;
    CHECK_EQ(0, sf_pipe_numbers_write_begin(number, &seq));
    CHECK_EQ(1, seq);
    pid_t child = fork(); /* by a signal handler: both processes go on with the write */
    CHECK_EQ(sizeof seq, write(fds[1], &seq, sizeof seq));
    sf_pipe_numbers_write_end(number, true);
    if (child == 0)
        _exit(0);
    CHECK_EQ(child, waitpid(child, &status, 0));
    CHECK_EQ(0, status);
    CHECK_EQ(0, write_one(fds[1]));
    for (int i = 0; i < 3; i++) {
        read_one(fds[0], &seq);
        CHECK_EQ(0, seq);
    }
}

TEST(a_reader_that_died_in_its_read_ends_the_counting)
{
    int fds[2], status;
    uint64_t seq;
    setup();
    make(fds, false);
    CHECK_EQ(0, sf_pipe_numbers_declare(fds[0], fds[1], false));
    CHECK_EQ(1, write_one(fds[1]));
    CHECK_EQ(2, write_one(fds[1]));
    pid_t child = fork();
    if (child == 0) {
        sf_pipe_numbers_read_begin(sf_pipe_numbers_find(fds[0]).in);
        CHECK_EQ(sizeof seq, read(fds[0], &seq, sizeof seq));
        _exit(0);
    }
    CHECK_EQ(child, waitpid(child, &status, 0));
    read_one(fds[0], &seq);
    CHECK_EQ(0, seq);
}

TEST(an_end_of_file_is_not_counted_as_a_message)
{
    int fds[2];
    uint64_t seq;
    setup();
    make(fds, false);
    CHECK_EQ(0, sf_pipe_numbers_declare(fds[0], fds[1], false));
    sf_pipe_numbers_read_begin(sf_pipe_numbers_find(fds[0]).in);
    sf_pipe_numbers_read_quit(sf_pipe_numbers_find(fds[0]).in);
    write_one(fds[1]);
    read_one(fds[0], &seq);
    CHECK_EQ(1, seq);
}

TEST(a_pipe_that_was_not_declared_has_a_channel_but_no_numbers)
{
    int fds[2], file[2];
    uint64_t seq;
    setup();
    make(fds, false);
    CHECK_EQ(0, write_one(fds[1]));
    read_one(fds[0], &seq);
    CHECK_EQ(0, seq);
    CHECK(sf_pipe_numbers_channel(sf_pipe_numbers_find(fds[0]).in) > 0);
    CHECK_EQ(0, sf_pipe_numbers_find(open("/dev/null", O_RDONLY)).in);
    make(file, true);
    CHECK(sf_pipe_numbers_find(file[0]).in != sf_pipe_numbers_find(file[0]).out);
}

TEST(after_forget_the_old_pipes_are_not_counted_and_new_ones_are)
{
    int before[2], after[2];
    setup();
    make(before, false);
    make(after, false);
    CHECK_EQ(0, sf_pipe_numbers_declare(before[0], before[1], false));
    CHECK_EQ(1, write_one(before[1]));
    sf_pipe_numbers_forget();
    CHECK_EQ(0, write_one(before[1]));
    CHECK_EQ(0, sf_pipe_numbers_declare(after[0], after[1], false));
    CHECK_EQ(1, write_one(after[1]));
}

TEST(a_full_table_refuses_new_pipes_and_keeps_the_old_ones)
{
    int old[2], more[2];
    setup();
    make(old, false);
    make(more, false);
    CHECK_EQ(0, sf_pipe_numbers_declare(old[0], old[1], false));
    for (unsigned i = 1; i < SF_PIPE_NUMBERS_MAX; i++)
        CHECK_EQ(0, sf_pipe_numbers_declare(more[0], more[1], false));
    CHECK(sf_pipe_numbers_full());
    CHECK_EQ(-ENOSPC, sf_pipe_numbers_declare(more[0], more[1], false));
    CHECK_EQ(1, write_one(old[1]));
}

TEST_MAIN()
