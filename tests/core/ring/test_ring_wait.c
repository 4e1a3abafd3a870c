/* Waiting at the ring: what ends a wait, how soon, and with which result. */
#include "core/ring/ring_wait.h"

#include <sys/time.h>

#include "core/ring/ring_messages.h"
#include "harness.h"

TEST(a_wait_ends_by_its_timeout_while_another_holds_the_ring)
{
    struct sf_ring *ring = new_ring(1024);
    if (fork() == 0)
        for (;;)
            pause();
    double start = now_s();
    CHECK_EQ(-ETIMEDOUT, sf_ring_wait_message(ring, 20 * MS));
    CHECK(now_s() - start >= 0.02);
    CHECK_EQ(-ETIMEDOUT, sf_ring_wait_message(ring, 0));
    CHECK_EQ(-ETIMEDOUT, sf_ring_wait_message(ring, -1));
    while (send_message(ring, 0, 0, 8) == 0)
        ;
    CHECK_EQ(-ETIMEDOUT, sf_ring_wait_room(ring, 8, 20 * MS));
    start = now_s();
    CHECK_EQ(-ETIMEDOUT, sf_ring_wait_room(ring, 8, 3600 * 1000 * MS)); /* never longer than the check */
    CHECK(now_s() - start < 1);
}

TEST(a_wait_for_what_is_there_returns_at_once)
{
    struct sf_ring *ring = new_ring(1024);
    CHECK_EQ(0, sf_ring_wait_room(ring, 1024 - SF_RING_FRAME_BYTES, 0));
    CHECK_EQ(0, sf_ring_wait_room(ring, 5000, 0)); /* reserve says what is wrong */
    CHECK_EQ(0, send_message(ring, 0, 0, 8));
    CHECK_EQ(0, sf_ring_wait_message(ring, 0));
}

TEST(a_wait_returns_epipe_when_alone_but_not_while_a_child_has_yet_to_run)
{
    struct sf_ring *ring = new_ring(1024);
    CHECK_EQ(-EPIPE, sf_ring_wait_message(ring, SOON_NS));
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    CHECK_EQ(-ETIMEDOUT, sf_ring_wait_message(ring, 1 * MS));
    sf_ring_name_child(pid); /* it may be killed before it has run */
    kill(pid, SIGKILL);
    await_zombie(pid);
    CHECK_EQ(-EPIPE, sf_ring_wait_message(ring, SOON_NS));
    while (send_message(ring, 0, 0, 8) == 0)
        ;
    CHECK_EQ(-EPIPE, sf_ring_wait_room(ring, 8, SOON_NS));
}

TEST(a_sleeping_receiver_is_woken_and_one_for_each_message)
{
    enum { SLEEPERS = 4 };
    struct sf_ring *ring = new_ring(4096);
    for (int i = 0; i < SLEEPERS; i++)
        if (fork() == 0) {
            struct sf_ring_slot slot;
            while (claim(ring, &slot))
                sf_ring_wait_message(ring, 1000 * MS);
            sf_ring_release(ring, &slot);
            _exit(0);
        }
    usleep(50000);
    double start = now_s();
    for (uint64_t n = 0; n < SLEEPERS; n++)
        CHECK_EQ(0, send_message(ring, 0, n, 8));
    for (int i = 0, status; i < SLEEPERS; i++) {
        CHECK(wait(&status) > 0);
        CHECK_EQ(0, status);
    }
    CHECK(now_s() - start < 0.04); /* woken, and not found by the check every 100 ms */
}

TEST(a_sleeping_sender_is_woken_by_room)
{
    struct sf_ring *ring = new_ring(1024);
    CHECK_EQ(0, send_message(ring, 0, 0, 900));
    pid_t pid = fork();
    if (pid == 0) {
        while (send_message(ring, 0, 1, 900) == -EAGAIN)
            sf_ring_wait_room(ring, 900, 1000 * MS);
        _exit(0);
    }
    usleep(120000); /* until its first slice has passed */
    double start = now_s();
    CHECK_EQ(0, receive(ring).number);
    int status;
    waitpid(pid, &status, 0);
    CHECK_EQ(0, status);
    CHECK(now_s() - start < 0.04);
    CHECK_EQ(1, receive(ring).number);
}

