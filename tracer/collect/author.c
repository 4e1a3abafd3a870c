/* See author.h. The record lock on the log names its holder in our own numbers, so it is asked first. A pidfd that was
 * opened between two looks at the lock, both with the same answer, is the holder's: the lock ends with its process.
 * Without a lock, because the program has closed the descriptor or has ended, a pid of our own namespace will do, with
 * the time since which the process must have lived; and in another namespace the process that /proc shows there with
 * that number, while the log is held. */
#include "collect/author.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/lease.h"

/* The process that has the log locked, as we number it. 0: it cannot be seen from here. -1: none has. */
static pid_t holder(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_GETLK, &lock) || lock.l_type == F_UNLCK)
        return -1;
    return lock.l_pid > 0 ? lock.l_pid : 0;
}

uint32_t author_own_space(void)
{
    struct stat st;
    return stat("/proc/self/ns/pid", &st) ? 0 : (uint32_t)st.st_ino;
}

/* Is process `host_pid` the one that has this pid in that namespace? */
static bool is_it(pid_t host_pid, pid_t pid, uint32_t space)
{
    char path[64], line[256];
    struct stat st;
    long last = 0;
    snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)host_pid);
    if (stat(path, &st) || (uint32_t)st.st_ino != space)
        return false;
    snprintf(path, sizeof path, "/proc/%d/status", (int)host_pid);
    FILE *file = fopen(path, "re");
    while (file && !last && fgets(line, sizeof line, file)) {
        char *tab = strncmp(line, "NSpid:", 6) == 0 ? strrchr(line, '\t') : NULL; /* its own namespace's comes last */
        last = tab ? strtol(tab, NULL, 10) : 0;
    }
    if (file)
        fclose(file);
    return last == pid;
}

/* Looks for it in /proc, which may take some milliseconds. 0: it cannot be seen from here. */
static pid_t search(pid_t pid, uint32_t space)
{
    pid_t found = 0;
    DIR *dir = liveness_has_proc() ? opendir("/proc") : NULL;
    for (struct dirent *entry; dir && !found && (entry = readdir(dir));) {
        pid_t host_pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (host_pid > 0 && is_it(host_pid, pid, space))
            found = host_pid;
    }
    if (dir)
        closedir(dir);
    return found;
}

/* Finds it there. A pidfd that was opened between two looks with the same answer is the right one's. */
static void open_by_search(struct author *author, int fd, pid_t pid, uint32_t space)
{
    pid_t found = lease_look(fd) == LEASE_HELD ? search(pid, space) : 0;
    if (!found)
        return;
    liveness_open(&author->process, found, 0);
    if (is_it(found, pid, space))
        author->pid = found;
    else
        liveness_close(&author->process);
}

void author_open(struct author *author, int fd, pid_t pid, uint32_t space, int64_t age_ns)
{
    memset(author, 0, sizeof *author);
    author->process.pidfd = -1;
    for (pid_t held; (held = holder(fd)) > 0; liveness_close(&author->process)) {
        liveness_open(&author->process, held, 0);
        author->pid = held;
        if (holder(fd) == held)
            return;
        author->pid = 0;
    }
    uint32_t own = author_own_space();
    bool here = !space || !own || space == own;
    if (!here)
        open_by_search(author, fd, pid, space);
    else if (holder(fd) < 0) {
        author->pid = pid;
        liveness_open(&author->process, pid, age_ns);
    }
    author->end_is_unknown = !author->pid || liveness_is_over(&author->process);
}

void author_close(struct author *author)
{
    liveness_close(&author->process);
}

bool author_has_ended(struct author *author, int fd)
{
    return author->pid ? liveness_is_over(&author->process) : author_is_over(author, fd);
}

bool author_is_over(struct author *author, int fd)
{
    if (author->is_over || (author->pid && !liveness_is_over(&author->process)))
        return author->is_over;
    enum lease lease = lease_look(fd);
    author->is_over = lease == LEASE_FREE || (lease == LEASE_UNKNOWN && author->pid);
    return author->is_over;
}
