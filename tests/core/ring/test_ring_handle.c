/* Handles of rings: making them, listing them, and which processes hold a ring after forks of all kinds. */
#include "core/ring/ring_handle.h"

#include <pthread.h>
#include <stdatomic.h>

#include "core/os/identity.h"
#include "core/ring/ring_messages.h"
#include "harness.h"

/* --- making one --- */

TEST(the_capacity_is_as_asked)
{
    static const uint64_t sizes[] = {1024, 1025, 1031, 4096, 123457, UINT64_C(1) << 31, UINT64_C(1) << 36};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct sf_ring *ring = new_ring(sizes[i]);
        CHECK_EQ(sizes[i], sf_ring_capacity(ring));
        CHECK_EQ(0, ring_length(ring));
        sf_ring_free(ring);
    }
}

TEST(absurd_sizes_are_errors)
{
    struct sf_ring *ring = NULL;
    CHECK_EQ(-EINVAL, sf_ring_new(&ring, 0));
    CHECK_EQ(-EINVAL, sf_ring_new(&ring, SF_RING_MIN_BYTES - 1));
    CHECK_EQ(-ENOMEM, sf_ring_new(&ring, UINT64_MAX));
    CHECK_EQ(-ENOMEM, sf_ring_new(&ring, INT64_MAX));
    CHECK_EQ(-ENOMEM, sf_ring_new(&ring, UINT64_C(1) << 62));
    CHECK(!ring);
    sf_ring_free(NULL);
}

static void count_and_sum(struct sf_ring *ring, void *context)
{
    uint32_t *seen = context;
    seen[0]++;
    seen[1] += sf_ring_number(ring);
}

TEST(each_visits_the_rings_of_this_process)
{
    struct sf_ring *a = new_ring(1024), *b = new_ring(2048), *c = new_ring(4096);
    sf_ring_set_number(a, 1), sf_ring_set_number(b, 10), sf_ring_set_number(c, 100);
    uint32_t seen[2] = {0, 0};
    sf_ring_free(b);
    sf_ring_each(count_and_sum, seen);
    CHECK_EQ(2, seen[0]);
    CHECK_EQ(101, seen[1]);
    sf_ring_free(c);
    sf_ring_free(a);
    sf_ring_each(count_and_sum, seen);
    CHECK_EQ(2, seen[0]);
}

/* --- which processes hold it --- */

TEST(a_process_that_has_freed_its_handle_does_not_hold_the_ring)
{
    struct sf_ring *ring = new_ring(1024);
    int freed[2];
    char byte;
    CHECK(pipe(freed) == 0);
    if (fork() == 0) {
        sf_ring_free(ring);
        CHECK(write(freed[1], "", 1) == 1);
        for (;;)
            pause();
    }
    CHECK(read(freed[0], &byte, 1) == 1);
    CHECK_EQ(-EPIPE, sf_ring_wait_message(ring, SOON_NS));
}

TEST(a_process_that_has_executed_a_program_does_not_hold_the_ring)
{
    struct sf_ring *ring = new_ring(1024);
    struct sf_ring_slot slot;
    int pipes[2];
    char byte;
    CHECK(pipe(pipes) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_EQ(0, reserve(ring, 900, &slot));
        dup2(pipes[1], STDOUT_FILENO);
        execlp("sh", "sh", "-c", "echo; exec sleep 20", NULL);
        _exit(1);
    }
    CHECK(read(pipes[0], &byte, 1) == 1); /* the shell runs */
    if (sf_identity_alive(pid, sf_identity_now()))
        SKIP("an exec cannot be noticed here");
    CHECK_EQ(0, sf_ring_wait_room(ring, 900, SOON_NS)); /* what it was writing is lost */
    CHECK_EQ(0, reserve(ring, 900, &slot));
    CHECK_EQ(-EPIPE, sf_ring_wait_message(ring, SOON_NS));
}

TEST(each_process_of_nested_forks_holds_the_ring)
{
    struct sf_ring *ring = new_ring(1024);
    pid_t child = fork();
    if (child == 0) {
        if (fork() == 0) {
            usleep(150000);
            send_message(ring, 0, 1, 20);
            _exit(0);
        }
        kill(getpid(), SIGKILL); /* at once: perhaps before the grandchild has run */
    }
    int result;
    struct sf_ring_slot slot;
    while (claim(ring, &slot))
        CHECK((result = sf_ring_wait_message(ring, 1000 * MS)) == 0 || result == -ETIMEDOUT);
    CHECK_EQ(1, get_message(ring, &slot).number);
    while ((result = sf_ring_wait_message(ring, 1000 * MS)) != -EPIPE)
        CHECK_EQ(-ETIMEDOUT, result);
}

static _Atomic int *slow_child; /* 1: a forked child waits before the ring's own fork handler runs */

static void linger_in_child(void)
{
    while (slow_child && atomic_load(slow_child))
        usleep(1000);
}

/* Child handlers run in the order of registration, so this comes before the ring's. */
static void child_that_lingers(void)
{
    slow_child = shared_memory(4096);
    pthread_atfork(NULL, NULL, linger_in_child);
}

TEST(with_a_child_that_has_not_run_yet_its_parent_is_not_alone)
{
    child_that_lingers();
    struct sf_ring *ring = new_ring(1024);
    atomic_store(slow_child, 1);
    if (fork() == 0) {
        send_message(ring, 0, 1, 20);
        _exit(0);
    }
    CHECK_EQ(-ETIMEDOUT, sf_ring_wait_message(ring, 10 * MS));
    atomic_store(slow_child, 0);
    while (sf_ring_wait_message(ring, 1000 * MS) == -ETIMEDOUT)
        ;
    CHECK_EQ(1, receive(ring).number);
}

TEST(a_named_child_killed_before_it_ran_is_noticed)
{
    child_that_lingers();
    struct sf_ring *ring = new_ring(1024), *other = new_ring(1024);
    atomic_store(slow_child, 1);
    pid_t pid = fork();
    if (pid == 0)
        _exit(1);
    sf_ring_name_child(pid);
    CHECK_EQ(-ETIMEDOUT, sf_ring_wait_message(ring, 1 * MS));
    kill(pid, SIGKILL);
    await_zombie(pid);
    CHECK_EQ(-EPIPE, sf_ring_wait_message(ring, SOON_NS));
    CHECK_EQ(-EPIPE, sf_ring_wait_message(other, SOON_NS));
}

TEST(more_forks_than_slots_do_no_harm)
{
    struct sf_ring *ring = new_ring(4096);
    for (uint64_t n = 0; n < 1100; n++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(send_message(ring, 0, n, 20) != 0);
        int status;
        waitpid(pid, &status, 0);
        CHECK_EQ(0, status);
        CHECK_EQ(n, receive(ring).number);
    }
    CHECK_EQ(-EPIPE, sf_ring_wait_message(ring, SOON_NS));
}

TEST_MAIN()
