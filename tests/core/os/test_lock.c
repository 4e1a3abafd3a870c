/* The lock in shared memory: exclusion, sleeping, and the death of its owner. */
#include "core/os/lock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>

#include "core/ring/holders.h"
#include "harness.h"

#define MS INT64_C(1000000)

struct shared {
    struct sf_lock lock;
    struct sf_holders holders;
    uint64_t plain; /* under the lock */
    _Atomic uint32_t inside, taken_over;
};

static struct shared *shared_lock(void)
{
    void *memory = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

static bool is_holder_alive(const void *holders, uint32_t tag)
{
    return sf_holders_alive(holders, tag);
}

static int try_lock(struct shared *s, uint32_t tag, int64_t timeout_ns)
{
    return sf_lock_take(&s->lock, tag, is_holder_alive, &s->holders, timeout_ns);
}

/* However long it takes. Whether it was taken over. */
static bool take_lock(struct shared *s, uint32_t tag)
{
    int taken;
    while ((taken = try_lock(s, tag, 100 * MS)) < 0)
        CHECK(taken == -ETIMEDOUT || taken == -EINTR);
    return taken == SF_LOCK_TAKEN_OVER;
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void count_up(struct shared *s, uint32_t tag, int times)
{
    for (int i = 0; i < times; i++) {
        if (take_lock(s, tag))
            atomic_fetch_add(&s->taken_over, 1);
        CHECK_EQ(0, atomic_fetch_add(&s->inside, 1));
        s->plain++;
        atomic_fetch_sub(&s->inside, 1);
        sf_lock_drop(&s->lock);
    }
}

static void reap(int children)
{
    for (int status; children--;) {
        CHECK(wait(&status) > 0);
        CHECK_EQ(0, status);
    }
}

TEST(one_process_at_a_time)
{
    enum { CHILDREN = 4, TIMES = 50000 };
    struct shared *s = shared_lock();
    for (int c = 0; c < CHILDREN; c++)
        if (fork() == 0) {
            count_up(s, sf_holders_join(&s->holders), TIMES);
            _exit(0);
        }
    reap(CHILDREN);
    CHECK_EQ(CHILDREN * TIMES, s->plain);
    CHECK_EQ(0, atomic_load(&s->taken_over));
    CHECK_EQ(0, atomic_load(&s->lock.word));
}

static struct shared *threads_lock;
static uint32_t threads_tag;

static void *thread_counts(void *unused)
{
    (void)unused;
    count_up(threads_lock, threads_tag, 50000);
    return NULL;
}

TEST(one_thread_at_a_time_though_they_share_a_tag)
{
    pthread_t thread[3];
    threads_lock = shared_lock();
    threads_tag = sf_holders_join(&threads_lock->holders);
    for (int i = 0; i < 3; i++)
        pthread_create(&thread[i], NULL, thread_counts, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
    CHECK_EQ(150000, threads_lock->plain);
    CHECK_EQ(0, atomic_load(&threads_lock->taken_over));
}

TEST(a_live_owner_keeps_it_however_long)
{
    struct shared *s = shared_lock();
    uint32_t me = sf_holders_join(&s->holders);
    take_lock(s, me);
    for (int c = 0; c < 2; c++)
        if (fork() == 0) {
            CHECK(!take_lock(s, sf_holders_join(&s->holders)));
            s->plain++;
            sf_lock_drop(&s->lock);
            _exit(0);
        }
    usleep(235000); /* several looks at the owner, the last at 227 ms */
    CHECK_EQ(0, s->plain);
    sf_lock_drop(&s->lock);
    double start = now_s();
    reap(2);
    CHECK(now_s() - start < 0.07); /* woken, because a slice is 100 ms by now */
    CHECK_EQ(2, s->plain);
}

/* A child that is stopped with the lock. */
static pid_t stopped_owner(struct shared *s)
{
    pid_t pid = fork();
    if (pid == 0) {
        take_lock(s, sf_holders_join(&s->holders));
        raise(SIGSTOP);
        s->plain++;
        sf_lock_drop(&s->lock);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, WUNTRACED) == pid);
    CHECK(WIFSTOPPED(status));
    return pid;
}

TEST(a_stopped_owner_keeps_it_but_nobody_waits_for_longer_than_asked)
{
    struct shared *s = shared_lock();
    uint32_t me = sf_holders_join(&s->holders);
    pid_t pid = stopped_owner(s);
    for (int64_t timeout_ms = 0; timeout_ms <= 60; timeout_ms += 20) {
        double start = now_s();
        CHECK_EQ(-ETIMEDOUT, try_lock(s, me, timeout_ms * MS));
        CHECK(now_s() - start >= (double)timeout_ms / 1e3);
        CHECK(now_s() - start < (double)timeout_ms / 1e3 + 0.1);
    }
    CHECK_EQ(0, s->plain);
    kill(pid, SIGCONT);
    CHECK_EQ(0, try_lock(s, me, 10000 * MS));
    CHECK_EQ(1, s->plain);
    reap(1);
}

static void nothing(int signal_number)
{
    (void)signal_number;
}

TEST(a_signal_ends_a_wait_for_a_stopped_owner)
{
    struct shared *s = shared_lock();
    uint32_t me = sf_holders_join(&s->holders);
    struct sigaction action = {.sa_handler = nothing};
    sigaction(SIGALRM, &action, NULL);
    pid_t pid = stopped_owner(s);
    double start = now_s();
    ualarm(20000, 20000); /* again and again: the first one may come too early */
    CHECK_EQ(-EINTR, try_lock(s, me, 10000 * MS));
    ualarm(0, 0);
    CHECK(now_s() - start < 5);
    kill(pid, SIGKILL);
    while (wait(NULL) < 0)
        ;
    CHECK_EQ(SF_LOCK_TAKEN_OVER, try_lock(s, me, SF_LOCK_CHECK_NS)); /* enough to find out that it is dead */
}

TEST(one_that_gives_up_leaves_no_other_asleep)
{
    struct shared *s = shared_lock();
    uint32_t me = sf_holders_join(&s->holders);
    for (int round = 0; round < 50; round++) {
        take_lock(s, me);
        for (int c = 0; c < 3; c++)
            if (fork() == 0) {
                uint32_t tag = sf_holders_join(&s->holders);
                if (c < 2) { /* gives up at about the time of the drop */
                    if (try_lock(s, tag, 10 * MS) == 0)
                        sf_lock_drop(&s->lock);
                } else {
                    CHECK_EQ(0, try_lock(s, tag, 10000 * MS));
                    sf_lock_drop(&s->lock);
                }
                _exit(0);
            }
        usleep(9000 + (unsigned)round * 50);
        sf_lock_drop(&s->lock);
        reap(3);
    }
}

/* A child that dies with the lock. */
static pid_t dead_owner(struct shared *s, bool reaped)
{
    pid_t pid = fork();
    if (pid == 0) {
        take_lock(s, sf_holders_join(&s->holders));
        kill(getpid(), SIGKILL);
    }
    siginfo_t info;
    CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | (reaped ? 0 : WNOWAIT)) == 0);
    return pid;
}

