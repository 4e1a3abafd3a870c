/* Where a ring's positions are in memory. The layout under test has room for more than its first 64 KiB, so that it
 * grows and is spliced. There is no memory behind it, only a map that says which message each word would belong to. */
#include "core/ring/ring_layout.h"

#include "harness.h"

enum { SMALL = 1024, FIRST = 65536, STEP = 4096, USABLE = 200000, HUGE = 1 << 30 };

/* A layout with what a ring keeps beside it. */
struct model {
    struct sf_ring_layout layout;
    _Atomic uint64_t base;
    uint64_t head, tail;
};

static struct model new_model_with(uint64_t usable, uint64_t enough)
{
    struct model m;
    memset(&m, 0, sizeof m);
    sf_ring_layout_init(&m.layout, usable, enough);
    return m;
}

static struct model new_model(uint64_t usable)
{
    return new_model_with(usable, usable);
}

static uint64_t place(const struct model *m, uint64_t position)
{
    return sf_ring_layout_place(&m->layout, m->base, position);
}

static bool spliced(const struct model *m)
{
    return m->layout.splice != SF_RING_LAYOUT_NO_SPLICE;
}

/* Adds a message as a ring does. Its place. */
static uint64_t add(struct model *m, uint64_t bytes)
{
    CHECK(sf_ring_layout_make_room(&m->layout, &m->base, m->head, m->tail, bytes));
    uint64_t x = place(m, m->tail);
    m->tail += bytes;
    return x;
}

static void drop(struct model *m, uint64_t bytes)
{
    m->head += bytes;
    CHECK(m->head <= m->tail);
    sf_ring_layout_advance(&m->layout, &m->base, m->head);
}

static bool same(const struct model *a, const struct model *b)
{
    return a->layout.soft == b->layout.soft && a->layout.splice == b->layout.splice && a->base == b->base;
}

/* In flight: [40000, 65536) and, round the end, [0, 4464). */
static struct model gone_round(void)
{
    struct model m = new_model(USABLE);
    add(&m, 40000);
    add(&m, 20000);
    drop(&m, 40000);
    add(&m, 10000);
    return m;
}

/* The same and 40000 more: on to 40000, and into the rest of the memory. */
static struct model with_splice(void)
{
    struct model m = gone_round();
    add(&m, 40000);
    return m;
}

/* --- a plain layout --- */

TEST(a_new_layout_takes_the_first_pages_only)
{
    struct model small = new_model(SMALL), large = new_model(USABLE);
    CHECK_EQ(SMALL, small.layout.soft);
    CHECK_EQ(FIRST, large.layout.soft);
    for (uint64_t p = 0; p < FIRST; p += 8)
        CHECK_EQ(p, place(&large, p));
    CHECK_EQ(FIRST, sf_ring_layout_room(&large.layout, 0, 0, 0));
}

TEST(places_go_round_at_the_end)
{
    struct model m = new_model(SMALL);
    add(&m, 1000);
    drop(&m, 992);
    CHECK_EQ(1000, add(&m, 48));
    CHECK_EQ(1016, place(&m, 1016));
    CHECK_EQ(0, place(&m, 1024));
    CHECK_EQ(24, place(&m, 1048));
    CHECK_EQ(0, sf_ring_layout_walk(&m.layout, 1000, 24));
    CHECK_EQ(23, sf_ring_layout_walk(&m.layout, 1000, 47));
    drop(&m, 48);
    CHECK_EQ(24, add(&m, 8));
}

TEST(advancing_changes_no_place)
{
    struct model m = new_model(SMALL);
    uint64_t x = 0;
    add(&m, 512);
    for (int i = 0; i < 1000; i++) {
        uint64_t last = add(&m, 504);
        drop(&m, i ? 504 : 512);
        CHECK(m.head - m.base < SMALL);
        CHECK_EQ(last, place(&m, m.head));
        CHECK_EQ(x = (x + (i ? 504 : 512)) % SMALL, last);
    }
}

TEST(a_stream_goes_round_and_does_not_grow)
{
    struct model m = new_model(USABLE);
    add(&m, 8000);
    for (int i = 0; i < 1000; i++) {
        add(&m, 8000);
        drop(&m, 8000);
    }
    CHECK_EQ(FIRST, m.layout.soft);
    CHECK(!spliced(&m));
}

