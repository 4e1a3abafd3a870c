/* See discover.h. Goes by the names alone; reader_open finds out whether such a file is a log. */
#include "collect/discover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "abi/log_format.h"

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
