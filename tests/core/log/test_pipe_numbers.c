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
    CHECK_EQ(0, sf_pipe_table_init());
}

static void make(int fds[2], bool duplex)
{
    CHECK_EQ(0, duplex ? socketpair(AF_UNIX, SOCK_STREAM, 0, fds) : pipe(fds));
}

static const struct sf_pipe_message eight = {.bytes = 8, .check = 1};

static uint64_t begin_write(int fd)
{
    uint64_t seq;
    while (sf_pipe_numbers_write_begin(sf_pipe_table_find(fd).out, &eight, &seq) == -EAGAIN)
        usleep(10);
    return seq;
}

/* Writes a message that holds its number, and returns the number. */
static uint64_t write_one(int fd)
{
    uint64_t seq = begin_write(fd);
    CHECK_EQ(sizeof seq, write(fd, &seq, sizeof seq));
    sf_pipe_numbers_write_end(sf_pipe_table_find(fd).out, true);
    return seq;
}

/* Reads a message without counting it: returns the number that its writer gave it. */
static uint64_t take_one(int fd)
{
    uint64_t sent;
    CHECK_EQ(sizeof sent, read(fd, &sent, sizeof sent));
    return sent;
}

/* The same, and counts it; *seq is the reader's number. */
static uint64_t read_one(int fd, uint64_t *seq)
{
    uint64_t sent = take_one(fd);
    *seq = sf_pipe_numbers_read(sf_pipe_table_find(fd).in, fd, &eight);
    return sent;
}

/* A new pipe, or a socket pair, that is counted. */
static void make_counted(int fds[2], bool duplex)
{
    setup();
    make(fds, duplex);
    CHECK_EQ(0, sf_pipe_table_declare(fds[0], fds[1], duplex));
}

