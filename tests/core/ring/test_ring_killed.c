/* The ring when its senders and receivers are killed: the others go on, and only the victims' own messages are lost.
 * The strongest case kills a process at every single instruction of its work on the ring, by ptrace. */
#include <errno.h>
#include <stdatomic.h>
#include <sys/ptrace.h>

#include "core/ring/ring.h"
#include "core/ring/ring_messages.h"
#include "harness.h"

/* Whatever happened before: all room can be reserved again, to the byte, and the ring works. */
static void check_all_room_is_back(struct sf_ring *ring)
{
    uint64_t usable = sf_ring_capacity(ring) / 8 * 8, frames = usable / SF_RING_FRAME_BYTES;
    for (int round = 0; round < 2; round++) {
        CHECK_EQ(0, send_message(ring, 0, 5, usable - SF_RING_FRAME_BYTES));
        CHECK_EQ(5, receive(ring).number);
        struct sf_ring_slot slot;
        for (uint64_t n = 0; n < frames; n++)
            CHECK_EQ(0, send_message(ring, 0, n, 0));
        CHECK_EQ(-EAGAIN, reserve(ring, 0, &slot));
        CHECK_EQ(frames, ring_length(ring));
        for (uint64_t n = 0; n < frames; n++)
            receive(ring);
        CHECK_EQ(0, ring_length(ring));
    }
}

/* --- between the two steps --- */

TEST(a_sender_killed_while_it_writes_loses_its_message_only)
{
    for (int reaped = 0; reaped < 2; reaped++) {
        struct sf_ring *ring = new_ring(1024);
        CHECK_EQ(0, send_message(ring, 0, 1, 50));
        pid_t pid = fork();
        if (pid == 0) {
            struct sf_ring_slot slot;
            CHECK_EQ(0, reserve(ring, 500, &slot));
            kill(getpid(), SIGKILL);
        }
        await_zombie(pid);
        if (reaped)
            waitpid(pid, NULL, 0);
        CHECK_EQ(0, send_message(ring, 0, 2, 50));
        CHECK_EQ(1, receive(ring).number);
        CHECK_EQ(2, receive(ring).number);
        check_all_room_is_back(ring);
    }
}

TEST(a_receiver_killed_while_it_reads_gives_the_room_back)
{
    struct sf_ring *ring = new_ring(1024);
    CHECK_EQ(0, send_message(ring, 0, 1, 900));
    pid_t pid = fork();
    if (pid == 0) {
        struct sf_ring_slot slot;
        CHECK_EQ(0, claim(ring, &slot));
        kill(getpid(), SIGKILL);
    }
    await_zombie(pid);
    struct sf_ring_slot slot;
    CHECK_EQ(-EAGAIN, claim(ring, &slot)); /* not a second time */
    CHECK_EQ(0, send_message(ring, 0, 2, 900));
    CHECK_EQ(2, receive(ring).number);
    check_all_room_is_back(ring);
}

TEST(a_message_of_a_live_process_is_never_taken_away)
{
    struct sf_ring *ring = new_ring(1024);
    int go[2];
    char byte;
    CHECK(pipe(go) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct sf_ring_slot slot;
        CHECK_EQ(0, reserve(ring, 900, &slot));
        CHECK(read(go[0], &byte, 1) == 1);
        put_message(ring, &slot, 3, 4);
        sf_ring_publish(ring, &slot);
        _exit(0);
    }
    struct sf_ring_slot slot;
    while (reserve(ring, 900, &slot) == 0) { /* until the child has its message */
        sf_ring_abandon(ring, &slot);
        usleep(1000);
    }
    for (int i = 0; i < 3; i++)
        CHECK_EQ(-ETIMEDOUT, sf_ring_wait_room(ring, 900, SF_LIVENESS_PERIOD_NS));
    CHECK_EQ(-EAGAIN, reserve(ring, 900, &slot));
    CHECK(write(go[1], "", 1) == 1);
    await_zombie(pid);
    CHECK_EQ(4, receive(ring).number);
}