TEST(a_layout_grows_at_its_end_when_much_is_in_flight)
{
    struct model m = new_model(USABLE);
    for (uint64_t p = 0; p < USABLE; p += 8000)
        CHECK_EQ(p, add(&m, 8000));
    CHECK_EQ(USABLE, m.layout.soft);
    CHECK(!spliced(&m));
    for (uint64_t p = 0; p < USABLE; p += 8)
        CHECK_EQ(p, place(&m, p));
}

TEST(a_layout_grows_in_steps_and_as_far_as_a_large_message_needs)
{
    struct model m = new_model(USABLE);
    add(&m, FIRST);
    add(&m, 8);
    CHECK_EQ(FIRST + FIRST / 8, m.layout.soft);
    m = new_model(USABLE);
    add(&m, 150000);
    CHECK_EQ((150000 + STEP - 1) / STEP * STEP, m.layout.soft);
    m = new_model(USABLE);
    add(&m, USABLE - STEP); /* a rest below a step is taken as well */
    CHECK_EQ(USABLE, m.layout.soft);
}

TEST(rewinding_makes_the_layout_as_new)
{
    struct model m = with_splice();
    drop(&m, m.tail - m.head);
    sf_ring_layout_rewind(&m.layout, &m.base, m.tail);
    CHECK_EQ(FIRST, m.layout.soft);
    CHECK(!spliced(&m));
    CHECK_EQ(0, place(&m, m.tail));
    CHECK_EQ(0, add(&m, USABLE));
}

/* --- fresh pages --- */

TEST(large_messages_go_round_in_the_pages_of_those_that_are_in_flight)
{
    enum { LARGE = 1 << 20 };
    for (uint64_t in_flight = 1; in_flight <= 8; in_flight++) {
        struct model m = new_model(HUGE);
        for (uint64_t i = 0; i < in_flight; i++)
            add(&m, LARGE);
        CHECK_EQ(in_flight * LARGE, m.layout.touched);
        for (int i = 0; i < 100; i++) {
            drop(&m, LARGE);
            add(&m, LARGE);
        }
        CHECK_EQ(in_flight * LARGE, m.layout.touched);
        CHECK(!spliced(&m));
    }
}

TEST(a_large_message_that_fits_neither_before_nor_behind_those_in_flight_lies_in_both)
{
    struct model m = new_model(HUGE);
    add(&m, 1 << 20);
    add(&m, 1 << 20);
    drop(&m, 1 << 20);
    add(&m, 512 << 10);
    drop(&m, 1 << 20);
    uint64_t after, x = add(&m, (1 << 20) + 8);
    CHECK_EQ(512 << 10, x);
    CHECK_EQ(2 << 20, m.layout.touched);
    drop(&m, 512 << 10);
    x = add(&m, 512 << 10);
    CHECK_EQ((512 << 10) + (1 << 20) + 8, x);
    CHECK_EQ(2 << 20, sf_ring_layout_piece(&m.layout, x, &after));
    CHECK_EQ(0, after);
    CHECK_EQ(2 << 20, m.layout.touched);
}

TEST(small_messages_go_round_in_few_pages_and_seldom)
{
    struct model m = new_model(HUGE);
    uint64_t rounds = 0, last = 0;
    for (int i = 0; i < 250; i++)
        add(&m, 1000);
    uint64_t touched = m.layout.touched;
    CHECK(touched <= 250000 * 9 / 8 + STEP);
    for (int i = 0; i < 100000; i++) {
        uint64_t x = add(&m, 1000);
        rounds += x < last;
        last = x;
        drop(&m, 1000);
    }
    CHECK(m.layout.touched <= 2 * touched);
    CHECK(rounds <= 100000 / 250);
    CHECK(!spliced(&m));
}

TEST(warm_memory_is_used_again_after_a_rewind)
{
    struct model m = new_model(HUGE);
    add(&m, 4 << 20);
    drop(&m, 4 << 20);
    sf_ring_layout_rewind(&m.layout, &m.base, m.tail);
    CHECK_EQ(FIRST, m.layout.soft);
    for (int i = 0; i < 100000; i++) {
        add(&m, 1000);
        if (i >= 3000)
            drop(&m, 1000);
    }
    CHECK_EQ(4 << 20, m.layout.touched);
}

TEST(memory_that_was_given_back_is_fresh_again)
{
    struct model m = new_model(HUGE);
    add(&m, 4 << 20);
    drop(&m, 4 << 20);
    sf_ring_layout_rewind(&m.layout, &m.base, m.tail);
    m.layout.touched = 1 << 20;
    add(&m, 512 << 10);
    add(&m, 512 << 10);
    for (int i = 0; i < 10; i++) {
        drop(&m, 512 << 10);
        add(&m, 512 << 10);
    }
    CHECK_EQ(1 << 20, m.layout.touched);
}

