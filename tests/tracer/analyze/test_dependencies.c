/* Numbers of dependencies: the same for the same thing, also when the table has grown. */
#include "harness.h"

#include "analyze/dependencies.h"

TEST(the_same_dependency_keeps_its_number_while_the_table_grows)
{
    enum { MANY = 100000 };
    struct dependencies *d = dependencies_new();
    for (int64_t i = 0; i < MANY; i++)
        CHECK_EQ(i + 1, dependencies_number(d, DEPENDENCY_MESSAGE, i % 7, i));
    for (int64_t i = 0; i < MANY; i++)
        CHECK_EQ(i + 1, dependencies_number(d, DEPENDENCY_MESSAGE, i % 7, i));
    CHECK_EQ(MANY, dependencies_count(d));
    dependencies_free(d);
}

TEST(type_and_both_arguments_tell_dependencies_apart)
{
    struct dependencies *d = dependencies_new();
    CHECK_EQ(1, dependencies_number(d, DEPENDENCY_MESSAGE, 1, 2));
    CHECK_EQ(2, dependencies_number(d, DEPENDENCY_ROOM, 1, 2));
    CHECK_EQ(3, dependencies_number(d, DEPENDENCY_MESSAGE, 2, 1));
    CHECK_EQ(4, dependencies_number(d, DEPENDENCY_MESSAGE, -1, 2));
    CHECK_EQ(1, dependencies_number(d, DEPENDENCY_MESSAGE, 1, 2));
    dependencies_free(d);
}

/* So many that they lie close together in the table, where one is looked for past the others. */
TEST(the_same_arguments_of_other_types_are_other_dependencies)
{
    struct dependencies *d = dependencies_new();
    uint32_t wanted = 0;
    for (int64_t a = 0; a < 100; a++)
        for (int type = DEPENDENCY_MESSAGE; type <= DEPENDENCY_CHILD_END; type++)
            CHECK_EQ(++wanted, dependencies_number(d, (enum dependency_type)type, a, 0));
    dependencies_free(d);
}

TEST_MAIN()
