/* See trace_file.h. An older trace is unlinked rather than overwritten: a program that reads it goes on reading it. */
#include "store/trace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int busy(const char *path, struct sentence *why)
{
    return output_explain(why, -EBUSY, "%s is being written by another snakefish-trace", path);
}

int trace_file_identify(const char *path, struct sentence *why)
{
    unsigned char header[100];
    struct stat st;
    if (stat(path, &st)) {
        if (errno == ENOENT)
            return lstat(path, &st) ? TRACE_FILE_NONE
                                    : output_explain(why, -ENOENT, "%s is a symbolic link to nothing", path);
        return output_explain(why, -errno, "cannot look at %s: %s", path, strerror(errno));
    }
    if (S_ISDIR(st.st_mode))
        return output_explain(why, -EISDIR, "%s is a directory", path);
    if (!S_ISREG(st.st_mode))
        return output_explain(why, -EINVAL, "%s is not a regular file", path);
    if (st.st_size == 0)
        return TRACE_FILE_EMPTY;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return TRACE_FILE_NONE; /* it was removed meanwhile */
    if (fd < 0)
        return output_explain(why, -errno, "cannot open %s: %s", path, strerror(errno));
    ssize_t n = pread(fd, header, sizeof header, 0);
    close(fd);
    if (n < (ssize_t)sizeof header || memcmp(header, "SQLite format 3", 16) != 0)
        return output_explain(why, -EINVAL, "%s is not a trace database, nor any SQLite database", path);
    uint32_t id = (uint32_t)header[68] << 24 | (uint32_t)header[69] << 16 | (uint32_t)header[70] << 8 | header[71];
    if (id != TRACE_FILE_APPLICATION_ID)
        return output_explain(why, -EINVAL, "%s is an SQLite database, but not a trace", path);
    return TRACE_FILE_TRACE;
}

/* Can files be made in its directory? SQLite makes a journal there too. */
static int check_parent(const char *path, struct sentence *why)
{
    char parent[PATH_MAX];
    if (strlen(path) >= sizeof parent)
        return output_explain(why, -ENAMETOOLONG, "%s: name too long", path);
    strcpy(parent, path);
    char *slash = strrchr(parent, '/');
    if (slash == parent)
        slash[1] = '\0';
    else if (slash)
        *slash = '\0';
    else
        strcpy(parent, ".");
    if (access(parent, W_OK | X_OK))
        return output_explain(why, -errno, "cannot make %s: %s", path, strerror(errno));
    return 0;
}

/* Takes the lock on an open file, if the path still leads to it. File systems without locks have none to take. */
static int lock_file(int fd, const char *path, struct sentence *why)
{
    struct stat open_file, named;
    if (flock(fd, LOCK_EX | LOCK_NB) && (errno == EWOULDBLOCK || errno == EINTR))
        return busy(path, why);
    if (fstat(fd, &open_file) || stat(path, &named) || open_file.st_dev != named.st_dev ||
        open_file.st_ino != named.st_ino)
        return busy(path, why); /* another collector has replaced it meanwhile */
    return 0;
}

/* Opens and locks. flags: of open, beside those that every call has. */
static int open_locked(const char *path, int flags, int *lock, struct sentence *why)
{
    int fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    if (fd < 0 && errno == EEXIST)
        return busy(path, why); /* made since it was looked for */
    if (fd < 0)
        return output_explain(why, -errno, "cannot make %s: %s", path, strerror(errno));
    int error = lock_file(fd, path, why);
    if (error)
        close(fd);
    else
        *lock = fd;
    return error;
}

int trace_file_lock(const char *path, int *lock, struct sentence *why)
{
    return open_locked(path, O_RDWR, lock, why);
}

/* May a trace be made at `path`? What is there, as of trace_file_identify, or -errno with a sentence. */
static int check(const char *path, struct sentence *why)
{
    if (!path[0])
        return output_explain(why, -EINVAL, "the database's name is empty");
    int is = trace_file_identify(path, why), error = 0;
    int fd = is == TRACE_FILE_NONE ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd >= 0) {
        error = lock_file(fd, path, why);
        is = error ? error : trace_file_identify(path, why); /* again: another collector may have been at it */
        close(fd);                                           /* which frees the lock */
    }
    if (is >= 0)
        error = check_parent(path, why);
    return error ? error : is;
}

/* Removes the file of an older trace, whose lock is held, and its journal: if that were left, it would be rolled back
 * into the new database. */
static int remove_old(const char *path, bool with_file, struct sentence *why)
{
    char real[PATH_MAX], journal[PATH_MAX + 16];
    if (!realpath(path, real))
        return output_explain(why, -errno, "cannot replace %s: %s", path, strerror(errno));
    snprintf(journal, sizeof journal, "%s-journal", real);
    if ((unlink(journal) && errno != ENOENT) || (with_file && unlink(real)))
        return output_explain(why, -errno, "cannot replace %s: %s", path, strerror(errno));
    return 0;
}

int trace_file_make(const char *path, int *lock, struct sentence *why)
{
    int old = -1, error, is = check(path, why);
    if (is < 0)
        return is;
    if (is == TRACE_FILE_EMPTY) { /* it may have been made for us, with an owner and a mode: it is kept */
        error = open_locked(path, O_RDWR, lock, why);
        if (!error && (error = remove_old(path, false, why)))
            close(*lock);
        return error;
    }
    if (is == TRACE_FILE_TRACE) {
        char real[PATH_MAX];
        error = realpath(path, real) ? open_locked(real, O_RDONLY, &old, why) : -ENOENT;
        if (error == -ENOENT)
            return busy(path, why); /* it was there before: another collector is replacing it */
        if (error)
            return error;
        error = remove_old(real, true, why);
        if (!error) /* at the end of a symbolic link, which stays */
            error = open_locked(real, O_RDWR | O_CREAT | O_EXCL, lock, why);
        close(old);
        return error;
    }
    return open_locked(path, O_RDWR | O_CREAT | O_EXCL, lock, why);
}

int trace_file_name(char name[PATH_MAX], const char *path)
{
    int n = snprintf(name, PATH_MAX, "%s%s", path[0] == '/' ? "" : "./", path);
    return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}
