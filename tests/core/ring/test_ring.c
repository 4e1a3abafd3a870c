/* The ring's messages between live senders and receivers: they arrive whole, in order, and use exactly the room there
 * is. What happens when processes die is in test_ring_killed.c. */
#include "core/ring/ring.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/ring/ring_messages.h"
#include "harness.h"

/* --- one process --- */

TEST(messages_of_every_size_come_back_whole_and_in_order)
{
    static const uint64_t sizes[] = {1024, 1025, 1031, 2047, 4099};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (uint64_t kept = 0; kept < 3;
             kept++) { /* so many messages stay in flight, so that the ring never rewinds */
            struct sf_ring *ring = new_ring(sizes[i]);
            uint64_t largest = (kept ? sizes[i] / 8 / (kept + 1) * 8 : sizes[i] / 8 * 8) - SF_RING_FRAME_BYTES;
            for (uint64_t n = 0; n <= 2 * largest + kept; n++) {
                CHECK_EQ(0, send_message(ring, 0, n, n % (largest + 1)));
                if (n >= kept)
                    CHECK_EQ(n - kept, receive(ring).number);
            }
            CHECK_EQ(kept, ring_length(ring));
            sf_ring_free(ring);
        }
}

TEST(the_largest_message_fits_and_a_larger_one_never_will)
{
    static const uint64_t sizes[] = {1024, 1025, 1031, 4096, 65536, 1000003, 10000000};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct sf_ring *ring = new_ring(sizes[i]);
        struct sf_ring_slot slot;
        uint64_t largest = sizes[i] / 8 * 8 - SF_RING_FRAME_BYTES;
        CHECK_EQ(-EMSGSIZE, reserve(ring, largest + 1, &slot));
        CHECK_EQ(-EMSGSIZE, reserve(ring, UINT64_MAX, &slot));
        for (uint64_t n = 0; n < 3; n++) {
            CHECK_EQ(0, send_message(ring, 0, n, largest));
            CHECK_EQ(-EAGAIN, reserve(ring, 0, &slot));
            CHECK_EQ(n, receive(ring).number);
        }
        CHECK_EQ(-EMSGSIZE, reserve(ring, largest + 1, &slot));
        sf_ring_free(ring);
    }
}

TEST(without_room_nothing_changes)
{
    struct sf_ring *ring = new_ring(1031);
    struct sf_ring_slot slot, none = {.place = 1, .bytes = 2, .seq = 3};
    uint64_t sent = 0;
    while (send_message(ring, 0, sent, 16) == 0)
        sent++;
    CHECK_EQ(1024 / 48, sent);
    for (int i = 0; i < 5; i++) {
        slot = none;
        CHECK_EQ(-EAGAIN, reserve(ring, 100, &slot));
        CHECK(memcmp(&slot, &none, sizeof slot) == 0);
        CHECK_EQ(sent, ring_length(ring));
    }
    for (uint64_t n = 0; n < sent; n++)
        CHECK_EQ(n, receive(ring).number);
    CHECK_EQ(0, reserve(ring, 8, &slot));
    CHECK_EQ(sent + 1, slot.seq); /* failures took no numbers */
}

TEST(an_empty_ring_has_nothing_to_claim)
{
    struct sf_ring *ring = new_ring(1024);
    struct sf_ring_slot slot;
    CHECK_EQ(-EAGAIN, claim(ring, &slot));
    CHECK_EQ(0, reserve(ring, 8, &slot));
    struct sf_ring_slot other;
    CHECK_EQ(-EAGAIN, claim(ring, &other)); /* not published */
    CHECK_EQ(0, ring_length(ring));
}

/* Whatever happened before, the room is exactly what the messages in flight leave: ring_layout.c must not waste a byte.
 */