TEST(a_message_of_a_handle_that_was_freed_is_given_up)
{
    struct sf_ring *ring = new_ring(1024);
    int freed[2];
    char byte;
    CHECK(pipe(freed) == 0);
    if (fork() == 0) {
        struct sf_ring_slot slot;
        CHECK_EQ(0, reserve(ring, 500, &slot));
        sf_ring_free(ring);
        CHECK(write(freed[1], "", 1) == 1);
        for (;;)
            pause();
    }
    CHECK(read(freed[0], &byte, 1) == 1);
    check_all_room_is_back(ring);
}

TEST(a_wait_for_room_behind_a_dead_process_ends_soon)
{
    struct sf_ring *ring = new_ring(1024);
    pid_t pid = fork();
    if (pid == 0) {
        struct sf_ring_slot slot;
        CHECK_EQ(0, reserve(ring, 900, &slot));
        for (;;)
            pause();
    }
    struct sf_ring_slot slot;
    while (reserve(ring, 900, &slot) == 0) {
        sf_ring_abandon(ring, &slot);
        usleep(1000);
    }
    if (fork() == 0) {
        usleep(30000);
        kill(pid, SIGKILL);
        _exit(0);
    }
    double start = now_s();
    int result = 0;
    while (reserve(ring, 900, &slot) == -EAGAIN && now_s() - start < 2)
        result = sf_ring_wait_room(ring, 900, 1000 * MS);
    CHECK_EQ(0, result);
    CHECK(now_s() - start < 0.03 + 0.15);
}

TEST(the_last_message_of_the_dead_is_received_before_epipe)
{
    struct sf_ring *ring = new_ring(1024);
    pid_t pid = fork();
    if (pid == 0) {
        send_message(ring, 0, 1, 20);
        kill(getpid(), SIGKILL);
    }
    await_zombie(pid);
    CHECK_EQ(0, sf_ring_wait_message(ring, 10 * MS));
    CHECK_EQ(1, receive(ring).number);
    CHECK_EQ(-EPIPE, sf_ring_wait_message(ring, 10 * MS));
}

/* --- at every instruction --- */

static void give_two_back(struct sf_ring *ring, bool in_order)
{
    struct sf_ring_slot slot[2];
    int got = claim(ring, &slot[0]) == 0;
    if (got)
        got += claim(ring, &slot[1]) == 0;
    for (int i = 0; i < got; i++)
        sf_ring_give_back(ring, &slot[in_order ? i : got - 1 - i]);
}

/* What the victim does. It makes the ring rewind, grow, go round, splice, unsplice and merge. Messages are numbered in
 * their order, so the numbers of those that survive must increase. */
static void victim(struct sf_ring *ring, int scene)
{
    static const uint64_t sizes[4][5] = {
        {12, 100, 12, 12, 12}, {30000, 30000, 12, 12, 50000}, {30000, 30000, 12, 40000, 12}, {12, 100, 12, 12, 12}};
    bool beyond = scene == 0 || scene == 3; /* a layout is 64 KiB at first */
    struct sf_ring_slot slot, first;
    for (uint64_t i = 0; i < 5; i++) {
        if (reserve(ring, sizes[scene][i], &slot))
            continue;
        if (i == 1 && scene == 0) {
            sf_ring_abandon(ring, &slot);
            continue;
        }
        beyond |= slot.place >= 65536;
        uint64_t number = 100 + i, end = ~number; /* the whole pattern would be too many steps */
        sf_ring_put(ring, &slot, 0, &number, 8);
        if (slot.bytes >= 16)
            sf_ring_put(ring, &slot, slot.bytes - 8, &end, 8);
        sf_ring_publish(ring, &slot);
        if (scene == 3)
            give_two_back(ring, i % 2);
        for (uint64_t taken = 0; taken <= i / 2 && claim(ring, &first) == 0; taken++)
            sf_ring_release(ring, &first);
    }
    CHECK(beyond);
}

