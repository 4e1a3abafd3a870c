/* Counts messages. See pipe_numbers.h.
 *
 * A pipe's `writer` is the lock of those who write into it: 0, or the owner's thread id in the high half and in the low
 * one a time at which it lived, in units of 2^20 ns, rounded up. A process that finds the owner dead takes the lock
 * over by CAS from the owner's word; so an owner that had released the lock before it died is not taken for one that
 * died in its write. After a take-over the pipe is no longer counted, because nobody knows whether the dead owner's
 * message was written.
 *
 * The owner of `writer` adds a message to `written`, `written_check`, `checks` and `begun_bytes` before it writes, and
 * to `written_bytes` after it. `reading` is set by exchange while a message that was read is counted: its setter alone
 * changes `read`, `read_bytes` and `read_check`. It is set already where two processes read at once, or where one died
 * while it counted: then nobody knows who got which message, and the pipe is no longer counted.
 *
 * Invariants
 * - `counted` goes to 0 only, except while a pipe is made.
 * - While the pipe is counted and nobody else uses it: written_bytes <= read_bytes + bytes in the pipe <= begun_bytes,
 *   when written_bytes is loaded before the pipe is looked at and begun_bytes after it. */
#include "core/log/pipe_numbers.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/os/elsewhere.h"
#include "core/os/identity.h"

uint32_t sf_pipe_numbers_channel(uint32_t number)
{
    return sf_pipe_table_place(sf_pipe_table_is_current(number) ? number : SF_PIPE_TABLE_REST)->channel;
}

uint64_t sf_pipe_numbers_capacity(uint32_t number)
{
    return sf_pipe_table_place(number)->capacity;
}

static bool is_counted(struct sf_pipe *pipe, uint32_t number)
{
    return atomic_load(&pipe->counted) == number && sf_pipe_table_is_current(number);
}

void sf_pipe_numbers_stop(uint32_t number)
{
    atomic_compare_exchange_strong(&sf_pipe_table_place(number)->counted, &number, 0);
}

static uint32_t add_check(uint32_t running, const struct sf_pipe_message *message)
{
    return (running ^ message->check ^ (uint32_t)message->bytes) * UINT32_C(0x9e3779b1) + 1;
}

/* ---- writing ---- */

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

int sf_pipe_numbers_write_begin(uint32_t number, const struct sf_pipe_message *message, uint64_t *seq)
{
    struct sf_pipe *pipe = sf_pipe_table_place(number);
    uint64_t mine = (uint64_t)own_thread() << 32 | (uint32_t)((sf_identity_now() >> 20) + 1), owner = 0;
    *seq = 0;
    if (!is_counted(pipe, number))
        return 0; /* nothing to keep in order */
    if (!atomic_compare_exchange_strong(&pipe->writer, &owner, mine)) {
        bool nested = is_own_thread(owner); /* a signal handler writes while its own thread writes */
        /* A dead owner has not always died in its write: it may have finished its write, and then died, since we read
         * the word. It died with the lock only if the word is still its own. */
        if (!nested && !(writer_is_dead(owner) && atomic_compare_exchange_strong(&pipe->writer, &owner, mine)))
            return -EAGAIN;
        sf_pipe_numbers_stop(number);
        return 0;
    }
    if (!is_counted(pipe, number))
        return 0; /* the end releases the lock */
    *seq = atomic_fetch_add(&pipe->written, 1) + 1;
    pipe->written_check = add_check(pipe->written_check, message);
    atomic_store(&pipe->checks[*seq % SF_PIPE_TABLE_CHECKS], pipe->written_check);
    atomic_fetch_add(&pipe->begun_bytes, message->bytes);
    return 0;
}

void sf_pipe_numbers_write_end(uint32_t number, bool ok)
{
    struct sf_pipe *pipe = sf_pipe_table_place(number);
    /* Not ours: begin did not make us the writer, because the pipe was not counted; or we are a child that was forked
     * in the middle of its parent's write, and the message may be in the pipe twice. */
    bool ours = is_own_thread(atomic_load(&pipe->writer));
    if (!ok || !ours)
        sf_pipe_numbers_stop(number);
    if (ours) {
        atomic_store(&pipe->written_bytes, atomic_load(&pipe->begun_bytes));
        atomic_store(&pipe->writer, 0);
    }
}

/* ---- reading ---- */

/* Whether nobody but us has used the pipe since the last read. */
static bool is_balanced(struct sf_pipe *pipe, int fd, uint64_t bytes)
{
    int inside;
    uint64_t least = atomic_load(&pipe->written_bytes);
    if (ioctl(fd, FIONREAD, &inside) || inside < 0)
        return false;
    uint64_t there = atomic_load(&pipe->read_bytes) + bytes + (uint64_t)inside;
    return least <= there && there <= atomic_load(&pipe->begun_bytes);
}

/* Whether the checksum of message seq is `check`, or not known any more. */
static bool is_checked(struct sf_pipe *pipe, uint64_t seq, uint32_t check)
{
    uint32_t kept = atomic_load(&pipe->checks[seq % SF_PIPE_TABLE_CHECKS]);
    /* after it: a writer counts its message before it writes the checksum over an earlier one */
    uint64_t written = atomic_load(&pipe->written);
    return seq <= written && (kept == check || written - seq >= SF_PIPE_TABLE_CHECKS);
}

uint64_t sf_pipe_numbers_read(uint32_t number, int fd, const struct sf_pipe_message *message)
{
    struct sf_pipe *pipe = sf_pipe_table_place(number);
    if (!is_counted(pipe, number))
        return 0;
    if (atomic_exchange(&pipe->reading, 1)) {
        sf_pipe_numbers_stop(number);
        return 0;
    }
    uint64_t seq = atomic_load(&pipe->read) + 1;
    uint32_t check = add_check(pipe->read_check, message);
    if (is_balanced(pipe, fd, message->bytes) && is_checked(pipe, seq, check)) {
        atomic_store(&pipe->read, seq);
        pipe->read_check = check;
        atomic_fetch_add(&pipe->read_bytes, message->bytes);
    } else {
        sf_pipe_numbers_stop(number);
    }
    atomic_store(&pipe->reading, 0);
    return is_counted(pipe, number) ? seq : 0;
}

int sf_pipe_numbers_holds(uint32_t number)
{
    struct sf_pipe *pipe = sf_pipe_table_place(number);
    if (!is_counted(pipe, number))
        return -1;
    return atomic_load(&pipe->written_bytes) > atomic_load(&pipe->read_bytes);
}

/* ---- stopping ---- */

void sf_pipe_numbers_stop_fd(int fd)
{
    struct sf_pipe_end end = sf_pipe_table_look_up(fd);
    if (end.out)
        sf_pipe_numbers_stop(end.out);
    if (end.in)
        sf_pipe_numbers_stop(end.in);
}

static void stop_fd(int fd, void *context)
{
    (void)context;
    sf_pipe_numbers_stop_fd(fd);
}

void sf_pipe_numbers_stop_inherited(void)
{
    if (sf_pipe_table_address() && sf_elsewhere_each_inherited(stop_fd, NULL))
        sf_pipe_numbers_forget();
}

void sf_pipe_numbers_forget(void)
{
    sf_pipe_table_each(sf_pipe_numbers_stop);
}

bool sf_pipe_numbers_are_shared_with(pid_t pid)
{
    const void *table = sf_pipe_table_address();
    return table && sf_elsewhere_has_mapped(pid, table);
}
