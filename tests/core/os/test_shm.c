/* Shared memory, and private memory that is about to be filled. */
#include "core/os/shm.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "harness.h"

#define MIB ((size_t)1 << 20)

static unsigned char *fresh(size_t bytes)
{
    unsigned char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

static size_t resident(unsigned char *memory, size_t bytes)
{
    unsigned char pages[MIB / 4096];
    size_t count = 0;
    CHECK_EQ(0, mincore(memory, bytes, pages));
    for (size_t i = 0; i < bytes / 4096; i++)
        count += pages[i] & 1;
    return count;
}

TEST(what_one_process_writes_into_shared_memory_another_reads)
{
    void *memory;
    CHECK_EQ(0, sf_shm_map(&memory, MIB));
    pid_t child = fork();
    if (child == 0) {
        memset(memory, 7, MIB);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    CHECK_EQ(7, ((unsigned char *)memory)[MIB - 1]);
    sf_shm_unmap(memory, MIB);
}

TEST(fresh_memory_that_is_about_to_be_filled_gets_its_pages_at_once)
{
    unsigned char *memory = fresh(MIB);
    if (madvise(memory, 4096, 23) && errno == EINVAL)
        SKIP("this kernel has no MADV_POPULATE_WRITE");
    sf_shm_will_fill(memory + 32, MIB - 64);
    CHECK_EQ(MIB / 4096, resident(memory, MIB));
}

TEST(memory_that_is_about_to_be_filled_again_keeps_its_content)
{
    unsigned char *memory = fresh(MIB);
    memset(memory, 7, MIB);
    sf_shm_will_fill(memory + 32, MIB - 64);
    for (size_t i = 0; i < MIB; i++)
        if (memory[i] != 7)
            FAIL("byte %zu is %d", i, memory[i]);
}

TEST(small_memory_is_left_as_it_is)
{
    unsigned char *memory = fresh(MIB);
    sf_shm_will_fill(memory, 65536);
    CHECK_EQ(0, resident(memory, MIB));
}

TEST(reserved_pages_are_there_and_keep_what_was_written)
{
    unsigned char *memory;
    CHECK_EQ(0, sf_shm_map((void **)&memory, MIB));
    memory[5] = 7;
    int error = sf_shm_reserve(memory, MIB / 2);
    if (error == -EINVAL)
        SKIP("this kernel has no MADV_POPULATE_WRITE");
    CHECK_EQ(0, error);
    CHECK_EQ(MIB / 2 / 4096, resident(memory, MIB));
    CHECK_EQ(7, memory[5]);
    sf_shm_unmap(memory, MIB);
}

TEST_MAIN()
