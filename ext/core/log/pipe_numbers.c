/* The table of pipes. See pipe_numbers.h.
 *
 * ends: a hash table from inodes to pipes, with open addressing and no deletion. When an inode number is used again,
 * the pipe that had it is gone, and the new pipe's declaration overwrites the entry. A process that declares a pipe
 * writes its entry; so does the first that finds an entry without numbers.
 *
 * A pipe's `writer` is the lock of those who write into it: 0, or the owner's thread id in the high half and in the low
 * one a time at which it lived, in units of 2^20 ns, rounded up. A process that finds the owner dead takes the lock
 * over by CAS from the owner's word; so an owner that had released the lock before it died is not taken for one that
 * died in its write. After a take-over the pipe is no longer counted, because nobody knows whether the dead owner's
 * message was written.
 *
 * `reading` is set while a message is taken out. If it is set already, two processes read at once, or one died while it
 * read: then nobody knows who got which message, and the pipe is no longer counted.
 *
 * Invariants
 * - `uncounted` only goes from 0 to 1, except while a pipe is made.
 * - While the pipe is counted, only the owner of `writer` adds to `written`. */
#include "core/log/pipe_numbers.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/log/log.h"
#include "core/os/identity.h"
#include "core/os/shm.h"

/* Entries of the hash table, and how many are tried for one key. The table is half full at most, because a pipe has one
 * inode, and two pipes of a socket pair have two. */
enum { ENDS = 1 << 17, PROBES = 64 };

struct end {
    _Atomic uint64_t key;     /* of the inode; 0: the entry is free */
    _Atomic uint64_t numbers; /* `out` in the high half, `in` in the low one; 0: not written yet. Release, acquire */
};

struct pipe {
    _Atomic uint64_t writer;
    _Atomic uint64_t written, read; /* messages; relaxed: ordered by the pipe itself, and by `writer` */
    _Atomic uint32_t reading;
    _Atomic uint32_t uncounted;
    uint64_t capacity;
    uint32_t channel;
};

static struct table {
    _Atomic uint32_t pipes; /* how many there are; the first has number 1 */
    struct end ends[ENDS];
    struct pipe pipe[SF_PIPE_NUMBERS_MAX + 1];
} * table;

int sf_pipe_numbers_init(void)
{
    void *mapped;
    if (table)
        return 0;
    int error = sf_shm_map(&mapped, sizeof *table);
    if (!error)
        table = mapped;
    return error;
}

static uint64_t inode_key(const struct stat *st)
{
    return (uint64_t)st->st_ino << 1 | (S_ISFIFO(st->st_mode) ? 1 : 0);
}

/* The entry of that key, found or new; NULL: no room. */
static struct end *end_of_key(uint64_t key)
{
    uint64_t hash = key * UINT64_C(0x9e3779b97f4a7c15) >> 32;
    for (uint64_t i = 0; i < PROBES; i++) {
        struct end *end = &table->ends[(hash + i) % ENDS];
        uint64_t there = 0;
        if (atomic_compare_exchange_strong(&end->key, &there, key) || there == key)
            return end;
    }
    return NULL;
}

/* Its number; 0: the table is full. */
static uint32_t make_pipe(int fd, bool socket, bool counted)
{
    uint32_t made = atomic_load(&table->pipes);
    do
        if (made >= SF_PIPE_NUMBERS_MAX)
            return 0;
    while (!atomic_compare_exchange_weak(&table->pipes, &made, made + 1));
    struct pipe *pipe = &table->pipe[made + 1];
    int bytes = 0;
    socklen_t size = sizeof bytes;
    if (socket)
        getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, &size);
    else
        bytes = fcntl(fd, F_GETPIPE_SZ);
    pipe->capacity = bytes > 0 ? (uint64_t)bytes : 0;
    pipe->channel = sf_log_next_channel();
    atomic_store(&pipe->uncounted, !counted);
    return made + 1;
}

/* Writes an entry. 0, or -ENOSPC: there is no entry or no pipe. */
static int set_numbers(struct end *end, uint32_t out, uint32_t in)
{
    if (!end || !out || !in)
        return -ENOSPC;
    atomic_store_explicit(&end->numbers, (uint64_t)out << 32 | in, memory_order_release);
    return 0;
}

int sf_pipe_numbers_declare(int reader, int writer, bool duplex)
{
    struct stat read_end, write_end;
    if (!table)
        return -EINVAL;
    if (fstat(reader, &read_end) || fstat(writer, &write_end))
        return -errno;
    bool socket = S_ISSOCK(write_end.st_mode);
    uint32_t there = make_pipe(writer, socket, true), back = duplex ? make_pipe(reader, socket, true) : there;
    int error = set_numbers(end_of_key(inode_key(&write_end)), there, back);
    if (!error && inode_key(&read_end) != inode_key(&write_end))
        error = set_numbers(end_of_key(inode_key(&read_end)), back, there);
    return error;
}

