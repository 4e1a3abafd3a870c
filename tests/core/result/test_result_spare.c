#include "core/result/result_spare.h"
#include "harness.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define PAGE 4096

/* Writes so many bytes as one part. 0 or -errno. */
static int write_bytes(struct sf_result_memory *memory, uint64_t bytes)
{
    static char text[4 * PAGE];
    struct iovec piece = {text, bytes};
    struct sf_result_part parts[SF_RESULT_MEMORY_PARTS] = {{.tag = 1, .bytes = bytes, .pieces = &piece, .count = 1}};
    return sf_result_memory_write(memory, parts);
}

static void write_in_child(struct sf_result_memory *memory, uint64_t bytes)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(write_bytes(memory, bytes) ? 1 : 0);
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

TEST(a_small_result_leaves_its_memory_for_the_next_one_which_is_empty)
{
    struct sf_result_memory first, second;
    struct sf_result_part parts[SF_RESULT_MEMORY_PARTS];
    CHECK_EQ(0, sf_result_spare_take(&first));
    void *page = first.page;
    write_in_child(&first, 100);
    CHECK_EQ(0, sf_result_memory_parts(&first, parts));
    sf_result_spare_give(&first);
    CHECK(!first.page);
    CHECK_EQ(0, sf_result_spare_take(&second));
    CHECK(second.page == page);
    CHECK_EQ(-ENODATA, sf_result_memory_parts(&second, parts));
    write_in_child(&second, 50);
    CHECK_EQ(0, sf_result_memory_parts(&second, parts));
    CHECK_EQ(50, parts[0].bytes);
    sf_result_memory_unmap(&second);
}

TEST(a_large_result_leaves_none)
{
    struct sf_result_memory first, second;
    CHECK_EQ(0, sf_result_spare_take(&first));
    write_in_child(&first, 2 * PAGE);
    sf_result_spare_give(&first);
    CHECK(!first.page);
    CHECK_EQ(0, sf_result_spare_take(&second));
    CHECK(!second.window);
    sf_result_memory_unmap(&second);
}

TEST(one_is_kept_and_two_that_are_used_at_a_time_differ)
{
    struct sf_result_memory first, second, third;
    CHECK_EQ(0, sf_result_spare_take(&first));
    CHECK_EQ(0, sf_result_spare_take(&second));
    CHECK(first.page != second.page);
    void *page = first.page;
    sf_result_spare_give(&first);
    sf_result_spare_give(&second);
    CHECK_EQ(0, sf_result_spare_take(&first));
    CHECK_EQ(0, sf_result_spare_take(&third));
    CHECK(first.page == page && third.page != page);
    sf_result_memory_unmap(&first);
    sf_result_memory_unmap(&third);
}

TEST(a_limit_of_file_sizes_that_has_changed_holds_for_the_next_one)
{
    struct sf_result_memory memory;
    struct rlimit limit = {3 * PAGE, RLIM_INFINITY};
    CHECK_EQ(0, sf_result_spare_take(&memory));
    sf_result_spare_give(&memory);
    CHECK_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
    CHECK_EQ(0, sf_result_spare_take(&memory));
    CHECK_EQ(3 * PAGE, memory.room);
    sf_result_memory_unmap(&memory);
}

TEST(a_forked_process_uses_none_of_its_parents)
{
    struct sf_result_memory memory;
    int status;
    CHECK_EQ(0, sf_result_spare_take(&memory));
    void *page = memory.page;
    sf_result_spare_give(&memory);
    pid_t child = fork();
    if (child == 0) {
        if (sf_result_spare_take(&memory) || write_bytes(&memory, 200))
            _exit(1);
        _exit(memory.owner == getpid() ? 0 : 2);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK_EQ(0, sf_result_spare_take(&memory));
    CHECK(memory.page == page);
    struct sf_result_part parts[SF_RESULT_MEMORY_PARTS];
    CHECK_EQ(-ENODATA, sf_result_memory_parts(&memory, parts)); /* the child has written into another one */
    sf_result_memory_unmap(&memory);
}

TEST_MAIN()