TEST(room_is_exact_after_any_history)
{
    static const uint64_t sizes[] = {1024, 5000, 131072, 200000, 1000003};
    uint64_t refused = 0, accepted = 0;
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct sf_ring *ring = new_ring(sizes[i]);
        static uint64_t span[65536];
        uint64_t usable = sizes[i] / 8 * 8, used = 0, first = 0, sent = 0, bias = 0;
        for (int step = 0; step < 20000; step++) {
            if (step % 500 == 0)
                bias = random_below(4); /* filling, draining, both */
            if (random_below(4) > bias) {
                uint64_t range = random_below(8) ? usable / 40 : usable, bytes = random_below(range);
                uint64_t needs = SF_RING_FRAME_BYTES + (bytes + 7) / 8 * 8;
                int wanted = needs > usable ? -EMSGSIZE : used + needs > usable ? -EAGAIN : 0;
                CHECK_EQ(wanted, send_message(ring, 0, sent, bytes));
                if (wanted == 0)
                    span[sent++ % 65536] = needs, used += needs, accepted++;
                else
                    refused++;
            } else if (first < sent) {
                CHECK_EQ(first, receive(ring).number);
                used -= span[first++ % 65536];
            }
        }
        CHECK_EQ(sent - first, ring_length(ring));
        sf_ring_free(ring);
    }
    CHECK(refused > 1000 && accepted > 10000);
}

TEST(a_slow_sender_is_overtaken_and_comes_later)
{
    struct sf_ring *ring = new_ring(65536);
    struct sf_ring_slot slow;
    CHECK_EQ(0, reserve(ring, 100, &slow));
    for (uint64_t n = 0; n < 5000; n++) { /* until the ring is full behind its message */
        if (send_message(ring, 0, n, 24) == -EAGAIN)
            break;
        CHECK_EQ(n, receive(ring).number);
    }
    put_message(ring, &slow, 9, 77);
    sf_ring_publish(ring, &slow);
    struct message got = receive(ring);
    CHECK_EQ(9, got.sender);
    CHECK_EQ(77, got.number);
    CHECK_EQ(0, send_message(ring, 0, 1, 65536 - SF_RING_FRAME_BYTES)); /* all the room is back */
}

TEST(a_slow_sender_does_not_slow_down_others_that_overtake_it)
{
    struct sf_ring *ring = new_ring(1 << 24);
    struct sf_ring_slot slow;
    CHECK_EQ(0, reserve(ring, 100, &slow));
    double start = now_s();
    for (uint64_t n = 0; n < 200000; n++) {
        CHECK_EQ(0, send_message(ring, 0, n, 24));
        CHECK_EQ(n, receive(ring).number);
    }
    CHECK(now_s() - start < 5); /* a walk over all of them each time would take a minute */
    sf_ring_publish(ring, &slow);
    CHECK_EQ(0, claim(ring, &slow));
}

TEST(free_frames_between_frames_in_use_are_skipped)
{
    struct sf_ring *ring = new_ring(4096);
    struct sf_ring_slot slow, held;
    for (int round = 0; round < 20; round++) {
        CHECK_EQ(0, reserve(ring, 100, &slow));
        CHECK_EQ(0, send_message(ring, 1, 1, 40));
        CHECK_EQ(1, receive(ring).number);
        CHECK_EQ(0, send_message(ring, 1, 2, 200));
        CHECK_EQ(0, claim(ring, &held));
        for (uint64_t n = 3; n < 9; n++) {
            CHECK_EQ(0, send_message(ring, 1, n, 300 + n * 8));
            CHECK_EQ(n, receive(ring).number);
        }
        CHECK_EQ(2, get_message(ring, &held).number);
        sf_ring_release(ring, &held);
        CHECK_EQ(0, send_message(ring, 1, 9, 50));
        put_message(ring, &slow, 1, 10);
        sf_ring_publish(ring, &slow);
        CHECK_EQ(10, receive(ring).number);
        CHECK_EQ(9, receive(ring).number);
        CHECK_EQ(0, send_message(ring, 0, 11, 4096 - SF_RING_FRAME_BYTES));
        CHECK_EQ(11, receive(ring).number);
    }
}