/* In flight: the same all the time, more than a quarter of what is enough, so that more may be expected. */
TEST(a_ring_that_is_held_half_full_grows_to_what_is_enough)
{
    enum { ENOUGH = 8 << 20 };
    struct model m = new_model_with(HUGE, ENOUGH);
    while (m.tail < ENOUGH / 2)
        add(&m, 64 << 10);
    for (int i = 0; i < 1000; i++) {
        drop(&m, 64 << 10);
        add(&m, 64 << 10);
    }
    CHECK_EQ(ENOUGH, m.layout.touched);
    while (m.tail - m.head < ENOUGH)
        add(&m, 64 << 10);
    for (int i = 0; i < 1000; i++) {
        drop(&m, 64 << 10);
        add(&m, 64 << 10);
    }
    CHECK_EQ(ENOUGH, m.layout.touched);
    add(&m, 8); /* as when frames are larger than their messages */
    CHECK(m.layout.touched > ENOUGH && m.layout.touched <= ENOUGH + 2 * FIRST);
}

TEST(what_fits_into_the_memory_is_never_refused_for_what_was_enough)
{
    struct model m = new_model_with(USABLE, 1000);
    add(&m, 40000);
    drop(&m, 30000);
    add(&m, USABLE - 10000);
    CHECK_EQ(USABLE, m.layout.touched);
}

/* --- a spliced one --- */

TEST(when_the_bytes_in_flight_go_round_the_rest_is_spliced_in_before_the_head)
{
    struct model m = gone_round();
    CHECK_EQ(FIRST, m.layout.soft);
    CHECK_EQ(4464, place(&m, m.tail));
    CHECK(!spliced(&m));
    CHECK_EQ(4464, add(&m, 40000));
    CHECK_EQ(40000, m.layout.splice);
    CHECK_EQ(FIRST, m.layout.soft);
    CHECK_EQ(40000, place(&m, m.head)); /* what was in flight has not moved */
    CHECK_EQ(0, place(&m, FIRST));
    CHECK_EQ(39992, place(&m, 70000 + 35528)); /* the new one: up to the head, */
    CHECK_EQ(FIRST, place(&m, 70000 + 35536)); /* then in the rest */
    CHECK_EQ(FIRST + 4464, place(&m, m.tail));
}

TEST(a_spliced_layout_is_plain_again_when_all_in_flight_stands_in_the_rest)
{
    struct model m = with_splice();
    add(&m, 50000);
    drop(&m, m.tail - m.head - 50000);
    uint64_t x = place(&m, m.head);
    CHECK_EQ(FIRST + 4464, x);
    CHECK(spliced(&m));
    CHECK_EQ(x + 50000, add(&m, 8));
    CHECK(!spliced(&m));
    CHECK_EQ(x, place(&m, m.head));
    CHECK(m.layout.soft >= x + 50008 && m.layout.soft < x + 50008 + 4096);
}

TEST(a_message_round_a_spliced_layout_has_four_runs)
{
    struct model m = with_splice();
    add(&m, 120000);
    drop(&m, 30000);
    add(&m, 20000); /* round the memory's end, on behind the splice */
    drop(&m, 40000);
    CHECK_EQ(50000, add(&m, 8));
    drop(&m, 140000);
    uint64_t x = add(&m, USABLE - 8), end, left = USABLE - 8;
    static const uint64_t from[] = {50008, 0, FIRST, 40000}, to[] = {FIRST, 40000, USABLE, 50000};
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(from[i], x);
        uint64_t piece = sf_ring_layout_piece(&m.layout, x, &end) - x;
        piece = piece < left ? piece : left;
        CHECK_EQ(to[i], x + piece);
        left -= piece, x = end;
    }
    CHECK_EQ(0, left);
}

/* --- after any history --- */

static uint64_t random_below(uint64_t n)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    return (state ^= state << 17) % n;
}

enum { MESSAGES = 1 << 15 };

static struct {
    uint64_t place, bytes;
} message[MESSAGES];
static uint16_t owner[USABLE / 8]; /* of each word: number of its message + 1 */

