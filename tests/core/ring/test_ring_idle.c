/* Processes that only wait: their waits end when nobody is left who could end them, one at a time, and not before. */
#include "core/ring/ring_idle.h"

#include <sys/time.h>

#include "core/ring/ring_messages.h"
#include "harness.h"

enum outcome { MESSAGE = 10, EPIPE_FOUND };

/* Waits as a process does that has nothing else to do. */
static int receive_idle(struct sf_ring *ring)
{
    struct sf_ring_slot slot;
    while (claim(ring, &slot))
        if (sf_ring_wait_message_idle(ring, 1000 * MS) == -EPIPE)
            return claim(ring, &slot) ? EPIPE_FOUND : MESSAGE;
    sf_ring_release(ring, &slot);
    return MESSAGE;
}

static pid_t receiver(struct sf_ring *ring)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(receive_idle(ring));
    return pid;
}

static int outcome_of(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool still_runs(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG) == 0;
}

/* The parent at its exit, until its children have ended. */
static void wait_at_exit(const pid_t *pid, int count, int outcomes[])
{
    sf_ring_exit_begin();
    for (int i = 0; i < count; i++)
        outcomes[i] = outcome_of(pid[i]);
    sf_ring_exit_end();
}

TEST(a_receiver_whose_parent_is_at_its_exit_gets_epipe)
{
    struct sf_ring *ring = new_ring(1024);
    pid_t pid = receiver(ring);
    int outcome;
    usleep(400000);
    CHECK(still_runs(pid)); /* this process is active */
    wait_at_exit(&pid, 1, &outcome);
    CHECK_EQ(EPIPE_FOUND, outcome);
}

TEST(receivers_of_one_ring_get_epipe_one_after_the_other)
{
    enum { COUNT = 5 };
    struct sf_ring *ring = new_ring(1024);
    pid_t pid[COUNT];
    int outcome[COUNT];
    for (int i = 0; i < COUNT; i++)
        pid[i] = receiver(ring);
    wait_at_exit(pid, COUNT, outcome);
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(EPIPE_FOUND, outcome[i]);
}

TEST(what_the_first_one_sends_after_epipe_the_other_receives)
{
    for (int round = 0; round < 3; round++) {
        struct sf_ring *ring = new_ring(1024);
        pid_t pid[2];
        int outcome[2];
        for (int i = 0; i < 2; i++)
            if ((pid[i] = fork()) == 0) {
                int got = receive_idle(ring);
                if (got == EPIPE_FOUND)
                    CHECK_EQ(0, send_message(ring, 0, 1, 12));
                _exit(got);
            }
        wait_at_exit(pid, 2, outcome);
        CHECK_EQ(EPIPE_FOUND + MESSAGE, outcome[0] + outcome[1]);
        sf_ring_free(ring);
    }
}

TEST(a_pipeline_ends_from_any_side)
{
    struct sf_ring *first = new_ring(1024), *second = new_ring(1024);
    pid_t pid[2] = {receiver(first), 0};
    if ((pid[1] = fork()) == 0) {
        while (send_message(second, 0, 0, 400) == 0)
            ;
        int slept;
        while ((slept = sf_ring_wait_room_idle(second, 400, 1000 * MS)) == -ETIMEDOUT || slept == -EINTR)
            ;
        _exit(slept == -EPIPE ? EPIPE_FOUND : MESSAGE);
    }
    int outcome[2];
    wait_at_exit(pid, 2, outcome);
    CHECK_EQ(EPIPE_FOUND, outcome[0]);
    CHECK_EQ(EPIPE_FOUND, outcome[1]);
}