struct sf_pipe_end sf_pipe_numbers_find(int fd)
{
    struct sf_pipe_end none = {0, 0};
    struct stat st;
    if (!table || fstat(fd, &st) || !(S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
        return none;
    struct end *end = end_of_key(inode_key(&st));
    if (!end)
        return none;
    uint64_t numbers = atomic_load_explicit(&end->numbers, memory_order_acquire);
    if (!numbers) { /* another process may do the same now; then the later numbers stay. Neither pipe is counted */
        bool socket = S_ISSOCK(st.st_mode);
        uint32_t out = make_pipe(fd, socket, false), in = socket ? make_pipe(fd, true, false) : out;
        if (set_numbers(end, out, in))
            return none;
        numbers = atomic_load_explicit(&end->numbers, memory_order_acquire);
    }
    return (struct sf_pipe_end){(uint32_t)(numbers >> 32), (uint32_t)numbers};
}

bool sf_pipe_numbers_full(void)
{
    return table && atomic_load(&table->pipes) >= SF_PIPE_NUMBERS_MAX;
}

static struct pipe *pipe_of_number(uint32_t number)
{
    assert(table && number >= 1 && number <= atomic_load(&table->pipes));
    return &table->pipe[number];
}

uint32_t sf_pipe_numbers_channel(uint32_t number)
{
    return pipe_of_number(number)->channel;
}

uint64_t sf_pipe_numbers_capacity(uint32_t number)
{
    return pipe_of_number(number)->capacity;
}

static void stop_counting(struct pipe *pipe)
{
    atomic_store(&pipe->uncounted, 1);
}

/* The number of the next message; 0: the pipe is not counted. */
static uint64_t count_message(struct pipe *pipe, _Atomic uint64_t *counter)
{
    if (atomic_load(&pipe->uncounted))
        return 0;
    return atomic_fetch_add_explicit(counter, 1, memory_order_relaxed) + 1;
}

static pid_t own_thread(void)
{
    static __thread pid_t process, thread;
    if (process != getpid()) { /* the first call, or the first after a fork */
        process = getpid();
        thread = (pid_t)syscall(SYS_gettid);
    }
    return thread;
}

static bool is_own_thread(uint64_t word)
{
    return word >> 32 == (uint64_t)own_thread();
}

static bool writer_is_dead(uint64_t word)
{
    /* The low half is the time since boot, cut to 32 bits, which are 52 days: the rest is taken from now. */
    uint64_t now = sf_identity_now() >> 20, since = (now & ~UINT64_C(0xffffffff)) | (uint32_t)word;
    if (since > now + 1)
        since -= UINT64_C(1) << 32;
    return !sf_identity_alive((pid_t)(word >> 32), since << 20);
}

int sf_pipe_numbers_write_begin(uint32_t number, uint64_t *seq)
{
    struct pipe *pipe = pipe_of_number(number);
    uint64_t mine = (uint64_t)own_thread() << 32 | (uint32_t)((sf_identity_now() >> 20) + 1), owner = 0;
    *seq = 0;
    if (atomic_load(&pipe->uncounted))
        return 0; /* nothing to keep in order */
    if (!atomic_compare_exchange_strong(&pipe->writer, &owner, mine)) {
        bool nested = is_own_thread(owner); /* a signal handler writes while its own thread writes */
        /* A dead owner has not always died in its write: it may have finished its write, and then died, since we read
         * the word. It died with the lock only if the word is still its own. */
        if (!nested && !(writer_is_dead(owner) && atomic_compare_exchange_strong(&pipe->writer, &owner, mine)))
            return -EAGAIN;
        stop_counting(pipe);
        return 0;
    }
    *seq = count_message(pipe, &pipe->written);
    return 0;
}

void sf_pipe_numbers_write_end(uint32_t number, bool ok)
{
    struct pipe *pipe = pipe_of_number(number);
    /* Not ours: begin did not make us the writer, because the pipe was not counted; or we are a child that was forked
     * in the middle of its parent's write, and the message may be in the pipe twice. */
    bool ours = is_own_thread(atomic_load(&pipe->writer));
    if (!ok || !ours)
        stop_counting(pipe);
    if (ours)
        atomic_store(&pipe->writer, 0);
}

void sf_pipe_numbers_read_begin(uint32_t number)
{
    struct pipe *pipe = pipe_of_number(number);
    if (atomic_exchange(&pipe->reading, 1))
        stop_counting(pipe);
}

uint64_t sf_pipe_numbers_read_end(uint32_t number)
{
    struct pipe *pipe = pipe_of_number(number);
    uint64_t seq = count_message(pipe, &pipe->read);
    atomic_store(&pipe->reading, 0);
    return seq;
}

void sf_pipe_numbers_read_lost(uint32_t number)
{
    stop_counting(pipe_of_number(number));
}

void sf_pipe_numbers_read_quit(uint32_t number)
{
    atomic_store(&pipe_of_number(number)->reading, 0);
}

void sf_pipe_numbers_forget(void)
{
    for (uint32_t i = 1; table && i <= atomic_load(&table->pipes); i++)
        stop_counting(&table->pipe[i]);
}

void sf_pipe_numbers_each(void (*visit)(uint32_t pipe))
{
    for (uint32_t i = 1; table && i <= atomic_load(&table->pipes); i++)
        visit(i);
}