/* Gives the words of a message from one owner to another, walking from its first word. */
static void hand_over(const struct model *m, unsigned number, uint16_t from, uint16_t to)
{
    for (uint64_t at = 0; at < message[number].bytes; at += 8) {
        uint64_t x = sf_ring_layout_walk(&m->layout, message[number].place, at);
        CHECK(x < m->layout.touched && m->layout.touched <= m->layout.usable && x % 8 == 0);
        CHECK_EQ(from, owner[x / 8]);
        owner[x / 8] = to;
    }
}

/* Fills and drains a layout many times. Sets whether it grew, was spliced, and became plain again without a rewind. */
static void run_history(uint64_t usable, uint64_t enough, bool *grew, bool *was_spliced, bool *plain_again)
{
    struct model m = new_model_with(usable, enough);
    unsigned first = 0, last = 0;
    memset(owner, 0, sizeof owner);
    for (uint64_t step = 0, bias = 0; last < MESSAGES - 1 && step < 12000; step++) {
        if (step % 64 == 0)
            bias = random_below(4);
        if (random_below(4) <= bias && first < last) {
            hand_over(&m, first, (uint16_t)(first + 1), 0);
            drop(&m, message[first++].bytes);
            if (m.head == m.tail && random_below(2)) {
                sf_ring_layout_rewind(&m.layout, &m.base, m.tail);
                if (random_below(2)) /* as if memory had been given back */
                    m.layout.touched = m.layout.soft;
            }
            continue;
        }
        uint64_t bytes = 8 + random_below(random_below(6) ? usable / 50 : usable) / 8 * 8;
        struct model before = m;
        bool fits = m.tail - m.head + bytes <= usable;
        uint64_t room = sf_ring_layout_room(&m.layout, m.base, m.head, m.tail);
        CHECK_EQ(fits, sf_ring_layout_make_room(&m.layout, &m.base, m.head, m.tail, bytes));
        *grew |= m.layout.soft > before.layout.soft;
        *was_spliced |= spliced(&m);
        *plain_again |= spliced(&before) && !spliced(&m);
        if (!fits || (!spliced(&before) && bytes <= room))
            CHECK(same(&before, &m)); /* nothing had to change */
        if (!fits)
            continue;
        message[last].place = place(&m, m.tail);
        message[last].bytes = bytes;
        m.tail += bytes;
        hand_over(&m, last, 0, (uint16_t)(last + 1));
        CHECK_EQ(place(&m, m.tail - 8), sf_ring_layout_walk(&m.layout, message[last].place, bytes - 8));
        CHECK_EQ(message[first].place, place(&m, m.head));
        last++;
    }
    CHECK(first > 1000);
}

/* Room is refused exactly when there is none, no place is given twice, and each word of a message is found from its
 * first as long as it is in flight. */
TEST(room_is_exact_and_no_byte_in_flight_moves_whatever_the_history)
{
    SKIP_UNDER_TSAN("needs minutes for it, and it has one thread");
    static const uint64_t sizes[] = {1024, 1032, 65536, 65544, 70000, 131072, 150000, USABLE};
    bool grew = false, was_spliced = false, plain_again = false;
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (uint64_t part = 1; part <= 8; part *= 2)
            run_history(sizes[i], sizes[i] / part, &grew, &was_spliced, &plain_again);
    CHECK(grew && was_spliced && plain_again);
}

/* Fills a layout to at most `full` bytes, of messages of `bytes` or so, and drains it at another rate. Returns the most
 * that was in flight. */
static uint64_t run_rates(struct model *m, uint64_t bytes, uint64_t full)
{
    uint64_t most = 0, first = 0, last = 0, rate = 0;
    for (uint64_t step = 0; step < 40000 && last < MESSAGES; step++) {
        if (step % 5000 == 0)
            rate = 1 + random_below(9);
        uint64_t next = 8 + random_below(2 * bytes) / 8 * 8;
        if (random_below(10) < rate && m->tail - m->head + next <= full) {
            add(m, message[last++].bytes = next);
        } else if (first < last) {
            drop(m, message[first++].bytes);
            if (m->head == m->tail)
                sf_ring_layout_rewind(&m->layout, &m->base, m->tail);
        }
        most = most > m->tail - m->head ? most : m->tail - m->head;
    }
    return most;
}