TEST(one_active_process_at_any_of_the_rings_keeps_all_waiting)
{
    struct sf_ring *first = new_ring(1024), *second = new_ring(1024);
    pid_t busy = fork();
    if (busy == 0)
        for (;;)
            pause();
    sf_ring_name_child(busy);
    pid_t pid = receiver(first);
    sf_ring_free(first); /* so busy alone could send, after a message to the second one, which this process holds */
    usleep(400000);
    CHECK(still_runs(pid));
    kill(busy, SIGKILL);
    int outcome;
    wait_at_exit(&pid, 1, &outcome);
    CHECK_EQ(EPIPE_FOUND, outcome);
    sf_ring_free(second);
}

TEST(a_ring_that_the_searcher_does_not_hold_keeps_it_waiting)
{
    struct sf_ring *ring = new_ring(1024);
    pid_t pid = receiver(ring), other = fork();
    if (other == 0) {
        struct sf_ring *own = new_ring(1024);
        if (fork() == 0) { /* holds both, and will send */
            sf_ring_free(ring);
            usleep(600000);
            CHECK_EQ(0, send_message(own, 0, 1, 12));
            _exit(0);
        }
        CHECK_EQ(MESSAGE, receive_idle(own));
        CHECK_EQ(0, send_message(ring, 0, 2, 12));
        _exit(0);
    }
    int outcome[2];
    wait_at_exit((pid_t[]){pid, other}, 2, outcome);
    CHECK_EQ(MESSAGE, outcome[0]);
    CHECK_EQ(0, outcome[1]);
}

TEST(a_stopped_process_that_has_yet_to_take_its_message_is_waited_for)
{
    struct sf_ring *first = new_ring(1024), *second = new_ring(1024);
    pid_t middle = fork();
    if (middle == 0) {
        CHECK_EQ(MESSAGE, receive_idle(first));
        CHECK_EQ(0, send_message(second, 0, 1, 12));
        _exit(0);
    }
    usleep(300000); /* it is idle now */
    kill(middle, SIGSTOP);
    CHECK_EQ(0, send_message(first, 0, 1, 12));
    pid_t last = receiver(second);
    sf_ring_exit_begin();
    usleep(500000);
    CHECK(still_runs(last));
    kill(middle, SIGCONT);
    CHECK_EQ(MESSAGE, outcome_of(last));
    CHECK_EQ(0, outcome_of(middle));
}

TEST(with_a_timers_signals_the_end_is_found_too)
{
    struct sf_ring *ring = new_ring(1024);
    struct sigaction action = {.sa_handler = nothing};
    sigaction(SIGALRM, &action, NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct itimerval often = {{0, 5000}, {0, 5000}};
        setitimer(ITIMER_REAL, &often, NULL);
        _exit(receive_idle(ring));
    }
    int outcome;
    wait_at_exit(&pid, 1, &outcome);
    CHECK_EQ(EPIPE_FOUND, outcome);
}

/* A ring of processes that pass messages on, each waiting as if it had nothing else to do: none may ever find that all
 * others are idle, because a message is always on its way. */
TEST(no_search_is_wrong_while_messages_go_round)
{
    enum { COUNT = 4, ROUNDS = 3000 };
    struct sf_ring *ring[COUNT];
    for (int i = 0; i < COUNT; i++)
        ring[i] = new_ring(1024);
    pid_t pid[COUNT];
    for (int i = 0; i < COUNT; i++)
        if ((pid[i] = fork()) == 0) {
            for (int round = 0; round < ROUNDS; round++) {
                struct sf_ring_slot slot;
                while (claim(ring[i], &slot))
                    CHECK(sf_ring_wait_message_idle(ring[i], MS / 20) != -EPIPE); /* searches after most sleeps */
                sf_ring_release(ring[i], &slot);
                CHECK_EQ(0, send_message(ring[(i + 1) % COUNT], 0, 1, 12));
                if (round % 16 == i)
                    usleep(300);
            }
            _exit(MESSAGE);
        }
    CHECK_EQ(0, send_message(ring[0], 0, 1, 12));
    int outcome[COUNT];
    wait_at_exit(pid, COUNT, outcome);
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(MESSAGE, outcome[i]);
}

TEST_MAIN()
