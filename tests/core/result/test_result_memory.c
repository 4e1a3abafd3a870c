#include "core/result/result_memory.h"
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define MIB ((uint64_t)1 << 20)
#define PAGE 4096
#define HEADER 64

static struct sf_result_memory memory;
static char *data, *got; /* never freed */

static char byte_of(uint64_t i)
{
    return (char)(i * 31 + (i >> 11) + (i >> 20) * 7 + 1);
}

/* `bytes` bytes that tell their places, from memory that the case never frees. */
static char *pattern(uint64_t bytes)
{
    char *bytes_of = malloc(bytes + 1);
    CHECK(bytes_of);
    for (uint64_t i = 0; i < bytes; i++)
        bytes_of[i] = byte_of(i);
    return bytes_of;
}

static void check_pattern(const char *read, uint64_t from, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i++)
        if (read[i] != byte_of(from + i))
            FAIL("byte %llu is wrong", (unsigned long long)(from + i));
}

static struct sf_result_part part(uint32_t tag, uint64_t bytes, const struct iovec *pieces, int count)
{
    return (struct sf_result_part){.tag = tag, .bytes = bytes, .pieces = pieces, .count = count};
}

/* Writes one part, or two. 0 or -errno. */
static int write_parts(uint32_t tag, const char *first, uint64_t first_bytes, const char *second, uint64_t second_bytes)
{
    struct iovec one[] = {{(void *)first, first_bytes / 3},
                          {(void *)(first + first_bytes / 3), first_bytes - first_bytes / 3}},
                 two = {(void *)second, second_bytes};
    struct sf_result_part parts[SF_RESULT_MEMORY_PARTS] = {part(tag, first_bytes, one, 2), part(0, 0, NULL, 0)};
    if (second)
        parts[1] = part(tag + 1, second_bytes, &two, 1);
    return sf_result_memory_write(&memory, parts);
}

/* The same in a child, which exits with 0 or errno. */
static void write_in_child(const char *first, uint64_t first_bytes, const char *second, uint64_t second_bytes)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(-write_parts(1, first, first_bytes, second, second_bytes));
    CHECK_EQ(child, waitpid(child, &status, 0));
    CHECK_EQ(0, status);
}

static struct sf_result_part read_parts[SF_RESULT_MEMORY_PARTS];

/* Takes a part from its byte `from` on. 0, or -errno with *from where it came to. */
static int take(int which, uint64_t *from, char *to)
{
    CHECK_EQ(0, sf_result_memory_parts(&memory, read_parts));
    for (; *from < read_parts[which].bytes;) {
        int64_t taken = sf_result_memory_take(&memory, read_parts[which].offset + *from,
                                              read_parts[which].bytes - *from, to + *from);
        if (taken < 0)
            return (int)taken;
        CHECK(taken > 0);
        *from += (uint64_t)taken;
    }
    return 0;
}

/* The same, from its beginning to its end. */
static void take_all(int which, char *to)
{
    uint64_t from = 0;
    CHECK_EQ(0, take(which, &from, to));
}

static void map(void)
{
    CHECK_EQ(0, sf_result_memory_map(&memory));
}

