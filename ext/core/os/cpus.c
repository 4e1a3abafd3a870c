/* CPUs by affinity and by cgroup quota. A file that cannot be read sets no limit. */
#include "core/os/cpus.h"

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NO_LIMIT 1e9
#define MOST_SHARERS (INT64_C(1) << 31) /* far more than there are CPUs */

static int64_t sharers = 1; /* processes that share the CPUs, this one included; forked children inherit it */

static int cpus_by_affinity(void)
{
    /* The mask of a large machine does not fit into cpu_set_t: try larger ones until the kernel accepts one. */
    for (int cpus = CPU_SETSIZE; cpus <= 1 << 20; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)cpus);
        if (!set)
            break;
        int failed = sched_getaffinity(0, CPU_ALLOC_SIZE((size_t)cpus), set);
        int count = failed ? 0 : CPU_COUNT_S(CPU_ALLOC_SIZE((size_t)cpus), set);
        CPU_FREE(set);
        if (!failed)
            return count;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

static int read_line(const char *path, char *line, int bytes)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    char *got = fgets(line, bytes, file);
    fclose(file);
    return got ? 0 : -1;
}

/* The CPUs that one cgroup directory allows: quota / period, or NO_LIMIT. */
static double quota_of_group(const char *directory)
{
    char path[4200], line[128];
    double quota, period;
    snprintf(path, sizeof path, "%s/cpu.max", directory);
    if (read_line(path, line, sizeof line) == 0 && sscanf(line, "%lf %lf", &quota, &period) == 2 && period > 0)
        return quota / period; /* "max 100000" does not scan: no limit */
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", directory);
    if (read_line(path, line, sizeof line) || (quota = atof(line)) <= 0)
        return NO_LIMIT;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", directory);
    if (read_line(path, line, sizeof line) || (period = atof(line)) <= 0)
        return NO_LIMIT;
    return quota / period;
}

/* The least quota of the group at mount/group and of all groups above it, up to the mount. */
static double least_quota(const char *mount, char *group)
{
    double least = NO_LIMIT;
    char directory[4160];
    for (;;) {
        snprintf(directory, sizeof directory, "%s%s", mount, strcmp(group, "/") ? group : "");
        double quota = quota_of_group(directory);
        least = quota < least ? quota : least;
        char *slash = strrchr(group, '/');
        if (!slash || strcmp(group, "/") == 0)
            return least;
        slash[slash == group ? 1 : 0] = '\0'; /* one group up */
    }
}

/* Whether "cpu" is one of the names in a list like "cpu,cpuacct". */
static bool has_cpu_controller(const char *list)
{
    for (const char *name = list; *name; name += strcspn(name, ",") + (name[strcspn(name, ",")] == ','))
        if (strcspn(name, ",") == 3 && strncmp(name, "cpu", 3) == 0)
            return true;
    return false;
}

static double cpus_by_quota(void)
{
    double least = NO_LIMIT;
    char line[4200];
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file)
        return least;
    while (fgets(line, sizeof line, file)) { /* "0::/group" (v2), "4:cpu,cpuacct:/group" (v1) */
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group || strlen(group) > 4000)
            continue;
        *group++ = '\0';
        double got = NO_LIMIT;
        if (strcmp(controllers, ":") == 0)
            got = least_quota("/sys/fs/cgroup", group);
        else if (has_cpu_controller(controllers + 1))
            got = least_quota("/sys/fs/cgroup/cpu", group);
        least = got < least ? got : least;
    }
    fclose(file);
    return least;
}

int sf_cpus_count(void)
{
    int cpus = cpus_by_affinity();
    double allowed = cpus_by_quota();
    if (allowed < cpus)
        cpus = (int)allowed + (allowed > (int)allowed);
    return cpus < 1 ? 1 : cpus;
}

void sf_cpus_share_among(int64_t processes)
{
    processes = processes < 1 ? 1 : processes < MOST_SHARERS ? processes : MOST_SHARERS;
    sharers = sharers * processes < MOST_SHARERS ? sharers * processes : MOST_SHARERS;
}

int sf_cpus_share(void)
{
    int64_t share = sf_cpus_count() / sharers;
    return share < 1 ? 1 : (int)share;
}