TEST(wake_all_and_signals_end_a_wait)
{
    struct sf_ring *ring = new_ring(1024);
    struct sigaction action = {.sa_handler = nothing};
    sigaction(SIGUSR1, &action, NULL);
    pid_t self = getpid();
    for (int with_signal = 0; with_signal < 2; with_signal++) {
        pid_t pid = fork();
        if (pid == 0)
            for (;; usleep(10000))
                with_signal ? (void)kill(self, SIGUSR1) : sf_ring_wake_all(ring);
        CHECK_EQ(with_signal ? -EINTR : 0, sf_ring_wait_message(ring, 90 * MS));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
}

TEST(signals_that_end_every_sleep_do_not_hide_that_all_others_are_dead)
{
    struct sf_ring *ring = new_ring(1024);
    struct sigaction action = {.sa_handler = nothing};
    struct itimerval often = {{0, 2000}, {0, 2000}};
    CHECK_EQ(0, send_message(ring, 0, 0, 900));
    pid_t pid = fork();
    if (pid == 0) {
        struct sf_ring_slot slot;
        CHECK_EQ(0, claim(ring, &slot)); /* so that there is neither a message nor room */
        for (;;)
            pause();
    }
    while (ring_length(ring))
        usleep(1000);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    double start = now_s();
    int result;
    while (now_s() - start < 0.25)
        CHECK((result = sf_ring_wait_message(ring, 100 * MS)) == -EINTR || result == -ETIMEDOUT);
    kill(pid, SIGKILL);
    for (start = now_s(); (result = sf_ring_wait_message(ring, 100 * MS)) != -EPIPE;)
        CHECK(now_s() - start < 1);
    for (start = now_s(); (result = sf_ring_wait_room(ring, 900, 100 * MS)) != 0;)
        CHECK(now_s() - start < 1);
}

TEST(a_nudge_wakes_a_receiver_although_no_message_has_come)
{
    struct sf_ring *ring = new_ring(1024);
    pid_t pid = fork();
    if (pid == 0) {
        uint32_t seen = sf_ring_events(ring);
        _exit(sf_ring_wait_event(ring, seen, SF_LIVENESS_PERIOD_NS) != 0);
    }
    int status;
    do { /* it may not have begun to wait */
        usleep(20000);
        sf_ring_nudge(ring);
    } while (waitpid(pid, &status, WNOHANG) == 0);
    CHECK_EQ(0, status);
    CHECK_EQ(0, ring_length(ring));
}

TEST(a_nudge_or_a_message_between_the_look_and_the_sleep_is_not_missed)
{
    struct sf_ring *ring = new_ring(1024);
    uint32_t seen = sf_ring_events(ring);
    CHECK_EQ(-EPIPE, sf_ring_wait_event(ring, seen, SOON_NS)); /* nothing has happened, and nobody else is there */
    sf_ring_nudge(ring);
    double start = now_s();
    CHECK_EQ(0, sf_ring_wait_event(ring, seen, SF_LIVENESS_PERIOD_NS));
    seen = sf_ring_events(ring);
    CHECK_EQ(0, send_message(ring, 0, 0, 8));
    struct sf_ring_slot slot;
    CHECK_EQ(0, claim(ring, &slot)); /* another receiver was faster */
    CHECK_EQ(0, sf_ring_wait_event(ring, seen, SF_LIVENESS_PERIOD_NS));
    CHECK(now_s() - start < 0.05);
    CHECK(sf_ring_wait_event(ring, sf_ring_events(ring), 1 * MS) != 0);
}

TEST_MAIN()