static void prepare(struct sf_ring *ring, int scene)
{
    for (uint64_t n = 1; scene == 3 && n <= 3; n++) {
        struct sf_ring_slot slot;
        CHECK_EQ(0, reserve(ring, 8, &slot));
        sf_ring_put(ring, &slot, 0, &n, 8);
        sf_ring_publish(ring, &slot);
    }
    if (scene == 0 || scene == 3)
        return;
    /* Goes round the first layout with three messages in flight, which end past the layout's end, so that it may grow,
     * or lie across it (scene 2). */
    struct sf_ring_slot slot;
    for (uint64_t n = 0; n < (scene == 1 ? 12 : 9); n++) {
        CHECK_EQ(0, reserve(ring, 8000, &slot));
        uint64_t end = ~n;
        sf_ring_put(ring, &slot, 0, &n, 8);
        sf_ring_put(ring, &slot, 7992, &end, 8);
        sf_ring_publish(ring, &slot);
        if (n >= 3) {
            CHECK_EQ(0, claim(ring, &slot));
            sf_ring_release(ring, &slot);
        }
    }
}

static void check_what_is_left(struct sf_ring *ring)
{
    struct sf_ring_slot slot;
    uint64_t number, end, last = 0, seq = 0;
    while (claim(ring, &slot) == 0) {
        sf_ring_get(ring, &slot, 0, &number, 8);
        if (slot.bytes >= 16) {
            sf_ring_get(ring, &slot, slot.bytes - 8, &end, 8);
            CHECK_EQ(~number, end);
        }
        CHECK(number > last && (slot.seq == 0 || slot.seq > seq)); /* 0: it was given back */
        last = number, seq = slot.seq ? slot.seq : seq;
        sf_ring_release(ring, &slot);
    }
    uint64_t usable = sf_ring_capacity(ring) / 8 * 8;
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(0, reserve(ring, usable - SF_RING_FRAME_BYTES, &slot));
        CHECK(slot.seq > seq);
        sf_ring_publish(ring, &slot);
        CHECK_EQ(0, claim(ring, &slot));
        sf_ring_release(ring, &slot);
    }
    int sent = 0;
    while (send_message(ring, 0, 0, 8000) == 0)
        sent++;
    CHECK_EQ(usable / (SF_RING_FRAME_BYTES + 8000), sent);
    while (sent--)
        receive(ring);
}

/* Leaves FREE frames behind one that is being written, and makes claim merge them. */
static void victim_that_counts(struct sf_ring *ring)
{
    struct sf_ring_slot first, slot;
    CHECK_EQ(0, reserve(ring, LABEL + 300, &first));
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < 3 && reserve(ring, LABEL + 100 * i, &slot) == 0; i++)
            sf_ring_publish(ring, &slot);
        while (claim(ring, &slot) == 0)
            sf_ring_release(ring, &slot);
    }
    sf_ring_publish(ring, &first);
    CHECK_EQ(0, claim(ring, &first));
    sf_ring_release(ring, &first);
    CHECK_EQ(0, reserve(ring, LABEL + 1000, &slot));
}

/* All of the capacity can be filled, to the byte, by one message and by the smallest ones. */
static void check_what_counts(struct sf_ring *ring)
{
    struct sf_ring_slot slot;
    uint64_t capacity = sf_ring_capacity(ring);
    while (claim(ring, &slot) == 0)
        sf_ring_release(ring, &slot);
    CHECK_EQ(0, send_message(ring, 0, 0, LABEL + capacity));
    CHECK_EQ(-EAGAIN, reserve(ring, 0, &slot));
    receive(ring);
    for (uint64_t i = 0; i < capacity; i++)
        CHECK_EQ(0, send_message(ring, 0, 0, i % (LABEL + 2)));
    CHECK_EQ(-EAGAIN, reserve(ring, 0, &slot));
    for (uint64_t i = 0; i < capacity; i++)
        receive(ring);
}

