/* See room.h. */
#include "collect/room.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "abi/log_format.h"
#include "base/file.h"
#include "base/liveness.h"

#define NONE UINT64_MAX /* no limit */
#define TOP_V2 "/sys/fs/cgroup"
#define TOP_V1 "/sys/fs/cgroup/memory"

enum { GROUPS_MAX = 32, LEAST_RECORDS = 4096, LOGS_AT_LEAST = 32 };
static const int64_t fresh_ns = 20000000;

static struct group {
    char path[512]; /* of the directory */
    bool is_v1;
} groups[GROUPS_MAX];
static int groups_count;

/* ---- small files ---- */

/* The number in a file of the group; NONE: there is no such file, or it says "max". */
static uint64_t read_number(const struct group *group, const char *file)
{
    char path[PATH_MAX], text[64];
    uint64_t number;
    snprintf(path, sizeof path, "%s/%s", group->path, file);
    return file_read_small(path, text, sizeof text) && sscanf(text, "%" SCNu64, &number) == 1 ? number : NONE;
}

/* The number after that word at the beginning of a line; 0: there is no such line. */
static uint64_t find_number(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = text; (at = strstr(at, word)); at += length)
        if ((at == text || at[-1] == '\n') && (at[length] == ' ' || at[length] == ':'))
            return strtoull(at + length + 1, NULL, 10);
    return 0;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- the limits ---- */

/* Memory that the kernel takes back when the group reaches its limit: half of the cached files that need not be written
 * first. The other half is kept: the programs' own code is among it. */
static uint64_t reclaimable(const struct group *group)
{
    char path[PATH_MAX], text[8192], word[64];
    static const char *const words[] = {"inactive_file", "active_file", "dirty", "writeback"};
    uint64_t numbers[4];
    snprintf(path, sizeof path, "%s/memory.stat", group->path);
    if (!file_read_small(path, text, sizeof text))
        return 0;
    for (int i = 0; i < 4; i++) {
        const char *prefix = group->is_v1 ? "total_" : i < 2 ? "" : "file_";
        snprintf(word, sizeof word, "%s%s", prefix, words[i]);
        numbers[i] = find_number(text, word);
    }
    uint64_t cached = numbers[0] + numbers[1], unwritten = numbers[2] + numbers[3];
    return cached > unwritten ? (cached - unwritten) / 2 : 0;
}

static uint64_t room_of_group(const struct group *group)
{
    uint64_t limit = group->is_v1 ? read_number(group, "memory.limit_in_bytes")
                                  : smaller(read_number(group, "memory.max"), read_number(group, "memory.high"));
    if (limit > NONE / 4) /* version 1 says "none" by a very large number */
        return NONE;
    uint64_t used = read_number(group, group->is_v1 ? "memory.usage_in_bytes" : "memory.current"), back;
    if (used == NONE)
        return NONE;
    back = reclaimable(group);
    used = used > back ? used - back : 0;
    limit -= limit / 4;
    return limit > used ? limit - used : 0;
}

static uint64_t room_of_machine(void)
{
    char text[4096];
    if (!file_read_small("/proc/meminfo", text, sizeof text))
        return NONE;
    uint64_t all = find_number(text, "MemTotal") * 1024, available = find_number(text, "MemAvailable") * 1024;
    if (!all)
        return NONE;
    return available > all / 16 ? available - all / 16 : 0;
}

uint64_t room_bytes(int dir_fd)
{
    static uint64_t bytes;
    static int64_t read_ns;
    struct timespec now;
    struct statvfs fs;
    if (!groups_count)
        room_add_process(0);
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    if (!read_ns || now_ns - read_ns >= fresh_ns) {
        read_ns = now_ns;
        bytes = room_of_machine();
        for (int i = 0; i < groups_count; i++)
            bytes = smaller(bytes, room_of_group(&groups[i]));
    }
    return fstatvfs(dir_fd, &fs) ? bytes : smaller(bytes, (uint64_t)fs.f_bavail * fs.f_frsize);
}

uint32_t room_log_records(int dir_fd, uint32_t wanted)
{
    uint64_t most = room_bytes(dir_fd) / LOGS_AT_LEAST / sizeof(struct sf_record);
    while (wanted > most && wanted > LEAST_RECORDS)
        wanted /= 2;
    return wanted;
}

/* ---- whose limits ---- */

static void add_group(const char *top, const char *path, int length, bool is_v1)
{
    struct group group = {.is_v1 = is_v1};
    int n = snprintf(group.path, sizeof group.path, "%s%.*s", top, length, path);
    if (n < 0 || n >= (int)sizeof group.path)
        return;
    for (int i = 0; i < groups_count; i++)
        if (strcmp(groups[i].path, group.path) == 0)
            return;
    if (groups_count < GROUPS_MAX && access(group.path, F_OK) == 0)
        groups[groups_count++] = group;
}

/* The group and all above it. In a container a group may not be found by its path, but the container's own group is at
 * the top. */
static void add_groups(const char *top, const char *path, bool is_v1)
{
    for (int length = (int)strlen(path); length > 1; length--)
        if (!path[length] || path[length] == '/')
            add_group(top, path, length, is_v1);
    add_group(top, "", 0, is_v1);
}

void room_add_process(pid_t pid)
{
    char name[64], text[8192];
    if (pid)
        snprintf(name, sizeof name, "/proc/%d/cgroup", (int)pid);
    else
        snprintf(name, sizeof name, "/proc/self/cgroup");
    if ((pid && !liveness_has_proc()) || !file_read_small(name, text, sizeof text))
        return;
    for (char *line = text, *next; line && *line; line = next) { /* "0::/group" (v2), "4:memory:/group" (v1) */
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = '\0';
        bool is_v1 = strcmp(names, ":memory") == 0;
        if (is_v1 || strcmp(names, ":") == 0)
            add_groups(is_v1 ? TOP_V1 : TOP_V2, path, is_v1);
    }
}
