/* Numbers of dependencies: the same for the same thing, also when the table has grown. */
#include "harness.h"

#include "analyze/dependencies.h"

TEST(the_same_signal_keeps_its_number_while_the_table_grows)
{
    enum { MANY = 100000 };
    struct dependencies *s = dependencies_new();
    for (int64_t i = 0; i < MANY; i++)
        CHECK_EQ(i + 1, dependencies_number(s, DEPENDENCY_SENT, i % 7, i));
    for (int64_t i = 0; i < MANY; i++)
        CHECK_EQ(i + 1, dependencies_number(s, DEPENDENCY_SENT, i % 7, i));
    CHECK_EQ(MANY, dependencies_count(s));
    dependencies_free(s);
}

TEST(type_and_both_arguments_tell_signals_apart)
{
    struct dependencies *s = dependencies_new();
    CHECK_EQ(1, dependencies_number(s, DEPENDENCY_SENT, 1, 2));
    CHECK_EQ(2, dependencies_number(s, DEPENDENCY_TAKEN, 1, 2));
    CHECK_EQ(3, dependencies_number(s, DEPENDENCY_SENT, 2, 1));
    CHECK_EQ(4, dependencies_number(s, DEPENDENCY_SENT, -1, 2));
    CHECK_EQ(1, dependencies_number(s, DEPENDENCY_SENT, 1, 2));
    dependencies_free(s);
}

TEST_MAIN()