TEST(little_more_is_touched_than_twice_what_was_in_flight_whatever_the_history)
{
    enum { ENOUGH = 16 << 20 };
    for (uint64_t bytes = 100; bytes < ENOUGH / 4; bytes *= 3)
        for (int round = 0; round < 20; round++) {
            struct model m = new_model_with(HUGE, ENOUGH);
            uint64_t most = run_rates(&m, bytes, ENOUGH);
            if (most > ENOUGH / 4 && m.layout.touched <= ENOUGH)
                continue;
            if (m.layout.touched > most / 4 * 9 + 2 * FIRST)
                FAIL("%llu touched, %llu in flight", (unsigned long long)m.layout.touched, (unsigned long long)most);
        }
}

TEST(what_the_layout_has_room_for_changes_nothing)
{
    struct model m = new_model(USABLE), before = m;
    CHECK_EQ(FIRST, sf_ring_layout_room(&m.layout, m.base, m.head, m.tail));
    add(&m, FIRST);
    CHECK(same(&before, &m));
    CHECK_EQ(0, sf_ring_layout_room(&m.layout, m.base, m.head, m.tail));
    m = before = gone_round();
    uint64_t room = sf_ring_layout_room(&m.layout, m.base, m.head, m.tail);
    CHECK_EQ(FIRST - 30000, room);
    add(&m, room);
    CHECK(same(&before, &m));
    add(&m, 8);
    CHECK(!same(&before, &m));
}

/* --- repair --- */

/* As if the change from `before` to `after` had ended after so many of its stores: three of the plan, the last of which
 * makes it valid, three copies, and one that drops the plan. */
static struct model cut_off(const struct model *before, const struct model *after, int stores)
{
    struct model m = *before;
    m.layout.plan_base = stores > 0 ? after->base : 1;
    m.layout.plan_splice = stores > 1 ? after->layout.splice : 2;
    m.layout.plan_soft = stores > 2 && stores < 7 ? after->layout.soft : 0;
    m.base = stores > 3 ? after->base : before->base;
    m.layout.soft = stores > 4 ? after->layout.soft : before->layout.soft;
    m.layout.splice = stores > 5 ? after->layout.splice : before->layout.splice;
    return m;
}

static void check_repair(const struct model *before, const struct model *after)
{
    CHECK(!same(before, after));
    for (int stores = 0; stores <= 7; stores++) {
        struct model m = cut_off(before, after, stores);
        for (int again = 0; again < 2; again++) { /* the repairing process may be killed as well */
            sf_ring_layout_repair(&m.layout, &m.base, m.head, m.tail);
            CHECK(same(&m, stores > 2 ? after : before));
            CHECK_EQ(0, m.layout.plan_soft);
        }
        for (uint64_t p = m.head; p < m.tail; p += 8)
            CHECK_EQ(place(before, p), place(&m, p));
    }
}

TEST(a_splice_cut_off_anywhere_is_completed_or_undone)
{
    struct model before = gone_round(), after = before;
    CHECK(sf_ring_layout_make_room(&after.layout, &after.base, after.head, after.tail, 40000));
    CHECK(spliced(&after));
    check_repair(&before, &after);
}

TEST(an_unsplice_cut_off_anywhere_is_completed_or_undone)
{
    struct model before = with_splice(), after;
    add(&before, 50000);
    drop(&before, before.tail - before.head - 50000);
    after = before;
    CHECK(sf_ring_layout_make_room(&after.layout, &after.base, after.head, after.tail, 8));
    CHECK(!spliced(&after));
    check_repair(&before, &after);
}

TEST(a_head_that_moved_without_its_base_is_followed)
{
    struct model m = new_model(SMALL);
    add(&m, 1000);
    drop(&m, 1000);
    add(&m, 1000);
    uint64_t x = place(&m, m.tail);
    m.head = m.tail - 8; /* killed before sf_ring_layout_advance */
    CHECK(m.head - m.base >= SMALL);
    sf_ring_layout_repair(&m.layout, &m.base, m.head, m.tail);
    CHECK(m.head - m.base < SMALL);
    CHECK_EQ(x, place(&m, m.tail));
    CHECK_EQ(x - 8, place(&m, m.head));
}

TEST(with_nothing_in_flight_repair_rewinds)
{
    struct model m = with_splice();
    drop(&m, m.tail - m.head);
    m.layout.splice = SF_RING_LAYOUT_NO_SPLICE; /* a rewind, killed behind its first store */
    sf_ring_layout_repair(&m.layout, &m.base, m.head, m.tail);
    CHECK_EQ(0, place(&m, m.tail));
    CHECK_EQ(0, add(&m, USABLE));
}

TEST_MAIN()
