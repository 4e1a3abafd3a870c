/* A file descriptor that is ours.
 *
 * The program may close any descriptor and be given its number for a file of its own: os.closerange does, and so does
 * every daemon. So ours is known by device and inode, and is looked at before each use, closing included. What is not
 * ours any more is left alone.
 *
 * Before Linux 6.9 all pidfds have one inode, with eventfds and the like: process.h asks more about them.
 *
 * Nothing here blocks. Fork-safe; async-signal-safe. One look is one system call. */
#ifndef SF_CORE_OS_OWN_FD_H
#define SF_CORE_OS_OWN_FD_H

#include <stdbool.h>
#include <sys/types.h>

struct sf_own_fd {
    int fd; /* -1: none */
    dev_t device;
    ino_t inode;
};

#define SF_OWN_FD_NONE ((struct sf_own_fd){.fd = -1})

/* Takes over a descriptor that was just made with O_CLOEXEC, or -errno in its place. 0 or -errno, and then *own is
 * none. Moves it away from the numbers of the standard streams. */
int sf_own_fd_take(struct sf_own_fd *own, int fd);

/* The same for one that stays: at a high number where the limits allow it, so that the program's own get the numbers
 * that they would get without it. */
int sf_own_fd_take_high(struct sf_own_fd *own, int fd);

bool sf_own_fd_is_ours(const struct sf_own_fd *own);

/* Its number, to be used at once; -1 if it is none, or not ours any more. */
int sf_own_fd_get(const struct sf_own_fd *own);

/* Closes it where it is ours, and makes *own none. */
void sf_own_fd_close(struct sf_own_fd *own);

#endif
