#include "core/result/buffer_file.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define BYTES (UINT64_C(3) << 20)

/* Byte i of buffer n. */
static char byte_of(unsigned n, uint64_t i)
{
    return (char)(i * 31 + n * 7 + (i >> 11));
}

static char *new_bytes(unsigned n, uint64_t bytes)
{
    char *data = malloc(bytes);
    for (uint64_t i = 0; i < bytes; i++)
        data[i] = byte_of(n, i);
    return data;
}

static bool is_right(const char *data, unsigned n, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i++)
        if (data[i] != byte_of(n, i))
            return false;
    return true;
}

static struct sf_own_fd write_buffer(unsigned n, uint64_t bytes)
{
    struct sf_own_fd file;
    char *data = new_bytes(n, bytes);
    CHECK_EQ(0, sf_buffer_file_write(&file, data, bytes));
    free(data);
    return file;
}

static void *map_buffer(const struct sf_own_fd *file, uint64_t bytes)
{
    void *memory = NULL;
    struct sf_buffer_offer offer = sf_buffer_file_offer(file, bytes);
    CHECK_EQ(0, sf_buffer_file_map(&memory, getpid(), &offer));
    CHECK_EQ(bytes, sf_buffer_bytes(memory));
    return memory;
}

TEST(what_was_written_is_there_when_the_file_is_closed)
{
    const uint64_t lengths[] = {1, 4095, 4096, 4097, BYTES, BYTES + 1};
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct sf_own_fd file = write_buffer(i, lengths[i]);
        void *memory = map_buffer(&file, lengths[i]);
        sf_own_fd_close(&file);
        CHECK(is_right(memory, i, lengths[i]));
        sf_buffer_free(memory);
    }
}

TEST(a_child_hands_one_over_and_dies)
{
    int to_parent[2], to_child[2];
    struct sf_buffer_offer offer;
    char word;
    void *memory;
    CHECK_EQ(0, pipe(to_parent));
    CHECK_EQ(0, pipe(to_child));
    pid_t child = fork();
    if (child == 0) {
        struct sf_own_fd file = write_buffer(5, BYTES);
        offer = sf_buffer_file_offer(&file, BYTES);
        CHECK_EQ((ssize_t)sizeof offer, write(to_parent[1], &offer, sizeof offer));
        CHECK_EQ(1, read(to_child[0], &word, 1));
        _exit(0);
    }
    CHECK_EQ((ssize_t)sizeof offer, read(to_parent[0], &offer, sizeof offer));
    CHECK_EQ(0, sf_buffer_file_map(&memory, child, &offer));
    CHECK_EQ(0, kill(child, SIGKILL));
    CHECK_EQ(child, waitpid(child, NULL, 0));
    CHECK(is_right(memory, 5, BYTES));
    void *again;
    CHECK(sf_buffer_file_map(&again, child, &offer) < 0); /* it took the file along */
    sf_buffer_free(memory);
}

TEST(what_is_written_into_one_stays_in_the_process_that_writes)
{
    struct sf_own_fd file = write_buffer(1, BYTES);
    char *memory = map_buffer(&file, BYTES), *other = map_buffer(&file, BYTES);
    pid_t child = fork();
    if (child == 0) {
        memset(memory, 'c', BYTES);
        _exit(0);
    }
    CHECK_EQ(child, waitpid(child, NULL, 0));
    CHECK(is_right(memory, 1, BYTES));
    memset(memory, 'p', BYTES);
    CHECK(is_right(other, 1, BYTES));
    sf_buffer_free(memory);
    CHECK(is_right(other, 1, BYTES));
    sf_buffer_free(other);
    sf_own_fd_close(&file);
}

TEST(nobody_can_cut_it_off_or_write_into_it)
{
    struct sf_own_fd file = write_buffer(2, BYTES);
    char *memory = map_buffer(&file, BYTES);
    CHECK(ftruncate(file.fd, 0) < 0 && errno == EPERM);
    CHECK(pwrite(file.fd, "x", 1, 0) < 0 && errno == EPERM);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd, 0) == MAP_FAILED);
    CHECK(is_right(memory, 2, BYTES));
    sf_buffer_free(memory);
    sf_own_fd_close(&file);
}

/* What a descriptor is, after the offer, in place of the file. */
static int map_in_place_of(int other)
{
    void *memory;
    struct sf_own_fd file = write_buffer(3, BYTES);
    struct sf_buffer_offer offer = sf_buffer_file_offer(&file, BYTES);
    if (other < 0) {
        close(file.fd);
    } else {
        CHECK_EQ(file.fd, dup2(other, file.fd));
        close(other);
    }
    int error = sf_buffer_file_map(&memory, getpid(), &offer);
    sf_own_fd_close(&file);
    return error;
}