static int descriptors(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

/* How many of the first `bytes` bytes have memory. */
static uint64_t resident(uint64_t bytes)
{
    uint64_t pages = bytes / PAGE, have = 0;
    unsigned char *state = malloc(pages);
    void *all = mremap(memory.page, 0, bytes, MREMAP_MAYMOVE);
    CHECK(all != MAP_FAILED && state);
    CHECK_EQ(0, mincore(all, bytes, state));
    for (uint64_t i = 0; i < pages; i++)
        have += state[i] & 1;
    munmap(all, bytes);
    free(state);
    return have * PAGE;
}

static void limit_to(int resource, uint64_t bytes)
{
    struct rlimit limit;
    CHECK_EQ(0, getrlimit((__rlimit_resource_t)resource, &limit));
    limit.rlim_cur = bytes;
    CHECK_EQ(0, setrlimit((__rlimit_resource_t)resource, &limit));
}

static uint64_t address_space(void)
{
    unsigned long pages;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    return pages * PAGE;
}

TEST(what_a_child_wrote_is_taken_after_its_death)
{
    struct sf_result_part read[SF_RESULT_MEMORY_PARTS];
    char text[6];
    map();
    write_in_child("result", 6, NULL, 0);
    CHECK_EQ(0, sf_result_memory_parts(&memory, read));
    CHECK_EQ(1, read[0].tag);
    CHECK_EQ(6, read[0].bytes);
    CHECK_EQ(0, read[1].tag);
    take_all(0, text);
    CHECK_EQ(0, memcmp(text, "result", 6));
    sf_result_memory_unmap(&memory);
    CHECK(!memory.page);
    sf_result_memory_unmap(&memory); /* does nothing */
}

TEST(both_parts_come_back_each_with_its_tag_and_its_head)
{
    struct sf_result_part read[SF_RESULT_MEMORY_PARTS];
    char text[20] = "";
    uint64_t head;
    map();
    struct iovec whole = {"eight by and more", 17};
    struct sf_result_part parts[SF_RESULT_MEMORY_PARTS] = {part(7, 17, &whole, 1), part(8, 17, &whole, 1)};
    CHECK_EQ(0, sf_result_memory_write(&memory, parts));
    CHECK_EQ(0, sf_result_memory_parts(&memory, read));
    for (int i = 0; i < 2; i++) {
        memcpy(&head, "eight by", 8);
        CHECK_EQ(7 + i, read[i].tag);
        CHECK_EQ(head, read[i].head);
        take_all(i, text);
        CHECK(strcmp(text, "eight by and more") == 0);
        memset(text, 0, sizeof text);
    }
}

TEST(large_parts_of_any_size_arrive_whole)
{
    static const uint64_t sizes[] = {PAGE - HEADER,    PAGE - HEADER + 1,    PAGE,
                                     MIB - HEADER,     MIB - HEADER + 1,     MIB + 1,
                                     2 * MIB - HEADER, 2 * MIB - HEADER - 2, 5 * MIB + 12345};
    data = pattern(6 * MIB);
    got = malloc(6 * MIB);
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (unsigned j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            map();
            CHECK_EQ(0, write_parts(1, data, sizes[i], data, sizes[j]));
            take_all(0, got);
            check_pattern(got, 0, sizes[i]);
            take_all(1, got);
            check_pattern(got, 0, sizes[j]);
            sf_result_memory_unmap(&memory);
        }
}

TEST(one_that_was_not_written_is_empty)
{
    struct sf_result_part read[SF_RESULT_MEMORY_PARTS];
    map();
    CHECK_EQ(-ENODATA, sf_result_memory_parts(&memory, read));
}

TEST(writing_again_replaces_what_was_there)
{
    struct sf_result_part read[SF_RESULT_MEMORY_PARTS];
    map();
    CHECK_EQ(0, write_parts(1, "a long first one", 16, "x", 1));
    CHECK_EQ(0, write_parts(2, "b", 1, NULL, 0));
    CHECK_EQ(0, sf_result_memory_parts(&memory, read));
    CHECK_EQ(2, read[0].tag);
    CHECK_EQ(1, read[0].bytes);
    CHECK_EQ(0, read[1].tag);
}

TEST(a_writer_killed_half_way_leaves_an_empty_one_whose_memory_is_freed_for_all)
{
    data = pattern(64 * MIB);
    for (int trial = 0; trial < 8; trial++) {
        struct sf_result_part read[SF_RESULT_MEMORY_PARTS];
        map();
        pid_t child = fork();
        if (child == 0) {
            write_parts(1, data, 64 * MIB, NULL, 0);
            _exit(0);
        }
        while (resident(16 * MIB) < MIB) { /* it has begun */
        }
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        int error = sf_result_memory_parts(&memory, read);
        CHECK(error == -ENODATA || (error == 0 && resident(64 * MIB) == 64 * MIB));
        CHECK(resident(64 * MIB) >= MIB);
        struct sf_result_memory copy = memory; /* what another process, forked meanwhile, has mapped */
        copy.page = mremap(memory.page, 0, PAGE, MREMAP_MAYMOVE);
        sf_result_memory_unmap(&memory);
        memory = copy;
        CHECK(resident(64 * MIB) <= PAGE);
        munmap(copy.page, PAGE);
    }
}

TEST(memory_is_freed_while_it_is_taken)
{
    data = pattern(32 * MIB);
    got = malloc(32 * MIB);
    map();
    CHECK_EQ(0, write_parts(1, data, 16 * MIB, data, 16 * MIB));
    CHECK(resident(32 * MIB) == 32 * MIB);
    take_all(0, got);
    CHECK(resident(32 * MIB) <= 17 * MIB);
    take_all(1, got);
    CHECK(resident(32 * MIB) <= 2 * MIB);
    check_pattern(got, 0, 16 * MIB);
}

TEST(another_process_does_not_free_the_memory)
{
    data = pattern(8 * MIB);
    got = malloc(8 * MIB);
    map();
    write_in_child(data, 8 * MIB, NULL, 0);
    pid_t child = fork();
    if (child == 0) {
        sf_result_memory_unmap(&memory);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    take_all(0, got);
    check_pattern(got, 0, 8 * MIB);
}

/* What os.closerange and every daemon do. */
TEST(it_keeps_no_descriptor_and_needs_none)
{
    int before = descriptors(), status;
    char text[3];
    map();
    CHECK_EQ(before, descriptors());
    pid_t child = fork();
    if (child == 0) {
        for (int fd = 3; fd < 64; fd++)
            close(fd);
        for (int fd = 3; fd < 64; fd++)
            memfd_create("the program's", 0);
        int error = write_parts(1, "one", 3, NULL, 0);
        for (int fd = 3; fd < 64; fd++)
            if (lseek(fd, 0, SEEK_END) != 0)
                _exit(99);
        _exit(-error);
    }
    waitpid(child, &status, 0);
    CHECK_EQ(0, status);
    take_all(0, text);
    CHECK_EQ(0, memcmp(text, "one", 3));
}

TEST(under_a_limit_of_file_sizes_what_is_larger_is_an_error_and_not_a_signal)
{
    static char large[1 << 20];
    struct sf_result_part read[SF_RESULT_MEMORY_PARTS];
    limit_to(RLIMIT_FSIZE, 100000);
    map();
    CHECK_EQ(24 * PAGE, memory.room);
    CHECK_EQ(-EFBIG, write_parts(1, large, sizeof large, NULL, 0));
    CHECK_EQ(-ENODATA, sf_result_memory_parts(&memory, read));
    CHECK_EQ(0, write_parts(1, large, 90000, NULL, 0));
    CHECK_EQ(0, sf_result_memory_parts(&memory, read));
    take_all(0, large);
    CHECK_EQ(0, write_parts(1, large, 24 * PAGE - HEADER, NULL, 0)); /* to its last byte */
    CHECK_EQ(-EFBIG, write_parts(1, large, 24 * PAGE - HEADER + 1, NULL, 0));
}

TEST(without_any_file_size_a_page_is_left)
{
    char large[PAGE] = "", text[6];
    limit_to(RLIMIT_FSIZE, 0);
    map();
    CHECK_EQ(PAGE, memory.room);
    CHECK_EQ(-EFBIG, write_parts(1, large, sizeof large, NULL, 0));
    write_in_child("result", 6, NULL, 0);
    take_all(0, text);
    CHECK_EQ(0, memcmp(text, "result", 6));
}

TEST(it_takes_little_address_space_besides_the_result)
{
    data = pattern(64 * MIB);
    got = malloc(64 * MIB);
    map();
    limit_to(RLIMIT_AS, address_space() + 4 * MIB);
    CHECK_EQ(0, write_parts(1, data, 64 * MIB, NULL, 0));
    take_all(0, got);
    check_pattern(got, 0, 64 * MIB);
}

TEST(without_address_space_writing_fails_and_a_small_result_still_arrives)
{
    SKIP_UNDER_TSAN("needs address space of its own");
    data = pattern(8 * MIB);
    char text[6];
    struct sf_result_part read[SF_RESULT_MEMORY_PARTS];
    map();
    limit_to(RLIMIT_AS, address_space());
    CHECK_EQ(-ENOMEM, write_parts(1, data, 8 * MIB, NULL, 0));
    CHECK_EQ(-ENODATA, sf_result_memory_parts(&memory, read));
    CHECK_EQ(0, write_parts(1, "result", 6, NULL, 0));
    take_all(0, text);
    CHECK_EQ(0, memcmp(text, "result", 6));
    limit_to(RLIMIT_AS, RLIM_INFINITY); /* AddressSanitizer needs some at the end of the process */
}

TEST(a_take_without_address_space_goes_on_where_it_came_to)
{
    data = pattern(8 * MIB);
    got = calloc(8 * MIB, 1);
    map();
    CHECK_EQ(0, write_parts(1, data, 2 * MIB + 12345, data, 4 * MIB));
    for (int which = 0; which < 2; which++) { /* the second has a window already, and comes to its end */
        uint64_t from = 0;
        memset(got, 0, 8 * MIB);
        limit_to(RLIMIT_AS, address_space());
        CHECK_EQ(-ENOMEM, take(which, &from, got));
        CHECK((from > 0) == (which == 1));
        limit_to(RLIMIT_AS, RLIM_INFINITY);
        CHECK_EQ(0, take(which, &from, got));
        check_pattern(got, 0, read_parts[which].bytes);
    }
}

TEST(a_header_with_any_bit_changed_counts_as_empty)
{
    struct sf_result_part read[SF_RESULT_MEMORY_PARTS];
    map();
    CHECK_EQ(0, write_parts(1, "result", 6, "extracted", 9));
    uint8_t *header = (uint8_t *)memory.page;
    for (int bit = 0; bit < 8 * HEADER; bit++) {
        header[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK_EQ(-ENODATA, sf_result_memory_parts(&memory, read));
        header[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    CHECK_EQ(0, sf_result_memory_parts(&memory, read));
}

TEST(garbage_counts_as_empty_and_can_be_unmapped)
{
    struct sf_result_part read[SF_RESULT_MEMORY_PARTS];
    unsigned seed = 7;
    for (int trial = 0; trial < 20000; trial++) {
        map();
        for (int i = 0; i < HEADER; i++)
            ((uint8_t *)memory.page)[i] = (uint8_t)(trial % 3 ? rand_r(&seed) >> 7 : rand_r(&seed) >> 7 & 1);
        CHECK_EQ(-ENODATA, sf_result_memory_parts(&memory, read));
        sf_result_memory_unmap(&memory);
    }
}

/* The kernel answers madvise with this error when it is asked to reserve or to map pages, from now on. */
static void refuse_to_populate(int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 22, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 23, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        SKIP("no seccomp here");
}

TEST(it_works_on_kernels_that_cannot_reserve_pages)
{
    data = pattern(5 * MIB);
    got = malloc(5 * MIB);
    refuse_to_populate(EINVAL);
    map();
    CHECK_EQ(0, write_parts(1, data, 5 * MIB, NULL, 0));
    take_all(0, got);
    check_pattern(got, 0, 5 * MIB);
}

TEST(pages_that_cannot_be_reserved_are_an_error)
{
    data = pattern(5 * MIB);
    struct sf_result_part read[SF_RESULT_MEMORY_PARTS];
    map(); /* which reserves the first page */
    refuse_to_populate(EFAULT);
    CHECK_EQ(-ENOMEM, write_parts(1, data, 5 * MIB, NULL, 0));
    CHECK_EQ(-ENODATA, sf_result_memory_parts(&memory, read));
    CHECK_EQ(0, write_parts(1, "result", 6, NULL, 0));
}

TEST_MAIN()
