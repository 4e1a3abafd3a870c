/* How much memory a session may use. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/log_format.h"
#include "collect/room.h"

#define MIB (UINT64_C(1) << 20)

static int shm(void)
{
    int fd = open("/dev/shm", O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0);
    return fd;
}

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return done;
}

TEST(without_a_limit_it_is_not_more_than_the_file_system_or_the_machine_has)
{
    struct statvfs fs;
    int fd = shm();
    CHECK_EQ(0, fstatvfs(fd, &fs));
    uint64_t room = room_bytes(fd);
    CHECK(room > 0);
    CHECK(room <= (uint64_t)fs.f_blocks * fs.f_frsize);
}

static char group[128];

static void leave_group(void)
{
    char pid[32];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    write_file("/sys/fs/cgroup/memory/cgroup.procs", pid);
    rmdir(group);
}

/* This process in a group of version 1 with that limit. False: that is not possible here. */
static bool enter_group(const char *limit)
{
    char path[256], pid[32];
    snprintf(group, sizeof group, "/sys/fs/cgroup/memory/snakefish-test-%d", (int)getpid());
    if (mkdir(group, 0700))
        return false;
    snprintf(path, sizeof path, "%s/memory.limit_in_bytes", group);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    bool limited = write_file(path, limit);
    snprintf(path, sizeof path, "%s/cgroup.procs", group);
    if (limited && write_file(path, pid)) {
        atexit(leave_group);
        return true;
    }
    rmdir(group);
    return false;
}

TEST(the_limit_of_a_control_group_counts_less_what_is_used)
{
    if (!enter_group("67108864"))
        SKIP("needs root and the memory control group of version 1");
    int fd = shm();
    uint64_t before = room_bytes(fd);
    CHECK(before > 40 * MIB);
    CHECK(before <= 48 * MIB); /* a quarter is kept */
    char *used = mmap(NULL, 20 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(used, 1, 20 * MIB);
    usleep(30000);
    uint64_t after = room_bytes(fd);
    CHECK(after < before - 18 * MIB);
    CHECK(after > before - 24 * MIB);
    CHECK_EQ(32768, room_log_records(fd, 1 << 17) * 2); /* 32 logs of 512 KiB */
    CHECK_EQ(256, room_log_records(fd, 256));
}

TEST(another_process_of_the_session_brings_the_limit_of_its_group)
{
    int ready[2], fd = shm();
    char byte;
    uint64_t before = room_bytes(fd);
    CHECK_EQ(0, pipe(ready));
    pid_t pid = fork();
    if (pid == 0) {
        byte = enter_group("67108864");
        CHECK_EQ(1, write(ready[1], &byte, 1));
        pause();
    }
    CHECK_EQ(1, read(ready[0], &byte, 1));
    if (byte) {
        usleep(30000);
        CHECK(room_bytes(fd) > before / 2);
        room_add_process(pid);
        usleep(30000);
        CHECK(room_bytes(fd) <= 48 * MIB);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    snprintf(group, sizeof group, "/sys/fs/cgroup/memory/snakefish-test-%d", (int)pid);
    for (int i = 0; i < 100 && rmdir(group) && errno == EBUSY; i++)
        usleep(10000);
}

/* The files of version 2, in a mount namespace of this process's own. */
static void show_group(const char *max, const char *high, const char *current, const char *stat)
{
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("none", "/sys/fs/cgroup", "tmpfs", 0, NULL))
        SKIP("needs root");
    CHECK(write_file("/sys/fs/cgroup/memory.max", max));
    CHECK(write_file("/sys/fs/cgroup/memory.high", high));
    CHECK(write_file("/sys/fs/cgroup/memory.current", current));
    CHECK(write_file("/sys/fs/cgroup/memory.stat", stat));
}

#define STAT_V2 "anon 1\ninactive_file 8388608\nactive_file 4194304\nfile_dirty 2097152\nfile_writeback 2097152\n"

TEST(version_2_has_its_own_files_and_half_of_the_clean_cache_counts_as_free)
{
    show_group("134217728\n", "max\n", "50331648\n", STAT_V2);
    CHECK_EQ((96 - 48 + 4) * MIB, room_bytes(shm()));
}

TEST(the_lower_limit_of_version_2_counts)
{
    show_group("134217728\n", "67108864\n", "16777216\n", "");
    CHECK_EQ((48 - 16) * MIB, room_bytes(shm()));
}

TEST(beyond_the_limit_there_is_no_room)
{
    show_group("67108864\n", "max\n", "66060288\n", "");
    CHECK_EQ(0, room_bytes(shm()));
}

TEST_MAIN()
