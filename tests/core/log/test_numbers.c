/* A table from keys of two words to numbers: against an array that is searched from end to end. */
#include "core/log/numbers.h"

#include "harness.h"

TEST(a_key_keeps_its_number_and_a_new_one_has_none)
{
    enum { KEYS = 5000 };
    struct sf_numbers numbers = {0};
    for (int round = 0; round < 2; round++)
        for (uint64_t i = 0; i < KEYS; i++) { /* keys that share one word or the other, and the low bits */
            struct sf_numbers_entry *entry = sf_numbers_at(&numbers, i % 50 << 12, i / 50 << 2);
            CHECK(entry != NULL);
            CHECK_EQ(round ? i + 1 : 0, entry->number);
            entry->number = (uint32_t)i + 1;
        }
    CHECK_EQ(KEYS, numbers.used);
    sf_numbers_clear(&numbers);
    CHECK_EQ(0, sf_numbers_at(&numbers, 0, 0)->number);
    sf_numbers_clear(&numbers);
}

TEST_MAIN()
