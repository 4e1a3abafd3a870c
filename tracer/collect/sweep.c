/* See sweep.h. Safe while other collectors and users work: rmdir(2) removes empty directories only, and a session file
 * is removed only under its lock. The minute protects collectors whose pids are not known here, in another container
 * that shares /dev/shm: none takes so long from making the directory to writing the magic. */
#include "collect/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "abi/log_format.h"
#include "base/liveness.h"

enum { OLD_S = 60 };

/* Is it the name of a session's directory? *pid is then its collector's. */
static bool is_session(const char *name, int *pid)
{
    int length = 0;
    return sscanf(name, SF_SESSION_PREFIX "%d-%*16[0-9a-f]%n", pid, &length) == 1 && length > 0 && !name[length];
}

static bool is_private_directory(const struct stat *st)
{
    return S_ISDIR(st->st_mode) && st->st_uid == geteuid() && !(st->st_mode & 077);
}

/* Removes the session file if it was never completed. false: it was, or a process has it locked. */
static bool remove_unfinished(int dir_fd)
{
    uint64_t magic = 0;
    int fd = openat(dir_fd, SF_SESSION_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT;
    ssize_t n =
        flock(fd, LOCK_EX | LOCK_NB) ? -1 : pread(fd, &magic, sizeof magic, offsetof(struct sf_session_header, magic));
    bool unfinished = n >= 0 && magic == 0;
    if (unfinished)
        unlinkat(dir_fd, SF_SESSION_FILE, 0);
    close(fd);
    return unfinished;
}

static void sweep_one(int parent_fd, const char *name, time_t now)
{
    struct stat st;
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && is_private_directory(&st) && now - st.st_mtime > OLD_S && remove_unfinished(fd))
        unlinkat(parent_fd, name, AT_REMOVEDIR);
    close(fd);
}

void sweep_abandoned(const char *parent)
{
    DIR *dir = opendir(parent);
    int pid;
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (is_session(entry->d_name, &pid) && !liveness_is_collector(pid))
            sweep_one(dirfd(dir), entry->d_name, time(NULL));
    if (dir)
        closedir(dir);
}
