/* A table from keys of two words to numbers: against an array that is searched from end to end. */
#include "core/log/numbers.h"

#include "harness.h"

TEST(a_key_keeps_its_number_and_a_new_one_has_none)
{
    enum { KEYS = 5000 };
    struct sf_numbers numbers = {0};
    for (int round = 0; round < 2; round++)
        for (uint64_t i = 0; i < KEYS; i++) { /* keys that share one word or the other, and the low bits */
            uint64_t a = i % 50 << 12, b = i / 50 << 2;
            const struct sf_numbers_entry *known = sf_numbers_find(&numbers, a, b);
            CHECK_EQ(round ? i + 1 : 0, known ? known->number : 0);
            CHECK_EQ(round ? 7 : 0, known ? known->era : 0);
            CHECK_EQ(0, sf_numbers_set(&numbers, a, b, (uint32_t)i + 1, 7));
        }
    CHECK_EQ(KEYS, numbers.used);
    sf_numbers_clear(&numbers);
    CHECK(sf_numbers_find(&numbers, 0, 0) == NULL);
}

TEST(a_key_may_get_another_number)
{
    struct sf_numbers numbers = {0};
    CHECK_EQ(0, sf_numbers_set(&numbers, 1, 2, 3, 0));
    CHECK_EQ(0, sf_numbers_set(&numbers, 1, 2, 4, 5));
    CHECK_EQ(4, sf_numbers_find(&numbers, 1, 2)->number);
    CHECK_EQ(5, sf_numbers_find(&numbers, 1, 2)->era);
    CHECK_EQ(1, numbers.used);
    sf_numbers_clear(&numbers);
}

TEST_MAIN()
