/* Numbers of signals: the same for the same thing, also when the table has grown. */
#include "harness.h"

#include "signals.h"

TEST(the_same_signal_keeps_its_number_while_the_table_grows)
{
    enum { MANY = 100000 };
    struct signals *s = signals_new();
    for (int64_t i = 0; i < MANY; i++)
        CHECK_EQ(i + 1, signals_number(s, SIGNAL_SENT, i % 7, i));
    for (int64_t i = 0; i < MANY; i++)
        CHECK_EQ(i + 1, signals_number(s, SIGNAL_SENT, i % 7, i));
    CHECK_EQ(MANY, signals_count(s));
    signals_free(s);
}

TEST(type_and_both_arguments_tell_signals_apart)
{
    struct signals *s = signals_new();
    CHECK_EQ(1, signals_number(s, SIGNAL_SENT, 1, 2));
    CHECK_EQ(2, signals_number(s, SIGNAL_TAKEN, 1, 2));
    CHECK_EQ(3, signals_number(s, SIGNAL_SENT, 2, 1));
    CHECK_EQ(4, signals_number(s, SIGNAL_SENT, -1, 2));
    CHECK_EQ(1, signals_number(s, SIGNAL_SENT, 1, 2));
    signals_free(s);
}

TEST_MAIN()