TEST(a_dead_owner_is_replaced_soon)
{
    for (int reaped = 0; reaped < 2; reaped++) {
        struct shared *s = shared_lock();
        uint32_t me = sf_holders_join(&s->holders);
        dead_owner(s, reaped);
        CHECK(atomic_load(&s->lock.word) != 0);
        double start = now_s();
        CHECK(take_lock(s, me)); /* true: taken over */
        CHECK(now_s() - start < 0.1);
        sf_lock_drop(&s->lock);
        CHECK(!take_lock(s, me));
    }
}

TEST(one_of_many_replaces_a_dead_owner_and_all_go_on)
{
    enum { CHILDREN = 4, TIMES = 1000 };
    struct shared *s = shared_lock();
    dead_owner(s, false);
    for (int c = 0; c < CHILDREN; c++)
        if (fork() == 0) {
            count_up(s, sf_holders_join(&s->holders), TIMES);
            _exit(0);
        }
    int status;
    for (pid_t pid; (pid = wait(&status)) > 0;)
        CHECK(status == 0 || WIFSIGNALED(status)); /* the dead owner */
    CHECK_EQ(CHILDREN * TIMES, s->plain);
    CHECK_EQ(1, atomic_load(&s->taken_over));
}

TEST(the_owners_slot_in_its_next_life_is_not_the_owner)
{
    struct shared *s = shared_lock();
    uint32_t me = sf_holders_join(&s->holders);
    dead_owner(s, true);
    CHECK(!sf_holders_others(&s->holders, me)); /* empties the dead one's slot */
    uint32_t next = sf_holders_join(&s->holders);
    CHECK_EQ(atomic_load(&s->lock.word) & (SF_HOLDERS_SLOTS - 1), next & (SF_HOLDERS_SLOTS - 1));
    CHECK(take_lock(s, me));
}

TEST(owners_killed_at_random_moments_never_keep_the_lock)
{
    struct shared *s = shared_lock();
    uint32_t me = sf_holders_join(&s->holders), seed = 1;
    for (int round = 0; round < 60; round++) {
        pid_t pid[2];
        for (int c = 0; c < 2; c++)
            if ((pid[c] = fork()) == 0) {
                uint32_t tag = sf_holders_join(&s->holders);
                for (;;) {
                    take_lock(s, tag);
                    sf_lock_drop(&s->lock);
                }
            }
        seed = seed * 1103515245 + 12345;
        usleep(500 + seed / 65536 % 2000);
        for (int c = 0; c < 2; c++)
            kill(pid[c], SIGKILL);
        take_lock(s, me);
        s->plain++;
        sf_lock_drop(&s->lock);
        waitpid(pid[0], NULL, 0);
        waitpid(pid[1], NULL, 0);
    }
    CHECK_EQ(60, s->plain);
}

TEST_MAIN()