/* The ring's mapping, found by a place in it. */
static unsigned char *mapping_of(struct sf_ring *ring, size_t *bytes)
{
    struct sf_ring_slot slot = {.place = 0, .bytes = 8};
    uint64_t run;
    uintptr_t inside = (uintptr_t)sf_ring_at(ring, &slot, 0, &run), from, to;
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    CHECK(maps);
    while (fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx", &from, &to) == 2 && from <= inside && inside < to) {
            fclose(maps);
            *bytes = to - from;
            return (unsigned char *)from;
        }
    FAIL("the ring is not in /proc/self/maps");
}

/* Runs the victim instruction by instruction, and keeps a copy of the memory after each one that changed it: that is
 * what a kill at that moment would leave. When the victim is dead, each copy is put back and must be a working ring. */
enum { COUNTING = 4 }; /* scenes below are those of victim() */
static void kill_everywhere(int scene)
{
    SKIP_UNDER_TSAN("runs too many instructions to stop at each");
    struct sf_ring *ring = scene == COUNTING ? new_counting_ring(1300) : new_ring(200003);
    size_t bytes, kept = 0, steps = 0;
    unsigned char *memory = mapping_of(ring, &bytes), **state = NULL;
    if (scene != COUNTING)
        prepare(ring, scene);
    pid_t pid = fork();
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
            _exit(HARNESS_SKIP);
        raise(SIGSTOP);
        scene == COUNTING ? victim_that_counts(ring) : victim(ring, scene);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (WIFEXITED(status))
        SKIP("ptrace is not allowed here");
    for (; WIFSTOPPED(status); steps++) {
        if (!kept || memcmp(memory, state[kept - 1], bytes) != 0) {
            state = realloc(state, (kept + 1) * sizeof *state);
            CHECK(state && (state[kept] = malloc(bytes)));
            memcpy(state[kept++], memory, bytes);
        }
        CHECK(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0);
        CHECK(waitpid(pid, &status, 0) == pid);
    }
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    for (size_t i = 0; i < kept; i++) {
        memcpy(memory, state[i], bytes);
        fprintf(stderr, "\r%zu", i); /* which one, should it hang or fail */
        scene == COUNTING ? check_what_counts(ring) : check_what_is_left(ring);
        free(state[i]);
    }
    fprintf(stderr, "\r  %zu instructions, %zu states\n", steps, kept);
    free(state);
    CHECK(kept > 50);
}

TEST(killed_at_any_instruction_of_small_messages_and_rewinding)
{
    kill_everywhere(0);
}

TEST(killed_at_any_instruction_of_growing_and_going_round)
{
    kill_everywhere(1);
}

TEST(killed_at_any_instruction_of_splicing)
{
    kill_everywhere(2);
}

TEST(killed_at_any_instruction_of_giving_messages_back)
{
    kill_everywhere(3);
}

TEST(killed_at_any_instruction_what_messages_count_is_right_again)
{
    kill_everywhere(COUNTING);
}

/* --- at random moments --- */

enum { SENDERS = 2, RECEIVERS = 2, NUMBERS = 1 << 17 };

struct book {
    _Atomic uint8_t published[SENDERS][NUMBERS], received[SENDERS][NUMBERS];
    _Atomic uint32_t stop, end; /* of sending, of receiving */
};

static void random_sender(struct sf_ring *ring, struct book *book, uint32_t sender)
{
    for (uint64_t n = 0; n < NUMBERS && !atomic_load(&book->stop); n++) {
        uint64_t bytes = MESSAGE_HEAD + n * 40503 % 700;
        while (send_message(ring, sender, n, bytes) == -EAGAIN)
            sf_ring_wait_room(ring, bytes, 20 * MS);
        atomic_store(&book->published[sender][n], 1);
    }
}

