/* See writer.h. The record lock on the log names its holder in our own numbers, so it is asked first. A pidfd that was
 * opened between two looks at the lock, both with the same answer, is the holder's: the lock ends with its process.
 * Without a lock, because the program has closed the descriptor or has ended, a pid of our own namespace will do, with
 * the time since which the process must have lived. */
#include "collect/writer.h"

#include <fcntl.h>
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

uint32_t writer_own_space(void)
{
    static struct stat st; /* a process never changes its own pid namespace */
    if (!st.st_ino && stat("/proc/self/ns/pid", &st))
        st.st_ino = 0;
    return (uint32_t)st.st_ino;
}

void writer_open(struct writer *writer, int fd, pid_t pid, uint32_t space, int64_t age_ns)
{
    memset(writer, 0, sizeof *writer);
    writer->process.pidfd = -1;
    for (pid_t held; (held = holder(fd)) > 0; liveness_close(&writer->process)) {
        liveness_open(&writer->process, held, 0);
        writer->pid = held;
        if (holder(fd) == held)
            return;
        writer->pid = 0;
    }
    bool here = !space || !writer_own_space() || space == writer_own_space();
    if (here && holder(fd) < 0) {
        writer->pid = pid;
        liveness_open(&writer->process, pid, age_ns);
    }
    writer->end_is_unknown = writer_has_ended(writer) || !writer->pid;
}

void writer_close(struct writer *writer)
{
    liveness_close(&writer->process);
}

bool writer_has_ended(struct writer *writer)
{
    return writer->pid ? liveness_is_over(&writer->process) : writer->is_over;
}

bool writer_is_over(struct writer *writer, int fd)
{
    if (writer->is_over || (writer->pid && !liveness_is_over(&writer->process)))
        return writer->is_over;
    enum lease lease = lease_look(fd);
    writer->is_over = lease == LEASE_FREE || (lease == LEASE_UNKNOWN && writer->pid);
    return writer->is_over;
}
