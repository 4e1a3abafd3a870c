/* Turns at a ring: one process at a time, woken when it is given back, taken over from the dead. */
#include "core/ring/ring_turn.h"

#include "core/ring/ring_messages.h"
#include "harness.h"

static struct sf_ring_turn *new_turn(void)
{
    return shared_memory(sizeof(struct sf_ring_turn));
}

/* A process that has the turn and keeps it. */
static pid_t start_owner(struct sf_ring *ring, struct sf_ring_turn *turn)
{
    pid_t owner = fork();
    if (owner == 0) {
        CHECK(sf_ring_turn_take(ring, turn));
        for (;;)
            pause();
    }
    while (!sf_ring_turn_is_taken(turn))
        usleep(1000);
    return owner;
}

TEST(one_process_at_a_time_has_the_turn)
{
    struct sf_ring *ring = new_ring(1024);
    struct sf_ring_turn *turn = new_turn();
    CHECK(!sf_ring_turn_is_taken(turn));
    CHECK(sf_ring_turn_take(ring, turn));
    CHECK(sf_ring_turn_is_taken(turn));
    CHECK(!sf_ring_turn_take(ring, turn));
    if (fork() == 0)
        _exit(sf_ring_turn_take(ring, turn));
    int status;
    CHECK(wait(&status) > 0);
    CHECK_EQ(0, status);
    sf_ring_turn_give(ring, turn);
    CHECK(!sf_ring_turn_is_taken(turn));
    CHECK(sf_ring_turn_take(ring, turn));
}

TEST(who_waits_for_the_turn_is_woken_when_it_is_given_back)
{
    enum { WAITERS = 3 };
    struct sf_ring *ring = new_ring(1024);
    struct sf_ring_turn *turn = new_turn();
    CHECK(sf_ring_turn_take(ring, turn));
    for (int i = 0; i < WAITERS; i++)
        if (fork() == 0) {
            while (!sf_ring_turn_take(ring, turn))
                CHECK(sf_ring_turn_wait(ring, turn, 60000 * MS) == 0);
            sf_ring_turn_give(ring, turn);
            _exit(0);
        }
    usleep(50000);
    sf_ring_turn_give(ring, turn);
    for (int i = 0, status; i < WAITERS; i++) {
        CHECK(wait(&status) > 0);
        CHECK_EQ(0, status);
    }
    CHECK(!sf_ring_turn_is_taken(turn));
}

TEST(a_wait_ends_by_its_timeout_and_by_a_signal_while_the_owner_lives)
{
    struct sf_ring *ring = new_ring(1024);
    struct sf_ring_turn *turn = new_turn();
    pid_t owner = start_owner(ring, turn);
    double start = now_s();
    CHECK_EQ(-ETIMEDOUT, sf_ring_turn_wait(ring, turn, 20 * MS));
    CHECK(now_s() - start >= 0.02);
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = nothing}, NULL);
    ualarm(200000, 20000); /* again and again: one may come between two sleeps */
    CHECK_EQ(-EINTR, sf_ring_turn_wait(ring, turn, 60000 * MS));
    ualarm(0, 0);
    CHECK(sf_ring_turn_is_taken(turn));
    kill(owner, SIGKILL);
}

TEST(the_turn_of_a_dead_process_can_be_taken)
{
    struct sf_ring *ring = new_ring(1024);
    struct sf_ring_turn *turn = new_turn();
    pid_t owner = start_owner(ring, turn);
    kill(owner, SIGKILL);
    await_zombie(owner);
    CHECK(!sf_ring_turn_take(ring, turn)); /* by who has waited only: it asks whether the owner lives */
    CHECK_EQ(0, sf_ring_turn_wait(ring, turn, 1 * MS));
    CHECK(sf_ring_turn_take(ring, turn));
}

TEST(the_turn_protects_what_its_owner_does_also_when_owners_are_killed_at_random)
{
    enum { WORKERS = 4, KILLS = 30 };
    struct sf_ring *ring = new_ring(1024);
    struct {
        struct sf_ring_turn turn;
        _Atomic int inside;
        _Atomic uint64_t overlaps, turns;
    } *shared = shared_memory(4096);
    pid_t workers[WORKERS];
    for (int i = 0; i < WORKERS + KILLS; i++) {
        int place = i % WORKERS;
        if (i >= WORKERS) {
            usleep((useconds_t)random_below(4000));
            kill(workers[place], SIGKILL);
            CHECK(waitpid(workers[place], NULL, 0) == workers[place]);
        }
        if ((workers[place] = fork()) == 0)
            for (int me = getpid();;) {
                if (!sf_ring_turn_take(ring, &shared->turn)) {
                    sf_ring_turn_wait(ring, &shared->turn, 10 * MS);
                    continue;
                }
                shared->inside = me;
                for (int look = 0; look < 100; look++)
                    shared->overlaps += shared->inside != me;
                shared->turns++;
                sf_ring_turn_give(ring, &shared->turn);
            }
    }
    for (int i = 0; i < WORKERS; i++) {
        kill(workers[i], SIGKILL);
        CHECK(waitpid(workers[i], NULL, 0) == workers[i]);
    }
    CHECK_EQ(0, shared->overlaps);
    CHECK(shared->turns > 100);
}

TEST_MAIN()