TEST(an_abandoned_message_leaves_no_trace)
{
    struct sf_ring *ring = new_ring(1024);
    struct sf_ring_slot slot;
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(0, send_message(ring, 0, 1, 50));
        CHECK_EQ(0, reserve(ring, 500, &slot));
        sf_ring_abandon(ring, &slot);
        CHECK_EQ(0, send_message(ring, 0, 2, 50));
        CHECK_EQ(2, ring_length(ring));
        CHECK_EQ(1, receive(ring).number);
        CHECK_EQ(2, receive(ring).number);
    }
    CHECK_EQ(0, send_message(ring, 0, 0, 1024 - SF_RING_FRAME_BYTES));
}

TEST(of_two_published_messages_the_one_reserved_first_is_claimed_first)
{
    struct sf_ring *ring = new_ring(4096);
    struct sf_ring_slot a, b, got;
    CHECK_EQ(0, reserve(ring, 8, &a));
    CHECK_EQ(0, reserve(ring, 8, &b));
    CHECK(b.seq == a.seq + 1);
    sf_ring_publish(ring, &b);
    sf_ring_publish(ring, &a);
    CHECK_EQ(0, claim(ring, &got));
    CHECK_EQ(a.seq, got.seq);
    CHECK_EQ(0, claim(ring, &got));
    CHECK_EQ(b.seq, got.seq);
}

TEST(releases_in_any_order_give_the_room_back)
{
    struct sf_ring *ring = new_ring(4096);
    for (uint64_t round = 0; round < 200; round++) {
        struct sf_ring_slot slot[16];
        for (uint64_t n = 0; n < 16; n++)
            CHECK_EQ(0, send_message(ring, 0, n, 200));
        for (int n = 0; n < 16; n++)
            CHECK_EQ(0, claim(ring, &slot[n]));
        for (uint64_t n = 0; n < 16; n++)
            sf_ring_release(ring, &slot[(n * 7 + round) % 16]);
    }
    CHECK_EQ(0, send_message(ring, 0, 0, 4096 - SF_RING_FRAME_BYTES));
}

