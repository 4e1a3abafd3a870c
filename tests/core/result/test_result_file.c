#include "core/result/result_file.h"
#include "harness.h"

#include <errno.h>
#include <sys/resource.h>

static struct sf_result_file_part part(uint32_t tag, const void *data, uint64_t bytes)
{
    return (struct sf_result_file_part){tag, bytes, data};
}

TEST(what_a_child_wrote_is_read_after_its_death)
{
    int fd = sf_result_file_open();
    CHECK(fd >= 0);
    pid_t child = fork();
    if (child == 0) {
        struct sf_result_file_part parts[SF_RESULT_FILE_PARTS] = {part(3, "result", 6), part(0, NULL, 0)};
        _exit(sf_result_file_write(fd, parts) != 0);
    }
    int status;
    CHECK_EQ(child, waitpid(child, &status, 0));
    CHECK_EQ(0, status);
    struct sf_result_file_part read[SF_RESULT_FILE_PARTS];
    char text[6];
    CHECK_EQ(0, sf_result_file_read_parts(fd, read));
    CHECK_EQ(3, read[0].tag);
    CHECK_EQ(6, read[0].bytes);
    CHECK_EQ(0, read[1].tag);
    CHECK_EQ(0, sf_result_file_read(fd, read, 0, text));
    CHECK_EQ(0, memcmp(text, "result", 6));
}

TEST(both_parts_come_back_each_with_its_own_bytes)
{
    int fd = sf_result_file_open();
    struct sf_result_file_part parts[SF_RESULT_FILE_PARTS] = {part(1, "one", 3), part(2, "second", 6)},
                               read[SF_RESULT_FILE_PARTS];
    char text[6];
    CHECK_EQ(0, sf_result_file_write(fd, parts));
    CHECK_EQ(0, sf_result_file_read_parts(fd, read));
    CHECK_EQ(2, read[1].tag);
    CHECK_EQ(0, sf_result_file_read(fd, read, 1, text));
    CHECK_EQ(0, memcmp(text, "second", 6));
}

TEST(a_result_file_that_was_not_written_is_empty)
{
    struct sf_result_file_part read[SF_RESULT_FILE_PARTS];
    CHECK_EQ(-ENODATA, sf_result_file_read_parts(sf_result_file_open(), read));
}

TEST(a_writer_killed_half_way_leaves_an_empty_result_file)
{
    static char large[64 << 20];
    for (int trial = 0; trial < 8; trial++) {
        int fd = sf_result_file_open();
        pid_t child = fork();
        if (child == 0) {
            struct sf_result_file_part parts[SF_RESULT_FILE_PARTS] = {part(1, large, sizeof large), part(0, NULL, 0)};
            sf_result_file_write(fd, parts);
            _exit(0);
        }
        while (lseek(fd, 0, SEEK_END) < 1 << 20) { /* it has begun */
        }
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        struct sf_result_file_part read[SF_RESULT_FILE_PARTS];
        int got = sf_result_file_read_parts(fd, read);
        CHECK(got == -ENODATA || (got == 0 && lseek(fd, 0, SEEK_END) >= (off_t)sizeof large));
        close(fd);
    }
}

TEST(writing_again_replaces_what_was_there)
{
    int fd = sf_result_file_open();
    struct sf_result_file_part first[SF_RESULT_FILE_PARTS] = {part(1, "a long first one", 16), part(1, "x", 1)};
    struct sf_result_file_part second[SF_RESULT_FILE_PARTS] = {part(2, "b", 1), part(0, NULL, 0)},
                               read[SF_RESULT_FILE_PARTS];
    CHECK_EQ(0, sf_result_file_write(fd, first));
    CHECK_EQ(0, sf_result_file_write(fd, second));
    CHECK_EQ(0, sf_result_file_read_parts(fd, read));
    CHECK_EQ(2, read[0].tag);
    CHECK_EQ(1, read[0].bytes);
    CHECK_EQ(0, read[1].tag);
}

TEST(no_room_is_an_error_and_not_a_signal)
{
    static char large[1 << 20];
    struct rlimit limit = {1 << 16, 1 << 16};
    int fd = sf_result_file_open();
    struct sf_result_file_part parts[SF_RESULT_FILE_PARTS] = {part(1, large, sizeof large), part(0, NULL, 0)};
    signal(SIGXFSZ, SIG_IGN);
    CHECK_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
    CHECK_EQ(-EFBIG, sf_result_file_write(fd, parts));
    struct sf_result_file_part read[SF_RESULT_FILE_PARTS];
    CHECK_EQ(-ENODATA, sf_result_file_read_parts(fd, read));
}

TEST_MAIN()
