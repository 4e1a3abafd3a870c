/* The table of pipes. See pipes.h.
 *
 * ends: a hash table by inode, open addressing, no deletion; an inode that comes again is another pipe's, the old
 * one being gone, and its place is written anew. Who writes a place: he who sets its key from 0, or declares it
 * again.
 *
 * A pipe's `writer` is its lock: 0, or the owner's thread id in the high half and a time at which it lived, in
 * units of 2^20 ns, rounded up, in the low one. Whoever finds the owner dead takes it over by CAS, and the pipe
 * counts no more, for nobody knows whether the dead one's message was written. `reading` is set while a message is
 * taken out: set by another already, two read at once or one died in it, and nobody knows who got what. */
#include "core/log/pipe_numbers.h"

#include "core/log/log.h"
#include "core/os/identity.h"
#include "core/os/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ENDS = 1 << 17, PROBES = 64 };

struct end {
    _Atomic uint64_t key;     /* of the inode; 0: free */
    _Atomic uint64_t numbers; /* out in the high half, in in the low one; 0: not written yet. Release, acquire */
};

struct pipe {
    _Atomic uint64_t writer;
    _Atomic uint64_t written, read; /* messages; relaxed: ordered by the pipe itself, and by writer */
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

static uint64_t key_of(const struct stat *st)
{
    return (uint64_t)st->st_ino << 1 | (S_ISFIFO(st->st_mode) ? 1 : 0);
}

/* The place of that key, found or new; NULL: no room. */
static struct end *place_of(uint64_t key)
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

static uint32_t make_pipe(int fd, bool socket, bool counts)
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
    atomic_store(&pipe->uncounted, !counts);
    return made + 1;
}

static int put(struct end *end, uint32_t out, uint32_t in)
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
    int error = put(place_of(key_of(&write_end)), there, back);
    if (!error && key_of(&read_end) != key_of(&write_end))
        error = put(place_of(key_of(&read_end)), back, there);
    return error;
}

struct sf_pipe_end sf_pipe_numbers_find(int fd)
{
    struct sf_pipe_end none = {0, 0};
    struct stat st;
    if (!table || fstat(fd, &st) || !(S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
        return none;
    struct end *end = place_of(key_of(&st));
    if (!end)
        return none;
    uint64_t numbers = atomic_load_explicit(&end->numbers, memory_order_acquire);
    if (!numbers) { /* another process may be at the same: then the later one's numbers stand, and neither counts */
        bool socket = S_ISSOCK(st.st_mode);
        uint32_t out = make_pipe(fd, socket, false), in = socket ? make_pipe(fd, true, false) : out;
        if (put(end, out, in))
            return none;
        numbers = atomic_load_explicit(&end->numbers, memory_order_acquire);
    }
    return (struct sf_pipe_end){(uint32_t)(numbers >> 32), (uint32_t)numbers};
}

bool sf_pipe_numbers_full(void)
{
    return table && atomic_load(&table->pipes) >= SF_PIPE_NUMBERS_MAX;
}

uint32_t sf_pipe_numbers_channel(uint32_t pipe)
{
    return table->pipe[pipe].channel;
}

uint64_t sf_pipe_numbers_capacity(uint32_t pipe)
{
    return table->pipe[pipe].capacity;
}

static void stop_counting(struct pipe *pipe)
{
    atomic_store(&pipe->uncounted, 1);
}

static uint64_t next_number(struct pipe *pipe, _Atomic uint64_t *counter)
{
    if (atomic_load(&pipe->uncounted))
        return 0;
    return atomic_fetch_add_explicit(counter, 1, memory_order_relaxed) + 1;
}

static uint64_t own_word(void)
{
    static __thread pid_t process, thread;
    if (process != getpid()) {
        process = getpid();
        thread = (pid_t)syscall(SYS_gettid);
    }
    return (uint64_t)thread << 32 | (uint32_t)((sf_identity_now() >> 20) + 1);
}

static bool is_dead(uint64_t word)
{
    /* the low half is the time since boot, cut to 32 bits: 52 days; what is missing is taken from now */
    uint64_t now = sf_identity_now() >> 20, since = (now & ~UINT64_C(0xffffffff)) | (uint32_t)word;
    if (since > now + 1)
        since -= UINT64_C(1) << 32;
    return !sf_identity_alive((pid_t)(word >> 32), since << 20);
}

int sf_pipe_numbers_write_begin(uint32_t number, uint64_t *seq)
{
    struct pipe *pipe = &table->pipe[number];
    uint64_t mine = own_word(), owner = 0;
    *seq = 0;
    if (atomic_load(&pipe->uncounted))
        return 0; /* nothing to keep in order */
    if (!atomic_compare_exchange_strong(&pipe->writer, &owner, mine)) {
        bool nested = owner >> 32 == mine >> 32; /* a signal handler writes while its own thread writes */
        /* Found dead is not yet died in its write: it may have ended its write and its life since we read the word.
         * Only if the word is still the same did it die with the lock. */
        if (!nested && !(is_dead(owner) && atomic_compare_exchange_strong(&pipe->writer, &owner, mine)))
            return -EAGAIN;
        stop_counting(pipe);
        return 0;
    }
    *seq = next_number(pipe, &pipe->written);
    return 0;
}

void sf_pipe_numbers_write_end(uint32_t number, bool ok)
{
    struct pipe *pipe = &table->pipe[number];
    if (!ok)
        stop_counting(pipe);
    atomic_store(&pipe->writer, 0); /* where it is not ours, nothing counts any more */
}

void sf_pipe_numbers_read_begin(uint32_t number)
{
    struct pipe *pipe = &table->pipe[number];
    if (atomic_exchange(&pipe->reading, 1))
        stop_counting(pipe);
}

uint64_t sf_pipe_numbers_read_end(uint32_t number)
{
    struct pipe *pipe = &table->pipe[number];
    uint64_t seq = next_number(pipe, &pipe->read);
    atomic_store(&pipe->reading, 0);
    return seq;
}

void sf_pipe_numbers_read_lost(uint32_t number)
{
    stop_counting(&table->pipe[number]);
}

void sf_pipe_numbers_read_quit(uint32_t number)
{
    atomic_store(&table->pipe[number].reading, 0);
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
