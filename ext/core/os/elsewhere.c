/* Reads /proc. See elsewhere.h. */
#include "core/os/elsewhere.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A link in /proc/<pid>/fd leads to "pipe:[inode]", "socket:[inode]", or a file. */
static void each_open_of(DIR *directory, void (*visit)(mode_t kind, uint64_t inode, void *context), void *context)
{
    for (struct dirent *entry; (entry = readdir(directory));) {
        char target[48];
        unsigned long long inode;
        ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
        target[length < 0 ? 0 : length] = '\0';
        if (sscanf(target, "pipe:[%llu]", &inode) == 1)
            visit(S_IFIFO, inode, context);
        else if (sscanf(target, "socket:[%llu]", &inode) == 1)
            visit(S_IFSOCK, inode, context);
    }
}

int sf_elsewhere_each_open(void (*visit)(mode_t kind, uint64_t inode, void *context), void *context)
{
    DIR *own = opendir("/proc/self/fd"), *processes = own ? opendir("/proc") : NULL;
    int error = processes ? 0 : -errno;
    if (processes) {
        each_open_of(own, visit, context);
        for (struct dirent *entry; (entry = readdir(processes));) {
            char path[sizeof entry->d_name + 16];
            snprintf(path, sizeof path, "/proc/%s/fd", entry->d_name);
            DIR *other = isdigit((unsigned char)entry->d_name[0]) ? opendir(path) : NULL;
            if (!other)
                continue; /* another user's, or it has ended */
            each_open_of(other, visit, context);
            closedir(other);
        }
        closedir(processes);
    }
    if (own)
        closedir(own);
    return error;
}

int sf_elsewhere_each_inherited(void (*visit)(int fd, void *context), void *context)
{
    DIR *own = opendir("/proc/self/fd");
    if (!own)
        return -errno;
    for (struct dirent *entry; (entry = readdir(own));) {
        int fd = isdigit((unsigned char)entry->d_name[0]) ? (int)strtol(entry->d_name, NULL, 10) : -1;
        int flags = fd < 0 ? -1 : fcntl(fd, F_GETFD);
        if (flags >= 0 && !(flags & FD_CLOEXEC))
            visit(fd, context);
    }
    closedir(own);
    return 0;
}

struct mapping {
    unsigned long long start, end, offset, inode;
    unsigned major, minor;
};

/* The process's mapping that begins there. False: it has none, or cannot be looked at. */
static bool find_mapping(const char *maps, const void *address, struct mapping *out)
{
    char line[256];
    bool found = false;
    FILE *file = fopen(maps, "re");
    while (file && !found && fgets(line, sizeof line, file))
        found = sscanf(line, "%llx-%llx %*s %llx %x:%x %llu", &out->start, &out->end, &out->offset, &out->major,
                       &out->minor, &out->inode) == 6 &&
                out->start == (unsigned long long)(uintptr_t)address;
    if (file)
        fclose(file);
    return found;
}

bool sf_elsewhere_has_mapped(pid_t pid, const void *address)
{
    struct mapping own, other;
    char maps[32];
    snprintf(maps, sizeof maps, "/proc/%d/maps", (int)pid);
    return find_mapping("/proc/self/maps", address, &own) && find_mapping(maps, address, &other) &&
           own.inode == other.inode && own.major == other.major && own.minor == other.minor &&
           own.offset == other.offset && own.end == other.end;
}
