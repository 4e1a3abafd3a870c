/* The session: one directory, mode 0700, made exclusively, and one page.
 *
 * The page is read and written by its descriptor: somebody else may cut the file short, and then that fails, where an
 * access to mapped memory would raise SIGBUS. It is mapped for the futex alone.
 *
 * Invariants: magic is written last, so that a traced process sees a complete header or none. The page's memory is
 * reserved before it is mapped. The collector holds flock(2) on the session file, which the kernel releases when the
 * collector dies, however it dies. `state` is written here and by trace.stop(), `may_reserve` here; `wake` here and by
 * the traced processes; `lost_logs`, `made_logs` and `reserved_bytes` by them alone. */
#include "collect/session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/liveness.h"
#include "collect/room.h"
#include "collect/spares.h"
#include "collect/spill.h"
#include "collect/sweep.h"

#define DATABASE_LINK "database" /* a symbolic link, because one is made whole or not at all */

static void set_closed(struct session *session)
{
    memset(session, 0, sizeof *session);
    session->dir_fd = session->fd = -1;
}

static int map_header(struct session *session, struct sentence *why)
{
    void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, session->fd, 0);
    if (page == MAP_FAILED)
        return output_explain(why, -errno, "cannot map %s/" SF_SESSION_FILE ": %s", session->dir, strerror(errno));
    session->header = page;
    return 0;
}

/* Reads the page into session->last. What is no session's page any more is not believed. */
static void read_page(struct session *session)
{
    struct sf_session_header now;
    if (session->is_damaged)
        return;
    if (!file_read(session->fd, &now, sizeof now, 0) || now.magic != SF_SESSION_MAGIC) {
        session->is_damaged = true;
        session->last.state = SF_SESSION_CLOSED;
        output_note("somebody else has cut or overwritten %s/" SF_SESSION_FILE ": the trace ends here", session->dir);
        return;
    }
    /* Acquire: pairs with the writers' stores, which come after the records that they tell of. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    session->last = now;
}

static void write_field(const struct session *session, const void *from, size_t bytes, size_t offset)
{
    /* Release: pairs with the writers' loads, which may be relaxed: a writer that sees it late writes a record too
     * many.
     */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    file_write(session->fd, from, bytes, offset);
}

