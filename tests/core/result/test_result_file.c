#include "core/result/result_file.h"
#include "harness.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

static struct sf_result_file_part part(uint32_t tag, const void *data, uint64_t bytes)
{
    return (struct sf_result_file_part){tag, bytes, data};
}

TEST(what_a_child_wrote_is_read_after_its_death)
{
    struct sf_own_fd file;
    CHECK_EQ(0, sf_result_file_open(&file));
    pid_t child = fork();
    if (child == 0) {
        struct sf_result_file_part parts[SF_RESULT_FILE_PARTS] = {part(3, "result", 6), part(0, NULL, 0)};
        _exit(sf_result_file_write(&file, parts) != 0);
    }
    int status;
    CHECK_EQ(child, waitpid(child, &status, 0));
    CHECK_EQ(0, status);
    struct sf_result_file_part read[SF_RESULT_FILE_PARTS];
    char text[6];
    CHECK_EQ(0, sf_result_file_read_parts(&file, read));
    CHECK_EQ(3, read[0].tag);
    CHECK_EQ(6, read[0].bytes);
    CHECK_EQ(0, read[1].tag);
    CHECK_EQ(0, sf_result_file_read(&file, read, 0, text));
    CHECK_EQ(0, memcmp(text, "result", 6));
}

TEST(both_parts_come_back_each_with_its_own_bytes)
{
    struct sf_own_fd file;
    CHECK_EQ(0, sf_result_file_open(&file));
    struct sf_result_file_part parts[SF_RESULT_FILE_PARTS] = {part(1, "one", 3), part(2, "second", 6)},
                               read[SF_RESULT_FILE_PARTS];
    char text[6];
    CHECK_EQ(0, sf_result_file_write(&file, parts));
    CHECK_EQ(0, sf_result_file_read_parts(&file, read));
    CHECK_EQ(2, read[1].tag);
    CHECK_EQ(0, sf_result_file_read(&file, read, 1, text));
    CHECK_EQ(0, memcmp(text, "second", 6));
}

TEST(a_result_file_that_was_not_written_is_empty)
{
    struct sf_result_file_part read[SF_RESULT_FILE_PARTS];
    struct sf_own_fd file;
    CHECK_EQ(0, sf_result_file_open(&file));
    CHECK_EQ(-ENODATA, sf_result_file_read_parts(&file, read));
}

TEST(a_writer_killed_half_way_leaves_an_empty_result_file)
{
    static char large[64 << 20];
    for (int trial = 0; trial < 8; trial++) {
        struct sf_own_fd file;
        CHECK_EQ(0, sf_result_file_open(&file));
        pid_t child = fork();
        if (child == 0) {
            struct sf_result_file_part parts[SF_RESULT_FILE_PARTS] = {part(1, large, sizeof large), part(0, NULL, 0)};
            sf_result_file_write(&file, parts);
            _exit(0);
        }
        while (lseek(file.fd, 0, SEEK_END) < 1 << 20) { /* it has begun */
        }
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        struct sf_result_file_part read[SF_RESULT_FILE_PARTS];
        int got = sf_result_file_read_parts(&file, read);
        CHECK(got == -ENODATA || (got == 0 && lseek(file.fd, 0, SEEK_END) >= (off_t)sizeof large));
        sf_own_fd_close(&file);
    }
}

TEST(writing_again_replaces_what_was_there)
{
    struct sf_own_fd file;
    CHECK_EQ(0, sf_result_file_open(&file));
    struct sf_result_file_part first[SF_RESULT_FILE_PARTS] = {part(1, "a long first one", 16), part(1, "x", 1)};
    struct sf_result_file_part second[SF_RESULT_FILE_PARTS] = {part(2, "b", 1), part(0, NULL, 0)},
                               read[SF_RESULT_FILE_PARTS];
    CHECK_EQ(0, sf_result_file_write(&file, first));
    CHECK_EQ(0, sf_result_file_write(&file, second));
    CHECK_EQ(0, sf_result_file_read_parts(&file, read));
    CHECK_EQ(2, read[0].tag);
    CHECK_EQ(1, read[0].bytes);
    CHECK_EQ(0, read[1].tag);
}

TEST(no_room_is_an_error_and_not_a_signal)
{
    static char large[1 << 20];
    struct rlimit limit = {1 << 16, 1 << 16};
    struct sf_own_fd file;
    CHECK_EQ(0, sf_result_file_open(&file));
    struct sf_result_file_part parts[SF_RESULT_FILE_PARTS] = {part(1, large, sizeof large), part(0, NULL, 0)};
    signal(SIGXFSZ, SIG_IGN);
    CHECK_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
    CHECK_EQ(-EFBIG, sf_result_file_write(&file, parts));
    struct sf_result_file_part read[SF_RESULT_FILE_PARTS];
    CHECK_EQ(-ENODATA, sf_result_file_read_parts(&file, read));
}

/* What os.closerange and every daemon do. */
TEST(a_descriptor_that_has_become_another_file_is_left_alone)
{
    struct sf_own_fd file;
    struct sf_result_file_part parts[SF_RESULT_FILE_PARTS] = {part(1, "one", 3), part(0, NULL, 0)},
                               read[SF_RESULT_FILE_PARTS];
    char text[4] = "";
    CHECK_EQ(0, sf_result_file_open(&file));
    int other = memfd_create("the program's", 0), fd = file.fd;
    CHECK_EQ(3, pwrite(other, "its", 3, 0));
    CHECK_EQ(fd, dup2(other, fd));
    CHECK_EQ(-EBADF, sf_result_file_write(&file, parts));
    CHECK_EQ(-EBADF, sf_result_file_read_parts(&file, read));
    CHECK_EQ(-EBADF, sf_result_file_read(&file, parts, 0, text));
    sf_result_file_empty(&file);
    sf_own_fd_close(&file);
    CHECK_EQ(3, pread(fd, text, 3, 0)); /* still open, and as it was */
    CHECK(strcmp(text, "its") == 0);
}

TEST(a_descriptor_that_is_closed_is_told)
{
    struct sf_own_fd file;
    struct sf_result_file_part read[SF_RESULT_FILE_PARTS];
    CHECK_EQ(0, sf_result_file_open(&file));
    close(file.fd);
    CHECK_EQ(-EBADF, sf_result_file_read_parts(&file, read));
    sf_own_fd_close(&file);
    CHECK_EQ(-1, file.fd);
}

TEST_MAIN()
