/* A memfd without a descriptor: one page that stays mapped, and a window that moves over the rest. See result_memory.h.
 *
 * Invariants: the seal is valid only when everything is there; the child writes it by a release store after all else,
 * and the parent reads it after the child's death. No byte at or behind `room` is ever touched: there is no memory.
 * mremap makes the window out of the page's mapping (an old size of 0 maps the same pages again), and moves it by
 * growing it at its end and unmapping its beginning. So a result takes no more address space than its own bytes and two
 * windows. */
#include "core/result/result_memory.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/os/pid.h"
#include "core/os/shm.h"

#define PAGE ((uint64_t)SF_SHM_PAGE_BYTES)
#define WINDOW ((uint64_t)1 << 20)        /* fits into the second level cache, from which it is copied on */
#define ROOM ((uint64_t)1 << 46)          /* more than an address space */
#define FREED_BYTES ((uint64_t)64 << 10)  /* the memory of smaller ones is not worth the system calls */
#define SEED UINT64_C(0x3253455246414e53) /* "SNAFRES2" in memory */

struct sf_result_header {
    _Atomic uint64_t seal;
    uint64_t bytes; /* of all, header included; also while it is being written */
    struct {
        uint64_t tag, bytes, head;
    } part[SF_RESULT_MEMORY_PARTS];
};

static_assert(sizeof(struct sf_result_header) == 64, "as result_memory.h draws it");

