#include "core/os/cpus.h"
#include "harness.h"

#include <sched.h>
#include <sys/stat.h>

TEST(the_affinity_mask_limits_the_count)
{
    cpu_set_t all, one;
    CHECK_EQ(0, sched_getaffinity(0, sizeof all, &all));
    CHECK(sf_cpus_count() >= 1);
    CHECK(sf_cpus_count() <= CPU_COUNT(&all));
    int first = 0;
    while (!CPU_ISSET(first, &all))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    CHECK_EQ(0, sched_setaffinity(0, sizeof one, &one));
    CHECK_EQ(1, sf_cpus_count());
}

static int write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return -1;
    int failed = fputs(text, file) < 0;
    return fclose(file) || failed ? -1 : 0;
}

/* Puts this process into a new group `group` of the hierarchy at `mount`, which is one if it has the file `probe`. */
static int enter_group(const char *mount, const char *probe, char *group, size_t bytes)
{
    char path[256], pid[32];
    snprintf(path, sizeof path, "%s/%s", mount, probe);
    if (access(path, W_OK))
        return -1;
    snprintf(group, bytes, "%s/snakefish-test-%d", mount, (int)getpid());
    if (mkdir(group, 0700))
        return -1;
    snprintf(path, sizeof path, "%s/cgroup.procs", group);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    return write_file(path, pid);
}

TEST(processes_share_the_count_and_each_has_one_at_least)
{
    int count = sf_cpus_count();
    CHECK_EQ(count, sf_cpus_share());
    sf_cpus_share_among(1);
    CHECK_EQ(count, sf_cpus_share());
    sf_cpus_share_among(2);
    CHECK_EQ(count / 2 ? count / 2 : 1, sf_cpus_share());
    CHECK_EQ(count, sf_cpus_count());
    for (int i = 0; i < 70; i++) /* no number is too large */
        sf_cpus_share_among(INT64_MAX);
    CHECK_EQ(1, sf_cpus_share());
    sf_cpus_share_among(0);
    CHECK_EQ(1, sf_cpus_share());
}

static int set(const char *group, const char *file, const char *value)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", group, file);
    return write_file(path, value);
}

TEST(a_cgroup_quota_limits_the_count)
{
    char group[200];
    int ready = enter_group("/sys/fs/cgroup", "cgroup.subtree_control", group, sizeof group) == 0 &&
                set(group, "cpu.max", "50000 100000") == 0;
    if (!ready)
        ready = enter_group("/sys/fs/cgroup/cpu", "cpu.shares", group, sizeof group) == 0 &&
                set(group, "cpu.cfs_period_us", "100000") == 0 && set(group, "cpu.cfs_quota_us", "50000") == 0;
    int count = sf_cpus_count();
    char out[256], pid[32];
    snprintf(out, sizeof out, "%s/..", group);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    if (ready)
        set(out, "cgroup.procs", pid);
    rmdir(group);
    if (!ready)
        SKIP("no cgroup with a cpu controller that this user may make");
    CHECK_EQ(1, count);
}

TEST_MAIN()
