/* Who holds a ring: the table of parties, with real processes. */
#include "core/party.h"

#include <sys/mman.h>

#include "core/identity.h"
#include "harness.h"

static struct sf_party *shared_party(void)
{
    void *memory = mmap(NULL, sizeof(struct sf_party), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

/* A child that joins and then sleeps or ends; its tag. */
static uint32_t joined_child(struct sf_party *party, pid_t *pid, bool ends)
{
    int pipes[2];
    uint32_t tag;
    CHECK(pipe(pipes) == 0);
    if ((*pid = fork()) == 0) {
        tag = sf_party_join(party);
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

/* Ages a slot's time, as if it had been entered so long ago. */
static void age(struct sf_party *party, uint32_t tag, uint64_t ns)
{
    atomic_fetch_sub(&party->slot[tag & (SF_PARTY_SLOTS - 1)].since_ns, ns);
}

TEST(the_first_process_is_alone)
{
    struct sf_party *party = shared_party();
    uint32_t me = sf_party_join(party);
    CHECK(me != SF_PARTY_UNKNOWN && (me & SF_PARTY_TAG_BIT) && !(me >> 31));
    CHECK(sf_party_alive(party, me));
    CHECK(sf_party_exists(party, me));
    CHECK(!sf_party_others(party, me));
}

TEST(a_live_child_is_another_until_it_is_a_zombie)
{
    struct sf_party *party = shared_party();
    pid_t pid;
    uint32_t me = sf_party_join(party), child = joined_child(party, &pid, false);
    CHECK(child != me);
    CHECK(sf_party_others(party, me));
    CHECK(sf_party_alive(party, child));
    make_zombie(pid);
    CHECK(!sf_party_alive(party, child));
    CHECK(sf_party_exists(party, child));
    CHECK(!sf_party_others(party, me));
}

TEST(a_child_that_has_not_run_yet_is_another)
{
    struct sf_party *party = shared_party();
    uint32_t me = sf_party_join(party), child = sf_party_reserve(party);
    CHECK(child != me);
    CHECK(sf_party_others(party, me));
    CHECK(sf_party_alive(party, child));
}

TEST(a_reserved_slot_that_nobody_fills_is_dead_after_a_while)
{
    struct sf_party *party = shared_party();
    uint32_t me = sf_party_join(party), child = sf_party_reserve(party);
    age(party, child, SF_PARTY_FORK_NS);
    CHECK(!sf_party_alive(party, child));
    CHECK(!sf_party_others(party, me));
}

TEST(a_reserved_slot_dies_with_its_reserver)
{
    struct sf_party *party = shared_party();
    uint32_t me = sf_party_join(party);
    pid_t pid = fork();
    if (pid == 0) {
        sf_party_reserve(party);
        _exit(0);
    }
    make_zombie(pid);
    CHECK(!sf_party_others(party, me));
}

TEST(the_child_adopts_its_slot)
{
    struct sf_party *party = shared_party();
    uint32_t me = sf_party_join(party), tag = sf_party_reserve(party);
    pid_t pid = fork();
    if (pid == 0)
        _exit(sf_party_adopt(party, tag) == tag && sf_party_others(party, tag) ? 0 : 1);
    int status;
    waitpid(pid, &status, 0);
    CHECK_EQ(0, status);
    CHECK(!sf_party_alive(party, tag)); /* at once, not after SF_PARTY_FORK_NS */
    CHECK(!sf_party_others(party, me));
}

TEST(a_named_child_that_dies_before_its_first_step_is_dead)
{
    struct sf_party *party = shared_party();
    uint32_t me = sf_party_join(party), tag = sf_party_reserve(party);
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    sf_party_name(party, tag, pid);
    CHECK(sf_party_alive(party, tag));
    CHECK(sf_party_others(party, me));
    make_zombie(pid);
    CHECK(!sf_party_alive(party, tag));
    CHECK(!sf_party_others(party, me));
}

TEST(naming_and_adopting_agree_in_either_order)
{
    struct sf_party *party = shared_party();
    sf_party_join(party);
    for (int named_first = 0; named_first < 2; named_first++) {
        uint32_t tag = sf_party_reserve(party);
        int go[2];
        char byte;
        CHECK(pipe(go) == 0);
        pid_t pid = fork();
        if (pid == 0) {
            if (named_first)
                CHECK(read(go[0], &byte, 1) == 1);
            _exit(sf_party_adopt(party, tag) == tag ? 0 : 1);
        }
        int status;
        siginfo_t info;
        if (!named_first)
            CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
        sf_party_name(party, tag, pid);
        CHECK(write(go[1], "", 1) == 1);
        waitpid(pid, &status, 0);
        CHECK_EQ(0, status);
        CHECK(!sf_party_alive(party, tag));
    }
}

TEST(a_child_that_comes_too_late_takes_another_slot)
{
    struct sf_party *party = shared_party();
    sf_party_join(party);
    uint32_t tag = sf_party_reserve(party);
    age(party, tag, SF_PARTY_FORK_NS);
    uint32_t other = sf_party_adopt(party, tag);
    CHECK(other != tag);
    CHECK(sf_party_alive(party, other));
}

TEST(who_leaves_is_no_longer_there)
{
    struct sf_party *party = shared_party();
    uint32_t me = sf_party_join(party);
    sf_party_leave(party, me);
    CHECK(!sf_party_alive(party, me));
    CHECK(!sf_party_exists(party, me));
}

TEST(a_slot_has_another_tag_in_its_next_life)
{
    struct sf_party *party = shared_party();
    uint32_t first = sf_party_join(party);
    sf_party_leave(party, first);
    uint32_t second = sf_party_join(party);
    CHECK_EQ(first & (SF_PARTY_SLOTS - 1), second & (SF_PARTY_SLOTS - 1));
    CHECK(first != second);
    CHECK(!sf_party_alive(party, first));
    CHECK(sf_party_alive(party, second));
    sf_party_leave(party, first); /* not its own any more */
    CHECK(sf_party_alive(party, second));
}

TEST(a_recycled_pid_is_not_the_party)
{
    struct sf_party *party = shared_party();
    pid_t pid;
    uint32_t me = sf_party_join(party), child = joined_child(party, &pid, false);
    age(party, child, UINT64_C(50000000)); /* as if known before the process that has this pid had started */
    CHECK(!sf_party_alive(party, child));
    CHECK(!sf_party_others(party, me));
    kill(pid, SIGKILL);
}

TEST(the_slots_of_the_dead_are_used_again)
{
    struct sf_party *party = shared_party();
    uint32_t me = sf_party_join(party);
    for (unsigned i = 0; i < 2000; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(sf_party_join(party) == SF_PARTY_UNKNOWN);
        int status;
        waitpid(pid, &status, 0);
        CHECK_EQ(0, status);
    }
    CHECK(atomic_load(&party->used) <= 256); /* and not all of them before */
    CHECK(!sf_party_others(party, me));
}

/* Far more than live at once on most machines; who is alone afterwards is told so again. */
TEST(after_thousands_of_holders_at_once_the_last_one_is_alone)
{
    enum { HOLDERS = 5000 };
    struct sf_party *party = shared_party();
    static uint32_t tag[HOLDERS];
    uint32_t me = sf_party_join(party);
    for (unsigned i = 0; i < HOLDERS; i++)
        CHECK((tag[i] = sf_party_join(party)) != SF_PARTY_UNKNOWN);
    CHECK(sf_party_others(party, me));
    for (unsigned i = 0; i < HOLDERS; i++)
        sf_party_leave(party, tag[i]);
    CHECK(!sf_party_others(party, me));
}

TEST(with_a_full_table_nobody_is_alone)
{
    struct sf_party *party = shared_party();
    uint32_t me = sf_party_join(party);
    for (unsigned i = 1; i < SF_PARTY_SLOTS; i++) /* all this live process's; one by one would take seconds */
        memcpy(&party->slot[i], &party->slot[0], sizeof party->slot[0]);
    atomic_store(&party->used, SF_PARTY_SLOTS);
    CHECK_EQ(SF_PARTY_UNKNOWN, sf_party_join(party));
    CHECK_EQ(SF_PARTY_UNKNOWN, sf_party_reserve(party));
    for (unsigned i = 0; i < SF_PARTY_SLOTS; i++)
        if (i != (me & (SF_PARTY_SLOTS - 1)))
            sf_party_leave(party, SF_PARTY_TAG_BIT | i); /* first lives */
    CHECK(sf_party_others(party, me));                   /* for good */
    CHECK(sf_party_alive(party, SF_PARTY_UNKNOWN));
    sf_party_leave(party, SF_PARTY_UNKNOWN);
}

TEST(many_processes_enter_at_once_and_no_two_share_a_slot)
{
    struct sf_party *party = shared_party();
    enum { CHILDREN = 8, EACH = 20 };
    _Atomic uint32_t *owner =
        mmap(NULL, SF_PARTY_SLOTS * 4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int c = 0; c < CHILDREN; c++)
        if (fork() == 0) {
            for (int i = 0; i < EACH; i++)
                CHECK_EQ(0, atomic_fetch_add(&owner[sf_party_join(party) & (SF_PARTY_SLOTS - 1)], 1));
            for (;;)
                pause(); /* alive, so that its slots are not used again */
        }
    for (uint32_t n = 0; n < CHILDREN * EACH; usleep(1000)) {
        n = 0;
        for (unsigned i = 0; i < SF_PARTY_SLOTS; i++) {
            CHECK(atomic_load(&owner[i]) <= 1);
            n += atomic_load(&owner[i]);
        }
    }
}

TEST_MAIN()
