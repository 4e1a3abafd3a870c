/* The eventcount: who sleeps, who is woken, and that no wake-up is lost. */
#include "core/os/eventcount.h"

#include <errno.h>
#include <sys/mman.h>

#include "core/os/monotonic.h"
#include "harness.h"

#define MS INT64_C(1000000)

struct shared {
    struct sf_eventcount event, answer;
    _Atomic uint32_t rounds;
};

static struct shared *shared_events(void)
{
    void *memory = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

TEST(a_sleep_ends_by_its_timeout_when_nothing_happens)
{
    struct shared *s = shared_events();
    int64_t start = sf_monotonic_ns();
    CHECK_EQ(-ETIMEDOUT, sf_eventcount_sleep(&s->event, sf_eventcount_read(&s->event), 20 * MS));
    CHECK(sf_monotonic_ns() - start >= 20 * MS);
}

TEST(what_happened_after_the_count_was_read_prevents_the_sleep)
{
    struct shared *s = shared_events();
    uint32_t seen = sf_eventcount_read(&s->event);
    sf_eventcount_notify_one(&s->event);
    CHECK_EQ(0, sf_eventcount_sleep(&s->event, seen, 1000 * MS));
    seen = sf_eventcount_read(&s->event);
    sf_eventcount_notify_all(&s->event);
    CHECK_EQ(0, sf_eventcount_sleep(&s->event, seen, 1000 * MS));
}

static void sleep_in_children(struct shared *s, int children)
{
    for (int i = 0; i < children; i++)
        if (fork() == 0)
            _exit(sf_eventcount_sleep(&s->event, 0, 5000 * MS) ? 1 : 0);
    usleep(50000);
}

TEST(notify_all_wakes_all_sleepers)
{
    struct shared *s = shared_events();
    sleep_in_children(s, 3);
    int64_t start = sf_monotonic_ns();
    sf_eventcount_notify_all(&s->event);
    for (int i = 0, status; i < 3; i++)
        CHECK(wait(&status) > 0 && status == 0);
    CHECK(sf_monotonic_ns() - start < 1000 * MS);
}

TEST(notify_one_wakes_one_sleeper_each_time)
{
    struct shared *s = shared_events();
    int status;
    sleep_in_children(s, 2);
    sf_eventcount_notify_one(&s->event);
    CHECK(wait(&status) > 0 && status == 0);
    usleep(50000);
    CHECK_EQ(0, waitpid(-1, &status, WNOHANG)); /* the other one sleeps on */
    sf_eventcount_notify_one(&s->event);
    CHECK(wait(&status) > 0 && status == 0);
}

/* Each side waits for the other 20000 times. A lost wake-up would cost the whole timeout, and the case its time limit.
 */
TEST(no_wake_up_is_lost_between_two_processes)
{
    enum { ROUNDS = 20000 };
    struct shared *s = shared_events();
    pid_t pid = fork();
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct sf_eventcount *mine = pid ? &s->event : &s->answer, *others = pid ? &s->answer : &s->event;
        for (;;) {
            uint32_t seen = sf_eventcount_read(mine);
            if (atomic_load(&s->rounds) == 2 * round + (pid ? 0 : 1))
                break;
            CHECK_EQ(0, sf_eventcount_sleep(mine, seen, 60000 * MS));
        }
        atomic_fetch_add(&s->rounds, 1);
        sf_eventcount_notify_one(others);
    }
    if (pid == 0)
        _exit(0);
    int status;
    CHECK_EQ(pid, waitpid(pid, &status, 0));
    CHECK_EQ(0, status);
}

TEST(those_who_are_moved_are_woken_at_the_other_place_only)
{
    struct shared *s = shared_events();
    int status;
    sleep_in_children(s, 2);
    sf_eventcount_move(&s->event, &s->answer);
    sf_eventcount_notify_all(&s->event);
    usleep(50000);
    CHECK_EQ(0, waitpid(-1, &status, WNOHANG));
    sf_eventcount_notify_one(&s->answer);
    CHECK(wait(&status) > 0 && status == 0);
    usleep(50000);
    CHECK_EQ(0, waitpid(-1, &status, WNOHANG)); /* the other one sleeps on */
    sf_eventcount_move(&s->answer, &s->event);  /* and back */
    sf_eventcount_notify_one(&s->event);
    CHECK(wait(&status) > 0 && status == 0);
}

TEST(nobody_begins_to_sleep_where_others_were_moved_away_from_after_the_count_was_read)
{
    struct shared *s = shared_events();
    uint32_t seen = sf_eventcount_read(&s->event);
    sf_eventcount_move(&s->event, &s->answer);
    CHECK_EQ(0, sf_eventcount_sleep(&s->event, seen, 1000 * MS));
}

TEST_MAIN()