static uint64_t seal_of(const struct sf_result_header *header)
{
    uint64_t seal = (SEED ^ header->bytes) * UINT64_C(0x9e3779b97f4a7c15);
    for (int i = 0; i < SF_RESULT_MEMORY_PARTS; i++) {
        seal = (seal ^ seal >> 29 ^ header->part[i].tag) * UINT64_C(0x9e3779b97f4a7c15);
        seal = (seal ^ seal >> 29 ^ header->part[i].bytes) * UINT64_C(0x9e3779b97f4a7c15);
        seal = (seal ^ seal >> 29 ^ header->part[i].head) * UINT64_C(0x9e3779b97f4a7c15);
    }
    return seal | 1;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t whole_pages(uint64_t bytes)
{
    return (bytes + PAGE - 1) & ~(PAGE - 1);
}

/* ---- making and freeing ---- */

/* Gives the file its first page. A write into it fails where there is no memory; through a mapping that would be
 * SIGBUS. 0 or -errno. */
static int write_first_page(int fd)
{
    ssize_t n;
    do
        n = pwrite(fd, "", 1, 0);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

/* Gives the file its first page, and maps it. The page is reserved through the mapping, because that saves the parent
 * a page fault when it reads. 0 or -errno. */
static int map_first_page(int fd, void **page)
{
    void *mapped = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED)
        return -errno;
    int error = sf_shm_reserve(mapped, PAGE);
    if (error == -EINVAL) /* before Linux 5.14 */
        error = write_first_page(fd);
    if (error) {
        munmap(mapped, PAGE);
        return error == -EFAULT ? -ENOMEM : error;
    }
    *page = mapped;
    return 0;
}

static int map_file(void **page, uint64_t room)
{
    int fd = memfd_create("snakefish-result", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = ftruncate(fd, (off_t)room) ? -errno : map_first_page(fd, page);
    close(fd);
    return error;
}

/* 0: no file may have a page. */
static uint64_t room_of_file(void)
{
    struct rlimit limit;
    bool is_limited = getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < ROOM;
    return is_limited ? limit.rlim_cur & ~(PAGE - 1) : ROOM;
}

uint64_t sf_result_memory_room(void)
{
    uint64_t room = room_of_file();
    return room ? room : PAGE;
}

int sf_result_memory_map(struct sf_result_memory *memory)
{
    void *page = NULL;
    uint64_t room = room_of_file();
    int error;
    if (room) {
        error = map_file(&page, room);
    } else { /* memory without a file */
        room = PAGE;
        error = sf_shm_map(&page, PAGE);
    }
    *memory = (struct sf_result_memory){0};
    if (error)
        return error;
    memory->page = page;
    memory->room = room;
    memory->owner = sf_pid_own();
    return 0;
}

bool sf_result_memory_renew(struct sf_result_memory *memory)
{
    if (memory->page->bytes > PAGE || memory->window || memory->owner != sf_pid_own())
        return false;
    memset(memory->page, 0, sizeof *memory->page);
    return true;
}

static void close_window(struct sf_result_memory *memory)
{
    if (memory->window)
        munmap(memory->window, WINDOW);
    memory->window = NULL;
    memory->window_at = 0;
}

/* Frees what is behind the first page, for all processes. Without address space it is freed when the last one that has
 * it mapped ends. */
static void free_pages(struct sf_result_memory *memory)
{
    uint64_t bytes = whole_pages(least(memory->page->bytes, memory->room));
    void *all = mremap(memory->page, 0, bytes, MREMAP_MAYMOVE);
    if (all == MAP_FAILED)
        return;
    sf_shm_give_back((char *)all + PAGE, bytes - PAGE);
    munmap(all, bytes);
}

void sf_result_memory_unmap(struct sf_result_memory *memory)
{
    if (!memory->page)
        return;
    close_window(memory);
    if (memory->page->bytes >= FREED_BYTES && memory->owner == sf_pid_own())
        free_pages(memory);
    munmap(memory->page, PAGE);
    *memory = (struct sf_result_memory){0};
}

/* ---- the window ---- */

/* How many bytes from `at` on are within one window, at most `bytes`. */
static uint64_t within_window(uint64_t at, uint64_t bytes)
{
    return least(WINDOW - at % WINDOW, bytes);
}

/* Frees the window's pages but the header's. */
static void free_window(struct sf_result_memory *memory)
{
    uint64_t from = memory->window_at ? 0 : PAGE;
    sf_shm_give_back(memory->window + from, WINDOW - from);
}

/* Where bytes [at, at + bytes) are, which are within one window: in the first page, or in the window, which moves
 * forward to them. frees: what it leaves is freed. *moved: it moved. 0 or -ENOMEM. */
static int reach(struct sf_result_memory *memory, uint64_t at, uint64_t bytes, bool frees, char **place, bool *moved)
{
    assert(at >= memory->window_at && at + bytes <= memory->room && bytes <= within_window(at, bytes));
    *moved = false;
    *place = (char *)memory->page + at;
    if (at + bytes <= PAGE)
        return 0;
    while (!memory->window || at >= memory->window_at + WINDOW) {
        char *next = memory->window ? mremap(memory->window, WINDOW, 2 * WINDOW, MREMAP_MAYMOVE)
                                    : mremap(memory->page, 0, WINDOW, MREMAP_MAYMOVE);
        if (next == MAP_FAILED)
            return -ENOMEM; /* or EAGAIN, where the program has locked its memory */
        if (memory->window) {
            memory->window = next;
            if (frees)
                free_window(memory);
            munmap(next, WINDOW);
            next += WINDOW;
            memory->window_at += WINDOW;
        }
        memory->window = next;
        *moved = true;
    }
    *place = memory->window + (at - memory->window_at);
    return 0;
}

/* ---- writing, in the child ---- */

/* Gives each page its memory by a system call that writes into it: where there is none, that is an error. */
static int touch(char *from, uint64_t bytes)
{
    for (uint64_t at = 0; at < bytes; at += PAGE)
        if (syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, from + at, sizeof(uint64_t)))
            return -ENOMEM;
    return 0;
}

/* The pages are fresh, so their content does not matter, but for the first one's, which has its memory. */
static int reserve(struct sf_result_memory *memory, uint64_t total)
{
    uint64_t from = memory->window_at ? 0 : PAGE, bytes = whole_pages(least(total - memory->window_at, WINDOW)) - from;
    int error = sf_shm_reserve(memory->window + from, bytes);
    if (error == -EINVAL) /* before Linux 5.14 */
        error = touch(memory->window + from, bytes);
    return error == -EFAULT ? -ENOMEM : error;
}

static int put(struct sf_result_memory *memory, uint64_t total, uint64_t at, const char *from, uint64_t bytes)
{
    while (bytes) {
        bool moved;
        char *to;
        uint64_t piece = within_window(at, bytes);
        int error = reach(memory, at, piece, false, &to, &moved);
        if (!error && moved)
            error = reserve(memory, total);
        if (error)
            return error;
        memcpy(to, from, piece);
        from += piece;
        bytes -= piece;
        at += piece;
    }
    return 0;
}

static int put_parts(struct sf_result_memory *memory, uint64_t total, const struct sf_result_part *parts)
{
    uint64_t at = sizeof *memory->page;
    for (int i = 0; i < SF_RESULT_MEMORY_PARTS; i++)
        for (int j = 0; j < parts[i].count; j++) {
            const struct iovec *piece = &parts[i].pieces[j];
            int error = put(memory, total, at, piece->iov_base, piece->iov_len);
            if (error)
                return error;
            at += piece->iov_len;
        }
    assert(at == total);
    return 0;
}

int sf_result_memory_write(struct sf_result_memory *memory, const struct sf_result_part parts[SF_RESULT_MEMORY_PARTS])
{
    struct sf_result_header *header = memory->page;
    uint64_t total = sizeof *header;
    atomic_store_explicit(&header->seal, 0, memory_order_relaxed);
    for (int i = 0; i < SF_RESULT_MEMORY_PARTS; i++) {
        header->part[i].tag = parts[i].tag;
        header->part[i].bytes = parts[i].bytes;
        header->part[i].head = 0;
        if (parts[i].count && parts[i].pieces[0].iov_len >= sizeof header->part[i].head)
            memcpy(&header->part[i].head, parts[i].pieces[0].iov_base, sizeof header->part[i].head);
        total += parts[i].bytes;
    }
    if (total > memory->room)
        return -EFBIG;
    header->bytes = total;
    int error = put_parts(memory, total, parts);
    close_window(memory);
    if (error)
        free_pages(memory);
    else /* release: the partner is the parent's load in sf_result_memory_parts */
        atomic_store_explicit(&header->seal, seal_of(header), memory_order_release);
    return error;
}

/* ---- taking, in the parent ---- */

int sf_result_memory_parts(const struct sf_result_memory *memory, struct sf_result_part parts[SF_RESULT_MEMORY_PARTS])
{
    const struct sf_result_header *header = memory->page;
    uint64_t offset = sizeof *header;
    if (atomic_load_explicit(&header->seal, memory_order_acquire) != seal_of(header))
        return -ENODATA;
    for (int i = 0; i < SF_RESULT_MEMORY_PARTS; i++) {
        parts[i] = (struct sf_result_part){.tag = (uint32_t)header->part[i].tag,
                                           .bytes = header->part[i].bytes,
                                           .offset = offset,
                                           .head = header->part[i].head};
        if (parts[i].bytes > memory->room - offset) /* offset <= room */
            return -ENODATA;
        offset += parts[i].bytes;
    }
    return offset == header->bytes ? 0 : -ENODATA;
}

int64_t sf_result_memory_take(struct sf_result_memory *memory, uint64_t offset, uint64_t bytes, void *to)
{
    bool moved;
    char *from;
    uint64_t piece = within_window(offset, bytes);
    int error = reach(memory, offset, piece, true, &from, &moved);
    if (!error && offset + piece > PAGE)
        error = sf_shm_will_read(from, piece);
    if (error)
        return error;
    memcpy(to, from, piece);
    return (int64_t)piece;
}