TEST(a_process_forked_in_the_middle_of_a_message_does_not_finish_it)
{
    struct sf_ring *ring = new_ring(1024);
    struct sf_ring_slot writing, reading, none;
    int status;
    CHECK_EQ(0, send_message(ring, 0, 0, 400));
    CHECK_EQ(0, claim(ring, &reading));
    CHECK_EQ(0, reserve(ring, 400, &writing));
    pid_t child = fork();
    if (child == 0) {
        sf_ring_release(ring, &reading);
        sf_ring_publish(ring, &writing);
        sf_ring_abandon(ring, &writing);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK_EQ(-EAGAIN, claim(ring, &none));
    CHECK_EQ(-EAGAIN, reserve(ring, 400, &none));
    sf_ring_release(ring, &reading);
    CHECK_EQ(0, reserve(ring, 400, &none));
    sf_ring_publish(ring, &writing);
    CHECK_EQ(0, claim(ring, &reading));
    CHECK_EQ(writing.seq, reading.seq);
}

static long faults(void)
{
    SKIP_UNDER_TSAN("has page faults of its own");
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

TEST(a_stream_stays_in_warm_pages_whether_or_not_the_ring_becomes_empty)
{
    for (uint64_t behind = 0; behind <= 16; behind += 8) {
        struct sf_ring *ring = new_ring(UINT64_C(1) << 31);
        for (uint64_t n = 0; n < behind; n++)
            CHECK_EQ(0, send_message(ring, 0, n, 1000));
        long before = faults();
        for (uint64_t n = behind; n < 20000; n++) { /* 20 MB: 5000 pages if they were all fresh */
            CHECK_EQ(0, send_message(ring, 0, n, 1000));
            CHECK_EQ(n - behind, receive(ring).number);
        }
        CHECK(faults() - before < 100);
        sf_ring_free(ring);
    }
}

TEST(a_stream_of_large_messages_has_pages_for_those_in_flight_only)
{
#ifdef __SANITIZE_ADDRESS__
    SKIP("the sanitizer's own memory takes page faults, too");
#endif
    enum { MIB = 1 << 20, PAGE = 4096 };
    static const uint64_t capacities[] = {2 * MIB, 16 * MIB, 64 * MIB};
    for (unsigned i = 0; i < sizeof capacities / sizeof *capacities; i++) {
        struct sf_ring *ring = new_counting_ring(capacities[i]);
        long before = faults();
        CHECK_EQ(0, send_message(ring, 0, 0, MIB));
        for (uint64_t n = 1; n < 20; n++) {
            CHECK_EQ(0, send_message(ring, 0, n, MIB));
            CHECK_EQ(n - 1, receive(ring).number);
        }
        CHECK(faults() - before < 2 * MIB / PAGE + 60);
        sf_ring_free(ring);
    }
}

TEST(after_a_burst_that_splices_the_stream_uses_warm_pages_again)
{
    struct sf_ring *ring = new_ring(UINT64_C(1) << 31);
    uint64_t sent = 0, received = 0;
    for (; sent < 70; sent++) { /* across the end of the first layout of 64 KiB */
        CHECK_EQ(0, send_message(ring, 0, sent, 1000));
        if (sent > 20)
            CHECK_EQ(received++, receive(ring).number);
    }
    for (; sent < 1000; sent++)
        CHECK_EQ(0, send_message(ring, 0, sent, 1000));
    while (sent - received > 8)
        CHECK_EQ(received++, receive(ring).number);
    for (int i = 0; i < 3000; i++, sent++, received++) {
        CHECK_EQ(0, send_message(ring, 0, sent, 1000));
        CHECK_EQ(received, receive(ring).number);
    }
    long before = faults();
    for (int i = 0; i < 20000; i++, sent++, received++) {
        CHECK_EQ(0, send_message(ring, 0, sent, 1000));
        CHECK_EQ(received, receive(ring).number);
    }
    CHECK(faults() - before < 100);
}

/* --- many senders and receivers --- */

enum { SENDERS = 3, RECEIVERS = 2, EACH = 6000 };

struct ledger {
    _Atomic uint32_t received, count[SENDERS][EACH];
};

static void send_all(struct sf_ring *ring, uint32_t sender)
{
    for (uint64_t n = 0; n < EACH; n++) {
        uint64_t bytes = MESSAGE_HEAD + n * 2654435761u % 300;
        int result;
        while ((result = send_message(ring, sender, n, bytes)) == -EAGAIN) {
            result = sf_ring_wait_room(ring, bytes, 1000 * MS);
            CHECK(result == 0 || result == -ETIMEDOUT || result == -EPIPE);
        }
        CHECK_EQ(0, result);
    }
}

static void receive_all(struct sf_ring *ring, struct ledger *ledger)
{
    int64_t last[SENDERS];
    memset(last, -1, sizeof last);
    while (atomic_load(&ledger->received) < SENDERS * EACH) {
        struct sf_ring_slot slot;
        if (claim(ring, &slot)) {
            sf_ring_wait_message(ring, 5 * MS);
            continue;
        }
        struct message got = get_message(ring, &slot);
        sf_ring_release(ring, &slot);
        CHECK(got.sender < SENDERS && got.number < EACH);
        CHECK((int64_t)got.number > last[got.sender]); /* each receiver sees a sender's messages in their order */
        last[got.sender] = (int64_t)got.number;
        CHECK_EQ(0, atomic_fetch_add(&ledger->count[got.sender][got.number], 1));
        atomic_fetch_add(&ledger->received, 1);
    }
}

static void check_ledger(struct sf_ring *ring, const struct ledger *ledger)
{
    for (int s = 0; s < SENDERS; s++)
        for (int n = 0; n < EACH; n++)
            CHECK_EQ(1, atomic_load(&ledger->count[s][n]));
    CHECK_EQ(0, ring_length(ring));
    CHECK_EQ(0, send_message(ring, 0, 0, sf_ring_capacity(ring) / 8 * 8 - SF_RING_FRAME_BYTES));
}

TEST(processes_receive_each_message_once_whole_and_in_order)
{
    static const uint64_t sizes[] = {1025, 1031, 100003, 1 << 20};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct sf_ring *ring = new_ring(sizes[i]);
        struct ledger *ledger = shared_memory(sizeof *ledger);
        for (uint32_t s = 0; s < SENDERS; s++)
            if (fork() == 0) {
                send_all(ring, s);
                _exit(0);
            }
        for (uint32_t r = 0; r < RECEIVERS; r++)
            if (fork() == 0) {
                receive_all(ring, ledger);
                _exit(0);
            }
        for (int c = 0, status; c < SENDERS + RECEIVERS; c++) {
            CHECK(wait(&status) > 0);
            CHECK_EQ(0, status);
        }
        check_ledger(ring, ledger);
        sf_ring_free(ring);
    }
}

static struct sf_ring *threads_ring;
static struct ledger threads_ledger;

static void *sending_thread(void *sender)
{
    send_all(threads_ring, (uint32_t)(uintptr_t)sender);
    return NULL;
}

static void *receiving_thread(void *unused)
{
    receive_all(threads_ring, &threads_ledger);
    return unused;
}

TEST(threads_receive_each_message_once_whole_and_in_order)
{
    pthread_t thread[SENDERS + RECEIVERS];
    threads_ring = new_ring(5003);
    for (uintptr_t i = 0; i < SENDERS + RECEIVERS; i++)
        CHECK_EQ(0, pthread_create(&thread[i], NULL, i < SENDERS ? sending_thread : receiving_thread, (void *)i));
    for (int i = 0; i < SENDERS + RECEIVERS; i++)
        pthread_join(thread[i], NULL);
    check_ledger(threads_ring, &threads_ledger);
}

TEST(a_message_that_was_given_back_is_the_oldest_again)
{
    struct sf_ring *ring = new_ring(4096);
    struct sf_ring_slot slot[5], other;
    for (uint64_t n = 0; n < 5; n++)
        CHECK_EQ(0, send_message(ring, 0, n, 12 + n * 8));
    for (int i = 0; i < 5; i++)
        CHECK_EQ(0, claim(ring, &slot[i]));
    sf_ring_release(ring, &slot[2]);
    CHECK_EQ(-EAGAIN, claim(ring, &other));
    CHECK_EQ(-EAGAIN, sf_ring_has_message(ring, 0));
    sf_ring_give_back(ring, &slot[3]);
    CHECK_EQ(0, sf_ring_has_message(ring, 0));
    sf_ring_give_back(ring, &slot[1]);
    CHECK_EQ(2, ring_length(ring));
    CHECK_EQ(0, send_message(ring, 0, 5, 12));
    CHECK_EQ(0, claim(ring, &other));
    CHECK_EQ(1, get_message(ring, &other).number);
    CHECK_EQ(0, other.seq);
    sf_ring_release(ring, &other);
    sf_ring_give_back(ring, &slot[4]);
    sf_ring_give_back(ring, &slot[0]);
    CHECK_EQ(4, ring_length(ring));
    static const uint64_t left[] = {0, 3, 4, 5};
    for (int i = 0; i < 4; i++)
        CHECK_EQ(left[i], receive(ring).number);
    CHECK_EQ(-EAGAIN, claim(ring, &other));
    CHECK_EQ(0, send_message(ring, 0, 6, 4096 - SF_RING_FRAME_BYTES)); /* all room is back */
    CHECK_EQ(6, receive(ring).number);
}

TEST(a_message_that_was_given_back_wakes_a_receiver)
{
    struct sf_ring *ring = new_ring(4096);
    struct sf_ring_slot slot;
    CHECK_EQ(0, send_message(ring, 0, 7, 12));
    CHECK_EQ(0, claim(ring, &slot));
    if (fork() == 0) {
        sf_ring_give_back(ring, &slot); /* it is the parent's, so this does nothing */
        CHECK_EQ(-ETIMEDOUT, sf_ring_wait_message(ring, 20 * MS));
        double start = now_s();
        while (claim(ring, &slot))
            sf_ring_wait_message(ring, 100 * MS);
        CHECK(now_s() - start > 0.01);
        CHECK_EQ(7, get_message(ring, &slot).number);
        _exit(0);
    }
    usleep(60000);
    sf_ring_give_back(ring, &slot);
    int status;
    CHECK(wait(&status) > 0);
    CHECK_EQ(0, status);
}

/* A child that is stopped between two instructions of a call on the ring, while it has the ring's lock. */
static pid_t stop_with_lock(struct sf_ring *ring)
{
    struct sf_ring_slot slot;
    uint64_t length;
    pid_t pid = fork();
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
            _exit(HARNESS_SKIP);
        raise(SIGSTOP);
        for (;;)
            if (sf_ring_claim(ring, &slot) == 0)
                sf_ring_give_back(ring, &slot);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (WIFEXITED(status))
        SKIP("ptrace is not allowed here");
    do {
        CHECK(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0);
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK(WIFSTOPPED(status));
    } while (sf_ring_length(ring, &length) != -EBUSY);
    CHECK(ptrace(PTRACE_DETACH, pid, NULL, (void *)(intptr_t)SIGSTOP) == 0);
    usleep(20000); /* until it has stopped again, by the signal */
    return pid;
}

TEST(a_process_stopped_with_the_lock_keeps_nobody_longer_than_asked)
{
    SKIP_UNDER_TSAN("runs too many instructions to stop at each");
    struct sf_ring *ring = new_ring(4096);
    struct sf_ring_slot writing, reading, slot;
    uint64_t length;
    CHECK_EQ(0, send_message(ring, 0, 0, 12));
    CHECK_EQ(0, send_message(ring, 0, 1, 12));
    CHECK_EQ(0, reserve(ring, 12, &writing));
    CHECK_EQ(0, claim(ring, &reading));
    pid_t pid = stop_with_lock(ring);
    double start = now_s();
    CHECK_EQ(-EBUSY, sf_ring_claim(ring, &slot));
    CHECK_EQ(-EBUSY, sf_ring_reserve(ring, 8, &slot));
    CHECK_EQ(-EBUSY, sf_ring_length(ring, &length));
    CHECK_EQ(-ETIMEDOUT, sf_ring_has_message(ring, 10 * MS));
    CHECK_EQ(-ETIMEDOUT, sf_ring_has_room(ring, 8, true, 10 * MS));
    CHECK_EQ(-ETIMEDOUT, sf_ring_wait_message(ring, 10 * MS));
    CHECK_EQ(-ETIMEDOUT, sf_ring_wait_room(ring, 8, 10 * MS));
    CHECK(now_s() - start < 0.5);
    put_message(ring, &writing, 0, 2); /* these need no lock */
    sf_ring_publish(ring, &writing);
    sf_ring_release(ring, &reading);
    kill(pid, SIGCONT);
    for (double end = now_s() + 10; (length = 0, sf_ring_length(ring, &length)) == -EBUSY;)
        CHECK(now_s() < end);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    while (claim(ring, &slot) == 0)
        sf_ring_release(ring, &slot);
    CHECK_EQ(-EPIPE, sf_ring_wait_message(ring, 10 * MS));
}

TEST_MAIN()