static void receive_one(struct sf_ring *ring, struct book *book, const struct sf_ring_slot *slot)
{
    struct message got = get_message(ring, slot);
    CHECK(got.sender < SENDERS && got.number < NUMBERS);
    CHECK_EQ(MESSAGE_HEAD + got.number * 40503 % 700, got.bytes);
    CHECK_EQ(0, atomic_fetch_add(&book->received[got.sender][got.number], 1));
    sf_ring_release(ring, slot);
}

static void random_receiver(struct sf_ring *ring, struct book *book)
{
    struct sf_ring_slot slot;
    for (unsigned turn = 1; !atomic_load(&book->end); turn++)
        if (claim(ring, &slot))
            sf_ring_wait_message(ring, 20 * MS);
        else if (turn % 3)
            receive_one(ring, book, &slot);
        else
            sf_ring_give_back(ring, &slot);
}

TEST(killed_at_random_moments_the_victims_lose_one_message_at_most)
{
    const char *seed = getenv("SF_TEST_SEED");
    random_state += seed ? (uint64_t)atoll(seed) : 0;
    uint64_t total = 0;
    for (int round = 0; round < 40; round++) {
        struct sf_ring *ring = new_ring(round % 2 ? 3001 : 100003);
        struct book *book = shared_memory(sizeof *book);
        pid_t pid[SENDERS + RECEIVERS];
        for (uint32_t i = 0; i < SENDERS + RECEIVERS; i++)
            if ((pid[i] = fork()) == 0) {
                i < SENDERS ? random_sender(ring, book, i) : random_receiver(ring, book);
                _exit(0);
            }
        usleep(2000 + (unsigned)random_below(15000));
        uint32_t victims = (uint32_t)random_below(15) + 1, dead_receivers = 0; /* a set, not empty */
        for (uint32_t i = 0; i < SENDERS + RECEIVERS; i++)
            if (victims >> i & 1) {
                kill(pid[i], SIGKILL);
                dead_receivers += i >= SENDERS;
            }
        usleep(3000); /* the others go on */
        atomic_store(&book->stop, 1);
        /* This process takes what is left, until the senders have ended and nothing comes. */
        struct sf_ring_slot slot;
        for (int senders = SENDERS, status;;) {
            if (claim(ring, &slot) == 0) {
                receive_one(ring, book, &slot);
                continue;
            }
            if (senders == 0 && ring_length(ring) == 0)
                break;
            if (senders && waitpid(pid[SENDERS - senders], &status, WNOHANG) > 0) {
                CHECK(status == 0 || (WIFSIGNALED(status) && victims >> (SENDERS - senders) & 1));
                senders--;
            } else
                sf_ring_wait_message(ring, 1 * MS);
        }
        atomic_store(&book->end, 1);
        sf_ring_wake_all(ring);
        for (uint32_t i = SENDERS; i < SENDERS + RECEIVERS; i++) {
            int status;
            waitpid(pid[i], &status, 0);
            CHECK(victims >> i & 1 ? WIFSIGNALED(status) : status == 0); /* none has found damage */
        }
        while (claim(ring, &slot) == 0) /* a receiver may have given a message back after the last look */
            receive_one(ring, book, &slot);
        uint32_t lost = 0;
        for (uint32_t s = 0; s < SENDERS; s++)
            for (uint32_t n = 0; n < NUMBERS; n++) {
                total += atomic_load(&book->published[s][n]);
                lost += atomic_load(&book->published[s][n]) && !atomic_load(&book->received[s][n]);
            }
        CHECK(lost <= dead_receivers);
        check_all_room_is_back(ring);
        sf_ring_free(ring);
        munmap(book, sizeof *book);
    }
    CHECK(total > 0); /* on a busy machine, a round's victims may die before they send */
}

TEST_MAIN()