/* Makes a directory with a name that no other has. */
static int make_dir(struct session *session, struct sentence *why)
{
    for (int tries = 0; tries < 100; tries++) {
        uint64_t random;
        if (getrandom(&random, sizeof random, 0) != sizeof random)
            return output_explain(why, -EIO, "no random number for the session's name: %s", strerror(errno));
        snprintf(session->dir, sizeof session->dir, SF_SESSION_PARENT "/" SF_SESSION_PREFIX "%d-%016llx", (int)getpid(),
                 (unsigned long long)random);
        if (mkdir(session->dir, 0700) == 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    int error = errno;
    output_explain(why, 0, "cannot make the session's directory %s: %s", session->dir, strerror(error));
    session->dir[0] = '\0'; /* nothing to remove */
    return -error;
}

int session_make(struct session *session, uint32_t log_records, uint64_t start_tsc, struct sentence *why)
{
    set_closed(session);
    sweep_abandoned(SF_SESSION_PARENT);
    int error = make_dir(session, why);
    if (error)
        return error;
    session->dir_fd = open(session->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (session->dir_fd >= 0)
        session->fd =
            openat(session->dir_fd, SF_SESSION_FILE, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (session->fd < 0) {
        error = output_explain(why, -errno, "cannot make %s/" SF_SESSION_FILE ": %s", session->dir, strerror(errno));
        goto out;
    }
    /* The umask may have removed permissions. */
    if (fchmod(session->dir_fd, 0700) || fchmod(session->fd, 0600) || flock(session->fd, LOCK_EX | LOCK_NB)) {
        error = output_explain(why, -errno, "cannot prepare %s: %s", session->dir, strerror(errno));
        goto out;
    }
    int full = posix_fallocate(session->fd, 0, PAGE_BYTES);
    if (full) {
        error = output_explain(why, -full, "no room for the session in " SF_SESSION_PARENT ": %s", strerror(full));
        goto out;
    }
    error = map_header(session, why);
    if (error)
        goto out;
    struct sf_session_header first = {.version = SF_ABI_VERSION,
                                      .log_records = room_log_records(session->dir_fd, log_records),
                                      .state = SF_SESSION_ACTIVE,
                                      .collector_pid = (uint32_t)getpid(),
                                      .start_tsc = start_tsc};
    write_field(session, &first, sizeof first, 0);
    first.magic = SF_SESSION_MAGIC; /* last: see above */
    write_field(session, &first.magic, sizeof first.magic, offsetof(struct sf_session_header, magic));
    read_page(session);
    session_grant(session, room_bytes(session->dir_fd) / 4);
    spares_prepare(session->dir_fd, first.log_records); /* one for the program itself, before it starts */
out:
    if (error) {
        session_remove(session, NULL);
        session_close(session);
    }
    return error;
}

/* Is the directory this user's, and closed to others? */
static int check_dir(const struct session *session, struct sentence *why)
{
    struct stat st;
    if (fstat(session->dir_fd, &st))
        return output_explain(why, -errno, "cannot look at %s: %s", session->dir, strerror(errno));
    if (st.st_uid != geteuid())
        return output_explain(why, -EPERM, "%s belongs to another user", session->dir);
    if (st.st_mode & 077)
        return output_explain(why, -EPERM, "%s is open to group or others: not a session's directory", session->dir);
    return 0;
}

static int check_header(const struct session *session, struct sentence *why)
{
    const struct sf_session_header *h = &session->last;
    if (h->magic != SF_SESSION_MAGIC)
        return output_explain(why, -EBADMSG, "%s/" SF_SESSION_FILE " is damaged: not a session's header", session->dir);
    if (h->version != SF_ABI_VERSION)
        return output_explain(why, -EBADMSG, "%s is of format version %u, this program knows version %u", session->dir,
                              h->version, SF_ABI_VERSION);
    if (!h->log_records || (h->log_records & (h->log_records - 1)) || h->log_records > 1u << 26)
        return output_explain(why, -EBADMSG, "%s/" SF_SESSION_FILE " is damaged: logs of %u records", session->dir,
                              h->log_records);
    if (h->state < SF_SESSION_ACTIVE || h->state > SF_SESSION_CLOSED)
        return output_explain(why, -EBADMSG, "%s/" SF_SESSION_FILE " is damaged: state %u", session->dir, h->state);
    return 0;
}

/* Locks the session file. A child that the dead collector had forked holds its lock too, until it calls exec: so a lock
 * that is held is tried again for a second, unless the collector is seen to run. */
static bool lock(int fd, pid_t collector)
{
    int most = liveness_is_collector(collector) ? 0 : 100;
    struct timespec pause = {.tv_nsec = 10 * NS_PER_MS};
    for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB); tries++) {
        if (errno != EWOULDBLOCK || tries == most)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

int session_take(struct session *session, const char *dir, struct sentence *why)
{
    struct stat st;
    set_closed(session);
    size_t length = strlen(dir);
    while (length > 1 && dir[length - 1] == '/') /* with a slash at its end, a symbolic link would be followed */
        length--;
    if (length >= sizeof session->dir)
        return output_explain(why, -ENAMETOOLONG, "%s: name too long", dir);
    memcpy(session->dir, dir, length);
    session->dir[length] = '\0';

    int error = 0;
    session->dir_fd = open(session->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (session->dir_fd < 0) {
        error = -errno;
        if (lstat(session->dir, &st) == 0 && S_ISLNK(st.st_mode))
            output_explain(why, 0, "%s is a symbolic link, not a session's directory", session->dir);
        else
            output_explain(why, 0, "cannot open the session %s: %s", session->dir, strerror(errno));
        return error;
    }
    error = check_dir(session, why);
    if (error)
        goto out;
    session->fd = openat(session->dir_fd, SF_SESSION_FILE, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (session->fd < 0) {
        error =
            output_explain(why, -errno, "%s has no session file that can be opened: %s", session->dir, strerror(errno));
        goto out;
    }
    if (fstat(session->fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1 ||
        st.st_size < PAGE_BYTES) {
        error = output_explain(why, -EBADMSG, "%s/" SF_SESSION_FILE " is damaged or not ours", session->dir);
        goto out;
    }
    error = map_header(session, why);
    if (!error && !file_read(session->fd, &session->last, sizeof session->last, 0))
        memset(&session->last, 0, sizeof session->last);
    if (!error)
        error = check_header(session, why);
    if (error)
        goto out;
    if (!lock(session->fd, (pid_t)session->last.collector_pid))
        error = output_explain(why, -EBUSY, "%s is still being collected", session->dir);
    else if (fstat(session->fd, &st) || !st.st_nlink)
        error = output_explain(why, -ENOENT, "%s is gone: its collector has finished it", session->dir);
    if (error)
        goto out;
    uint32_t pid = (uint32_t)getpid();
    write_field(session, &pid, sizeof pid, offsetof(struct sf_session_header, collector_pid));
out:
    if (error)
        session_close(session);
    return error;
}

void session_note_database(const struct session *session, const char *path)
{
    char real[PATH_MAX];
    if (!realpath(path, real))
        return;
    unlinkat(session->dir_fd, DATABASE_LINK, 0);
    if (symlinkat(real, session->dir_fd, DATABASE_LINK))
        return; /* as the header says, it stays unknown */
}

bool session_database(const struct session *session, char path[PATH_MAX])
{
    ssize_t n = readlinkat(session->dir_fd, DATABASE_LINK, path, PATH_MAX - 1);
    if (n < 0)
        return false;
    path[n] = '\0';
    return path[0] == '/';
}

/* Is it the name of a file that the collector or a traced process makes? */
static bool is_session_file(const char *name)
{
    return strcmp(name, SF_SESSION_FILE) == 0 || strcmp(name, DATABASE_LINK) == 0 ||
           strncmp(name, SF_LOG_PREFIX, strlen(SF_LOG_PREFIX)) == 0 ||
           strncmp(name, SPILL_PREFIX, strlen(SPILL_PREFIX)) == 0 ||
           strncmp(name, SF_SPARE_PREFIX, strlen(SF_SPARE_PREFIX)) == 0;
}

int session_remove(struct session *session, struct sentence *why)
{
    if (!session->dir[0])
        return 0;
    for (int tries = 0; tries < 5; tries++) { /* a process may be making a log at this moment */
        if (session->dir_fd >= 0) {
            unlinkat(session->dir_fd, SF_SESSION_FILE, 0); /* first, so that no process joins any more */
            int fd = openat(session->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
            for (struct dirent *entry; dir && (entry = readdir(dir));)
                if (is_session_file(entry->d_name))
                    unlinkat(session->dir_fd, entry->d_name, 0);
            if (dir)
                closedir(dir);
            else if (fd >= 0)
                close(fd);
        }
        if (rmdir(session->dir) == 0 || errno == ENOENT)
            return 0;
    }
    return output_explain(why, -errno, "cannot remove %s: %s", session->dir, strerror(errno));
}

void session_close(struct session *session)
{
    struct sf_session_header *header = session->header;
    session->header = NULL; /* before it is unmapped: a signal handler may be using it */
    if (header)
        munmap(header, PAGE_BYTES);
    int fd = session->fd;
    session->fd = -1; /* likewise */
    if (fd >= 0)
        close(fd);
    if (session->dir_fd >= 0)
        close(session->dir_fd);
    set_closed(session);
}

const char *session_name(const struct session *session)
{
    const char *slash = strrchr(session->dir, '/');
    return slash && slash[1] ? slash + 1 : session->dir;
}

/* ---- the page ---- */

uint32_t session_state(struct session *session)
{
    read_page(session);
    return session->last.state;
}

void session_set_state(struct session *session, uint32_t state)
{
    write_field(session, &state, sizeof state, offsetof(struct sf_session_header, state));
    session->last.state = state;
}

void session_set_sample_hz(struct session *session, uint32_t hz)
{
    write_field(session, &hz, sizeof hz, offsetof(struct sf_session_header, sample_hz));
    session->last.sample_hz = hz;
}

uint32_t session_lost_logs(struct session *session)
{
    read_page(session);
    return session->last.lost_logs;
}

uint32_t session_made_logs(struct session *session)
{
    read_page(session);
    return session->last.made_logs;
}

void session_grant(struct session *session, uint64_t bytes)
{
    uint64_t most = session->last.reserved_bytes + bytes + 1; /* 0 would be no limit */
    if (!session->is_damaged)
        write_field(session, &most, sizeof most, offsetof(struct sf_session_header, may_reserve));
}

/* ---- waking ---- */

uint32_t session_wake_count(struct session *session)
{
    read_page(session);
    return session->last.wake;
}

void session_wait(struct session *session, uint32_t seen, int64_t timeout_ns)
{
    struct timespec timeout = {.tv_sec = timeout_ns / NS_PER_S, .tv_nsec = timeout_ns % NS_PER_S};
    if (syscall(SYS_futex, &session->header->wake, FUTEX_WAIT, seen, &timeout, NULL, 0) && errno == EFAULT)
        nanosleep(&timeout, NULL); /* the page was cut short */
}

void session_wake(struct session *session)
{
    uint32_t wake;
    size_t offset = offsetof(struct sf_session_header, wake);
    /* Another process may count at the same moment. That is as good: the count has to change, not to be right. */
    if (!file_read(session->fd, &wake, sizeof wake, offset))
        return;
    wake++;
    file_write(session->fd, &wake, sizeof wake, offset);
    syscall(SYS_futex, &session->header->wake, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* ---- taken away ---- */

/* Is the file of that name the one that is open as `fd`? */
static bool is_there(int dir_fd, const char *name, int fd)
{
    struct stat by_name, open;
    return fstatat(dir_fd, name, &by_name, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &open) == 0 &&
           by_name.st_dev == open.st_dev && by_name.st_ino == open.st_ino;
}

/* Makes the directory anew. Everybody here goes on with the old descriptor's number. */
static void make_dir_anew(struct session *session)
{
    if (mkdir(session->dir, 0700))
        return;
    int fd = open(session->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fchmod(fd, 0700) == 0)
        dup3(fd, session->dir_fd, O_CLOEXEC);
    close(fd);
}

void session_look(struct session *session)
{
    read_page(session);
    struct stat st;
    bool dir_is_gone = fstat(session->dir_fd, &st) == 0 && !st.st_nlink;
    bool was_removed = session->removals;
    if (!dir_is_gone && (was_removed || (is_there(AT_FDCWD, session->dir, session->dir_fd) &&
                                         is_there(session->dir_fd, SF_SESSION_FILE, session->fd))))
        return;
    session->removals++;
    if (!was_removed)
        output_note(
            "somebody else has removed %s or what was in it: programs that start now cannot be traced, and logs "
            "may be lost",
            session->dir);
    if (dir_is_gone)
        make_dir_anew(session);
}
