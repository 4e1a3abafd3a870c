/* See ancestors.h. The way up is in /proc. A process that is read there may have ended, and its pid may be another
 * one's: then the parent of that one is of this user and has a log before the child's, or it is not found. */
#include "collect/ancestors.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEPS_MAX = 32 };

/* 0: there is no such process. */
static pid_t parent_of(pid_t pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *after_name = strrchr(text, ')'); /* the program's name may contain any character */
    return after_name && strlen(after_name) > 4 ? (pid_t)strtol(after_name + 4, NULL, 10) : 0; /* ") S 123 ..." */
}

void ancestors_find(struct store *store, int64_t process, pid_t host_pid)
{
    for (int i = 0; i < STEPS_MAX && (host_pid = parent_of(host_pid)) > 1 && !store_parent(store, process, host_pid);
         i++)
        ;
}
