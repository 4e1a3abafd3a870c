/* See discover.h. Goes by the names alone; reader_open finds out whether such a file is a log. */
#include "collect/discover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "abi/log_format.h"

/* Descriptors: each log's own, its process's and its spill file's; and those that are kept for everything else. SQLite
 * has to find one for its journal at any time. */
enum { DESCRIPTORS_EACH = 3, DESCRIPTORS_KEPT = 32 };

/* How many descriptors this process has, the inherited ones included; 0: not known. */
static size_t count_descriptors(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return count;
}

size_t discover_limit(void)
{
    struct rlimit files;
    size_t kept = count_descriptors() + DESCRIPTORS_KEPT;
    if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur > kept + DESCRIPTORS_EACH * DISCOVER_LOGS_MAX)
        return DISCOVER_LOGS_MAX;
    return files.rlim_cur > kept + DESCRIPTORS_EACH ? (size_t)(files.rlim_cur - kept) / DESCRIPTORS_EACH : 1;
}

int discover_logs(int dir_fd, int (*found)(void *arg, const char *name), void *arg)
{
    int error = 0;
    /* Opened anew, since the position of readdir belongs to the open file. */
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        error = -errno;
        close(fd);
        return error;
    }
    for (struct dirent *entry; !error && (entry = readdir(dir));)
        if (strncmp(entry->d_name, SF_LOG_PREFIX, strlen(SF_LOG_PREFIX)) == 0)
            error = found(arg, entry->d_name);
    closedir(dir);
    return error;
}