TEST(many_writers_that_do_not_lock_get_numbers_in_the_order_of_the_pipe)
{
    enum { WRITERS = 4, EACH = 5000 };
    int fds[2], status;
    setup();
    make(fds, false);
    CHECK_EQ(0, sf_pipe_table_declare(fds[0], fds[1], false));
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
    CHECK_EQ(0, sf_pipe_table_declare(fds[0], fds[1], false));
    CHECK_EQ(1, write_one(fds[1]));
    pid_t child = fork();
    if (child == 0) {
        begin_write(fds[1]);
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
    CHECK_EQ(0, sf_pipe_table_declare(fds[0], fds[1], false));
    pid_t owner = fork();
    if (owner == 0) {
        uint32_t number = sf_pipe_table_find(fds[1]).out;
        seq = begin_write(fds[1]);
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
    CHECK_EQ(0, sf_pipe_table_declare(fds[0], fds[1], false));
    uint32_t number = sf_pipe_table_find(fds[1]).out;
    seq = begin_write(fds[1]);
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

TEST(a_pipe_that_was_not_declared_has_a_channel_but_no_numbers)
{
    int fds[2], file[2];
    uint64_t seq;
    setup();
    make(fds, false);
    CHECK_EQ(0, write_one(fds[1]));
    read_one(fds[0], &seq);
    CHECK_EQ(0, seq);
    CHECK(sf_pipe_numbers_channel(sf_pipe_table_find(fds[0]).in) > 0);
    CHECK(sf_pipe_numbers_capacity(sf_pipe_table_find(fds[0]).in) > 0);
    CHECK_EQ(0, sf_pipe_table_find(open("/dev/null", O_RDONLY)).in);
    make(file, true);
    CHECK(sf_pipe_table_find(file[0]).in != sf_pipe_table_find(file[0]).out);
}

TEST(after_forget_the_old_pipes_are_not_counted_and_new_ones_are)
{
    int before[2], after[2];
    setup();
    make(before, false);
    make(after, false);
    CHECK_EQ(0, sf_pipe_table_declare(before[0], before[1], false));
    CHECK_EQ(1, write_one(before[1]));
    sf_pipe_numbers_forget();
    CHECK_EQ(0, write_one(before[1]));
    CHECK_EQ(0, sf_pipe_table_declare(after[0], after[1], false));
    CHECK_EQ(1, write_one(after[1]));
}

/* ---- others use the pipe without counting ---- */

TEST(a_reader_that_died_before_it_counted_its_message_ends_the_counting)
{
    int fds[2], status;
    uint64_t seq;
    make_counted(fds, false);
    CHECK_EQ(1, write_one(fds[1]));
    CHECK_EQ(2, write_one(fds[1]));
    pid_t child = fork();
    if (child == 0) {
        take_one(fds[0]);
        _exit(0);
    }
    CHECK_EQ(child, waitpid(child, &status, 0));
    CHECK_EQ(2, read_one(fds[0], &seq));
    CHECK_EQ(0, seq);
    CHECK_EQ(0, write_one(fds[1]));
}

TEST(a_message_that_was_not_counted_is_not_taken_for_the_next_one)
{
    static const bool duplex[] = {false, true};
    for (int i = 0; i < 2; i++) {
        int fds[2];
        uint64_t seq, other = 7;
        make_counted(fds, duplex[i]);
        CHECK_EQ(1, write_one(fds[1]));
        CHECK_EQ(1, read_one(fds[0], &seq));
        CHECK_EQ(1, seq);
        CHECK_EQ(sizeof other, write(fds[1], &other, sizeof other));
        CHECK_EQ(2, write_one(fds[1]));
        CHECK_EQ(7, read_one(fds[0], &seq));
        CHECK_EQ(0, seq);
        CHECK_EQ(2, read_one(fds[0], &seq));
        CHECK_EQ(0, seq);
    }
}

TEST(a_message_is_not_numbered_above_those_that_were_written)
{
    int fds[2];
    uint64_t seq, other = 7;
    make_counted(fds, false);
    CHECK_EQ(sizeof other, write(fds[1], &other, sizeof other));
    CHECK_EQ(7, read_one(fds[0], &seq));
    CHECK_EQ(0, seq);
    CHECK_EQ(0, write_one(fds[1]));
}

/* Another process takes a message and puts one of the same length in its place: only the content tells. */
TEST(a_message_of_other_bytes_ends_the_counting)
{
    int fds[2];
    uint64_t seq;
    struct sf_pipe_message other = {.bytes = 8, .check = 2};
    make_counted(fds, false);
    CHECK_EQ(1, write_one(fds[1]));
    seq = take_one(fds[0]);
    CHECK_EQ(sizeof seq, write(fds[1], &seq, sizeof seq));
    take_one(fds[0]);
    CHECK_EQ(0, sf_pipe_numbers_read(sf_pipe_table_find(fds[0]).in, fds[0], &other));
    CHECK_EQ(0, write_one(fds[1]));
}

TEST(a_reader_far_behind_is_counted_and_finds_other_bytes_when_it_has_caught_up)
{
    enum { MESSAGES = 5 * SF_PIPE_TABLE_CHECKS };
    int fds[2];
    for (int wrong = 0; wrong < 2; wrong++) {
        make_counted(fds, false);
        for (uint64_t k = 1; k <= MESSAGES; k++)
            CHECK_EQ(k, write_one(fds[1]));
        uint64_t seq = 0, numbered = 0;
        for (uint64_t k = 1; k <= MESSAGES; k++) {
            struct sf_pipe_message message = {.bytes = 8, .check = wrong && k == 3 ? 2 : 1};
            take_one(fds[0]);
            seq = sf_pipe_numbers_read(sf_pipe_table_find(fds[0]).in, fds[0], &message);
            CHECK(seq == k || (wrong && !seq));
            numbered += seq > 0;
        }
        CHECK_EQ(wrong ? MESSAGES - SF_PIPE_TABLE_CHECKS : MESSAGES, numbered);
    }
}

TEST(a_pipe_whose_end_a_program_inherits_is_not_counted)
{
    int kept[2], inherited[2];
    make_counted(kept, false);
    make_counted(inherited, false);
    CHECK_EQ(0, fcntl(kept[0], F_SETFD, FD_CLOEXEC));
    CHECK_EQ(0, fcntl(kept[1], F_SETFD, FD_CLOEXEC));
    CHECK_EQ(0, fcntl(inherited[0], F_SETFD, FD_CLOEXEC));
    sf_pipe_numbers_stop_inherited();
    CHECK_EQ(1, write_one(kept[1]));
    CHECK_EQ(0, write_one(inherited[1]));
}

TEST(a_process_shares_the_counts_until_it_execs)
{
    int status;
    setup();
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    pid_t program = fork();
    if (program == 0) {
        execlp("sleep", "sleep", "60", (char *)NULL);
        _exit(1);
    }
    CHECK(sf_pipe_numbers_are_shared_with(getpid()));
    CHECK(sf_pipe_numbers_are_shared_with(child));
    while (sf_pipe_numbers_are_shared_with(program))
        usleep(1000); /* until it has exec'ed */
    kill(child, SIGKILL);
    kill(program, SIGKILL);
    CHECK_EQ(child, waitpid(child, &status, 0));
    CHECK_EQ(program, waitpid(program, &status, 0));
    CHECK(!sf_pipe_numbers_are_shared_with(child));
}

/* ---- numbers of earlier pipes ---- */

TEST(the_number_of_an_earlier_pipe_is_not_counted_and_does_not_disturb_the_next_one)
{
    int fds[2];
    uint64_t seq;
    make_counted(fds, false);
    uint32_t before = sf_pipe_table_find(fds[1]).out;
    CHECK_EQ(0, sf_pipe_table_declare(fds[0], fds[1], false)); /* as when the inode is used again */
    CHECK(sf_pipe_table_find(fds[1]).out != before && !sf_pipe_table_is_current(before));
    CHECK_EQ(0, sf_pipe_numbers_write_begin(before, &eight, &seq));
    CHECK_EQ(0, seq);
    sf_pipe_numbers_write_end(before, false);
    sf_pipe_numbers_stop(before);
    CHECK_EQ(-1, sf_pipe_numbers_holds(before));
    CHECK_EQ(0, sf_pipe_numbers_read(before, fds[0], &eight));
    CHECK_EQ(1, write_one(fds[1]));
    CHECK_EQ(1, read_one(fds[0], &seq));
    CHECK_EQ(1, seq);
}

TEST_MAIN()