TEST(another_file_under_the_same_number_is_refused)
{
    int ends[2];
    CHECK_EQ(-ENOENT, map_in_place_of(-1));
    CHECK_EQ(-ESTALE, map_in_place_of(memfd_create("the program's", 0)));
    CHECK_EQ(-ESTALE, map_in_place_of(open("/dev/null", O_RDWR)));
    CHECK_EQ(0, pipe(ends));
    CHECK_EQ(-ESTALE, map_in_place_of(ends[0])); /* opening it would wait for a writer */
    CHECK_EQ(-ESTALE, map_in_place_of(dup(write_buffer(3, BYTES).fd)));
}

TEST(what_is_not_as_it_was_offered_is_refused)
{
    void *memory;
    struct sf_own_fd file = write_buffer(4, BYTES);
    struct sf_buffer_offer offer = sf_buffer_file_offer(&file, BYTES);
    offer.bytes++;
    CHECK_EQ(-ESTALE, sf_buffer_file_map(&memory, getpid(), &offer));
    offer.bytes = 0;
    CHECK_EQ(-EINVAL, sf_buffer_file_map(&memory, getpid(), &offer));
    offer.bytes = UINT64_MAX - 100;
    CHECK_EQ(-EINVAL, sf_buffer_file_map(&memory, getpid(), &offer));
    sf_own_fd_close(&file);
    int fd = memfd_create("not sealed", MFD_ALLOW_SEALING);
    CHECK_EQ(0, ftruncate(fd, BYTES));
    CHECK_EQ(0, sf_own_fd_take(&file, fd));
    offer = sf_buffer_file_offer(&file, BYTES);
    CHECK_EQ(-ESTALE, sf_buffer_file_map(&memory, getpid(), &offer));
    sf_own_fd_close(&file);
}

static void limit(int what, rlim_t most)
{
    struct rlimit limits;
    CHECK_EQ(0, getrlimit(what, &limits));
    limits.rlim_cur = most;
    CHECK_EQ(0, setrlimit(what, &limits));
}

TEST(limits_are_errors_and_leave_nothing)
{
    void *memory;
    char *data = new_bytes(6, BYTES);
    struct sf_own_fd file = write_buffer(6, BYTES), none;
    struct sf_buffer_offer offer = sf_buffer_file_offer(&file, BYTES);
    signal(SIGXFSZ, SIG_DFL);
    limit(RLIMIT_FSIZE, BYTES - 1);
    CHECK_EQ(-EFBIG, sf_buffer_file_write(&none, data, BYTES));
    CHECK_EQ(-1, none.fd);
    limit(RLIMIT_FSIZE, BYTES);
    CHECK_EQ(0, sf_buffer_file_write(&none, data, BYTES));
    sf_own_fd_close(&none);
    limit(RLIMIT_NOFILE, (rlim_t)file.fd + 1);
    CHECK_EQ(-EMFILE, sf_buffer_file_write(&none, data, BYTES));
    CHECK_EQ(-EMFILE, sf_buffer_file_map(&memory, getpid(), &offer));
    sf_own_fd_close(&file);
    free(data);
}

TEST(no_more_than_so_many_are_mapped)
{
    struct sf_own_fd file = write_buffer(7, 100);
    struct sf_buffer_offer offer = sf_buffer_file_offer(&file, 100);
    static void *memory[SF_BUFFER_FILE_MOST + 1];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < SF_BUFFER_FILE_MOST; i++)
            CHECK_EQ(0, sf_buffer_file_map(&memory[i], getpid(), &offer));
        CHECK_EQ(-ENFILE, sf_buffer_file_map(&memory[SF_BUFFER_FILE_MOST], getpid(), &offer));
        for (int i = 0; i < SF_BUFFER_FILE_MOST; i++)
            sf_buffer_free(memory[i]);
    }
    sf_own_fd_close(&file);
}

TEST(one_gets_another_length_as_by_realloc)
{
    struct sf_own_fd file = write_buffer(8, BYTES);
    char *memory = map_buffer(&file, BYTES);
    sf_own_fd_close(&file);
    memory = sf_buffer_resize(memory, 2 * BYTES);
    CHECK_EQ(2 * BYTES, sf_buffer_bytes(memory));
    CHECK(is_right(memory, 8, BYTES));
    memset(memory + BYTES, 'x', BYTES); /* behind the end of the file */
    memory = sf_buffer_resize(memory, 10);
    CHECK_EQ(10u, sf_buffer_bytes(memory));
    CHECK(is_right(memory, 8, 10));
    CHECK(sf_buffer_resize(memory, UINT64_MAX) == NULL);
    CHECK(is_right(memory, 8, 10));
    sf_buffer_free(memory);
    sf_buffer_free(NULL);
}

TEST_MAIN()
