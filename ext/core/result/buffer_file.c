/* Large buffers as files without a name. See buffer_file.h.
 *
 * Invariant: memory that is given out lies one page behind the beginning of a region of its own, and that page begins
 * with the length of the buffer. */
#include "core/result/buffer_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/os/shm.h"

#ifndef F_SEAL_FUTURE_WRITE /* Linux 5.1. F_SEAL_WRITE may wait for the kernel, this one does not */
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define PAGE ((uint64_t)SF_SHM_PAGE_BYTES)
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW) /* nobody can cut it off below a mapping */
#define MOST_BYTES ((uint64_t)1 << 46)      /* more than an address space */

static _Atomic int mapped; /* buffers that this process has; a fork copies them, and the number */

/* ---- in the sender ---- */

static int write_all(int fd, const char *from, uint64_t bytes)
{
    for (uint64_t at = 0; at < bytes;) {
        ssize_t n = pwrite(fd, from + at, bytes - at, (off_t)at);
        if (n < 0 && errno != EINTR)
            return -errno;
        at += n > 0 ? (uint64_t)n : 0;
    }
    /* nobody writes in any case: an older kernel cannot say so */
    return fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_FUTURE_WRITE) && fcntl(fd, F_ADD_SEALS, SEALS) ? -errno : 0;
}

/* Beyond its limit a write would raise SIGXFSZ. */
static bool is_within_limit(uint64_t bytes)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) || limit.rlim_cur == RLIM_INFINITY || bytes <= limit.rlim_cur;
}

int sf_buffer_file_write(struct sf_own_fd *file, const void *from, uint64_t bytes)
{
    *file = SF_OWN_FD_NONE;
    if (!is_within_limit(bytes))
        return -EFBIG;
    int fd = memfd_create("snakefish-buffer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int error = sf_own_fd_take(file, fd < 0 ? -errno : fd);
    if (!error)
        error = write_all(file->fd, from, bytes);
    if (error)
        sf_own_fd_close(file);
    return error;
}

struct sf_buffer_offer sf_buffer_file_offer(const struct sf_own_fd *file, uint64_t bytes)
{
    return (struct sf_buffer_offer){file->fd, file->device, file->inode, bytes};
}

/* ---- in the receiver ---- */

static bool is_offered(const struct stat *status, const struct sf_buffer_offer *offer)
{
    return S_ISREG(status->st_mode) && status->st_dev == offer->device && status->st_ino == offer->inode &&
           (uint64_t)status->st_size == offer->bytes;
}

/* A descriptor of the offered file, or -errno. Where /proc is of another pid namespace, the path may be anything: it is
 * looked at before it is opened, which could block. */
static int open_offered(pid_t sender, const struct sf_buffer_offer *offer)
{
    char path[48];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)sender, (int)offer->fd);
    if (stat(path, &status))
        return -errno;
    if (!is_offered(&status, offer))
        return -ESTALE;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    int seals = fcntl(fd, F_GET_SEALS);
    if (!fstat(fd, &status) && is_offered(&status, offer) && seals >= 0 && (seals & SEALS) == SEALS)
        return fd;
    close(fd);
    return -ESTALE;
}

/* A region for a buffer, which costs no memory but its first page. NULL: there is no address space. */
static void *new_region(uint64_t bytes)
{
    void *region = mmap(NULL, PAGE + bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (region == MAP_FAILED)
        return NULL;
    *(uint64_t *)region = bytes;
    return (char *)region + PAGE;
}

/* Puts the file in the place of a region's memory. NULL, with errno: it cannot be mapped. */
static void *map_file(int fd, uint64_t bytes)
{
    void *memory = new_region(bytes);
    if (!memory)
        return NULL;
    if (mmap(memory, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0) != MAP_FAILED)
        return memory;
    int error = errno;
    munmap((char *)memory - PAGE, PAGE + bytes);
    errno = error;
    return NULL;
}

int sf_buffer_file_map(void **memory, pid_t sender, const struct sf_buffer_offer *offer)
{
    if (offer->bytes == 0 || offer->bytes > MOST_BYTES)
        return -EINVAL;
    if (atomic_fetch_add_explicit(&mapped, 1, memory_order_relaxed) >= SF_BUFFER_FILE_MOST) { /* it orders nothing */
        atomic_fetch_sub_explicit(&mapped, 1, memory_order_relaxed);
        return -ENFILE;
    }
    int fd = open_offered(sender, offer), error = fd < 0 ? fd : 0;
    if (!error) {
        *memory = map_file(fd, offer->bytes);
        error = *memory ? 0 : -errno;
        close(fd);
    }
    if (error)
        atomic_fetch_sub_explicit(&mapped, 1, memory_order_relaxed);
    return error;
}

/* ---- memory ---- */

void *sf_buffer_new(uint64_t bytes)
{
    void *memory = bytes <= MOST_BYTES ? new_region(bytes) : NULL;
    if (memory)
        atomic_fetch_add_explicit(&mapped, 1, memory_order_relaxed);
    return memory;
}

uint64_t sf_buffer_bytes(const void *memory)
{
    return *(const uint64_t *)((const char *)memory - PAGE);
}

void *sf_buffer_resize(void *memory, uint64_t bytes)
{
    uint64_t old = sf_buffer_bytes(memory);
    void *other = sf_buffer_new(bytes);
    if (!other)
        return NULL;
    sf_shm_will_fill(other, bytes < old ? bytes : old);
    memcpy(other, memory, bytes < old ? bytes : old);
    sf_buffer_free(memory);
    return other;
}

void sf_buffer_free(void *memory)
{
    if (!memory)
        return;
    munmap((char *)memory - PAGE, PAGE + sf_buffer_bytes(memory));
    atomic_fetch_sub_explicit(&mapped, 1, memory_order_relaxed);
}
