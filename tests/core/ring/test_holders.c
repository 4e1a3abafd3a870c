/* Who holds a ring: the table of its holders, with real processes. */
#include "core/ring/holders.h"

#include <sys/mman.h>

#include "core/os/identity.h"
#include "harness.h"

static struct sf_holders *shared_holders(void)
{
    void *memory = mmap(NULL, sizeof(struct sf_holders), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

/* A child that joins and then sleeps or ends; its tag. */
static uint32_t joined_child(struct sf_holders *holders, pid_t *pid, bool ends)
{
    int pipes[2];
    uint32_t tag;
    CHECK(pipe(pipes) == 0);
    if ((*pid = fork()) == 0) {
        tag = sf_holders_join(holders);
        CHECK(write(pipes[1], &tag, sizeof tag) == sizeof tag);
        while (!ends)
            pause();
        _exit(0);
    }
    CHECK(read(pipes[0], &tag, sizeof tag) == sizeof tag);
    close(pipes[0]);
    close(pipes[1]);
    return tag;
}

static void make_zombie(pid_t pid)
{
    siginfo_t info;
    kill(pid, SIGKILL);
    CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
}

/* Sets a slot's time back, as if it had been taken so much earlier. */
static void age(struct sf_holders *holders, uint32_t tag, uint64_t ns)
{
    atomic_fetch_sub(&holders->slot[tag & (SF_HOLDERS_SLOTS - 1)].since_ns, ns);
}

TEST(the_first_process_is_alone)
{
    struct sf_holders *holders = shared_holders();
    uint32_t me = sf_holders_join(holders);
    CHECK(me != SF_HOLDERS_UNKNOWN && (me & SF_HOLDERS_TAG_BIT) && !(me >> 31));
    CHECK(sf_holders_alive(holders, me));
    CHECK(sf_holders_exists(holders, me));
    CHECK(!sf_holders_others(holders, me));
}

TEST(a_live_child_is_another_until_it_is_a_zombie)
{
    struct sf_holders *holders = shared_holders();
    pid_t pid;
    uint32_t me = sf_holders_join(holders), child = joined_child(holders, &pid, false);
    CHECK(child != me);
    CHECK(sf_holders_others(holders, me));
    CHECK(sf_holders_alive(holders, child));
    make_zombie(pid);
    CHECK(!sf_holders_alive(holders, child));
    CHECK(sf_holders_exists(holders, child));
    CHECK(!sf_holders_others(holders, me));
}

TEST(a_child_that_has_not_run_yet_is_another)
{
    struct sf_holders *holders = shared_holders();
    uint32_t me = sf_holders_join(holders), child = sf_holders_reserve(holders);
    CHECK(child != me);
    CHECK(sf_holders_others(holders, me));
    CHECK(sf_holders_alive(holders, child));
}

TEST(a_reserved_slot_that_nobody_fills_is_dead_after_a_while)
{
    struct sf_holders *holders = shared_holders();
    uint32_t me = sf_holders_join(holders), child = sf_holders_reserve(holders);
    age(holders, child, SF_HOLDERS_FORK_NS);
    CHECK(!sf_holders_alive(holders, child));
    CHECK(!sf_holders_others(holders, me));
}

TEST(a_reserved_slot_dies_with_its_reserver)
{
    struct sf_holders *holders = shared_holders();
    uint32_t me = sf_holders_join(holders);
    pid_t pid = fork();
    if (pid == 0) {
        sf_holders_reserve(holders);
        _exit(0);
    }
    make_zombie(pid);
    CHECK(!sf_holders_others(holders, me));
}

TEST(the_child_adopts_its_slot)
{
    struct sf_holders *holders = shared_holders();
    uint32_t me = sf_holders_join(holders), tag = sf_holders_reserve(holders);
    pid_t pid = fork();
    if (pid == 0)
        _exit(sf_holders_adopt(holders, tag) == tag && sf_holders_others(holders, tag) ? 0 : 1);
    int status;
    waitpid(pid, &status, 0);
    CHECK_EQ(0, status);
    CHECK(!sf_holders_alive(holders, tag)); /* at once, not after SF_HOLDERS_FORK_NS */
    CHECK(!sf_holders_others(holders, me));
}

TEST(a_named_child_that_dies_before_its_first_step_is_dead)
{
    struct sf_holders *holders = shared_holders();
    uint32_t me = sf_holders_join(holders), tag = sf_holders_reserve(holders);
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    sf_holders_name(holders, tag, pid);
    CHECK(sf_holders_alive(holders, tag));
    CHECK(sf_holders_others(holders, me));
    make_zombie(pid);
    CHECK(!sf_holders_alive(holders, tag));
    CHECK(!sf_holders_others(holders, me));
}

TEST(naming_and_adopting_agree_in_either_order)
{
    struct sf_holders *holders = shared_holders();
    sf_holders_join(holders);
    for (int named_first = 0; named_first < 2; named_first++) {
        uint32_t tag = sf_holders_reserve(holders);
        int go[2];
        char byte;
        CHECK(pipe(go) == 0);
        pid_t pid = fork();
        if (pid == 0) {
            if (named_first)
                CHECK(read(go[0], &byte, 1) == 1);
            _exit(sf_holders_adopt(holders, tag) == tag ? 0 : 1);
        }
        int status;
        siginfo_t info;
        if (!named_first)
            CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
        sf_holders_name(holders, tag, pid);
        CHECK(write(go[1], "", 1) == 1);
        waitpid(pid, &status, 0);
        CHECK_EQ(0, status);
        CHECK(!sf_holders_alive(holders, tag));
    }
}

TEST(a_child_that_comes_too_late_takes_another_slot)
{
    struct sf_holders *holders = shared_holders();
    sf_holders_join(holders);
    uint32_t tag = sf_holders_reserve(holders);
    age(holders, tag, SF_HOLDERS_FORK_NS);
    uint32_t other = sf_holders_adopt(holders, tag);
    CHECK(other != tag);
    CHECK(sf_holders_alive(holders, other));
}

TEST(a_process_that_leaves_is_no_longer_a_holder)
{
    struct sf_holders *holders = shared_holders();
    uint32_t me = sf_holders_join(holders);
    sf_holders_leave(holders, me);
    CHECK(!sf_holders_alive(holders, me));
    CHECK(!sf_holders_exists(holders, me));
}

TEST(a_slot_has_another_tag_in_its_next_life)
{
    struct sf_holders *holders = shared_holders();
    uint32_t first = sf_holders_join(holders);
    sf_holders_leave(holders, first);
    uint32_t second = sf_holders_join(holders);
    CHECK_EQ(first & (SF_HOLDERS_SLOTS - 1), second & (SF_HOLDERS_SLOTS - 1));
    CHECK(first != second);
    CHECK(!sf_holders_alive(holders, first));
    CHECK(sf_holders_alive(holders, second));
    sf_holders_leave(holders, first); /* not its own any more */
    CHECK(sf_holders_alive(holders, second));
}

TEST(a_recycled_pid_is_not_the_holder)
{
    struct sf_holders *holders = shared_holders();
    pid_t pid;
    uint32_t me = sf_holders_join(holders), child = joined_child(holders, &pid, false);
    age(holders, child, UINT64_C(50000000)); /* as if known before the process that has this pid had started */
    CHECK(!sf_holders_alive(holders, child));
    CHECK(!sf_holders_others(holders, me));
    kill(pid, SIGKILL);
}

TEST(the_slots_of_the_dead_are_used_again)
{
    struct sf_holders *holders = shared_holders();
    uint32_t me = sf_holders_join(holders);
    for (unsigned i = 0; i < 2000; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(sf_holders_join(holders) == SF_HOLDERS_UNKNOWN);
        int status;
        waitpid(pid, &status, 0);
        CHECK_EQ(0, status);
    }
    CHECK(atomic_load(&holders->used) <= 256); /* and not all of them before */
    CHECK(!sf_holders_others(holders, me));
}

/* Far more than live at once on most machines. */
TEST(after_thousands_of_holders_at_once_the_last_one_is_alone)
{
    enum { HOLDERS = 5000 };
    struct sf_holders *holders = shared_holders();
    static uint32_t tag[HOLDERS];
    uint32_t me = sf_holders_join(holders);
    for (unsigned i = 0; i < HOLDERS; i++)
        CHECK((tag[i] = sf_holders_join(holders)) != SF_HOLDERS_UNKNOWN);
    CHECK(sf_holders_others(holders, me));
    for (unsigned i = 0; i < HOLDERS; i++)
        sf_holders_leave(holders, tag[i]);
    CHECK(!sf_holders_others(holders, me));
}

TEST(with_a_full_table_nobody_is_alone)
{
    struct sf_holders *holders = shared_holders();
    uint32_t me = sf_holders_join(holders);
    for (unsigned i = 1; i < SF_HOLDERS_SLOTS; i++) /* all this live process's; one by one would take seconds */
        memcpy(&holders->slot[i], &holders->slot[0], sizeof holders->slot[0]);
    atomic_store(&holders->used, SF_HOLDERS_SLOTS);
    CHECK_EQ(SF_HOLDERS_UNKNOWN, sf_holders_join(holders));
    CHECK_EQ(SF_HOLDERS_UNKNOWN, sf_holders_reserve(holders));
    for (unsigned i = 0; i < SF_HOLDERS_SLOTS; i++)
        if (i != (me & (SF_HOLDERS_SLOTS - 1)))
            sf_holders_leave(holders, SF_HOLDERS_TAG_BIT | i); /* first lives */
    CHECK(sf_holders_others(holders, me));                     /* for good */
    CHECK(sf_holders_alive(holders, SF_HOLDERS_UNKNOWN));
    sf_holders_leave(holders, SF_HOLDERS_UNKNOWN);
}

TEST(many_processes_enter_at_once_and_no_two_share_a_slot)
{
    struct sf_holders *holders = shared_holders();
    enum { CHILDREN = 8, EACH = 20 };
    _Atomic uint32_t *owner =
        mmap(NULL, SF_HOLDERS_SLOTS * 4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int c = 0; c < CHILDREN; c++)
        if (fork() == 0) {
            for (int i = 0; i < EACH; i++)
                CHECK_EQ(0, atomic_fetch_add(&owner[sf_holders_join(holders) & (SF_HOLDERS_SLOTS - 1)], 1));
            for (;;)
                pause(); /* alive, so that its slots are not used again */
        }
    for (uint32_t n = 0; n < CHILDREN * EACH; usleep(1000)) {
        n = 0;
        for (unsigned i = 0; i < SF_HOLDERS_SLOTS; i++) {
            CHECK(atomic_load(&owner[i]) <= 1);
            n += atomic_load(&owner[i]);
        }
    }
}

TEST_MAIN()
