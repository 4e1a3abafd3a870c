/* Numbers for the messages in pipes and sockets that others write and read: the k-th message written into one is
 * the k-th read from it, so two counters in shared memory pair them, and the message itself stays as it was.
 *
 * One table for a process and all that are forked from it after it was made. A pipe is known by its inode, which
 * all its descriptors have, also those passed to other processes. A socket pair is two pipes, one each way.
 *
 * Never a wrong pair: where something happened that makes the counts doubtful, the pipe counts no more, for ever,
 * and its messages have number 0. That is so from the start for what was not declared by sf_pipe_numbers_declare while
 * it was empty.
 *
 * Nothing here writes events or touches the pipes' content. Numbers of pipes: 1 up to SF_PIPE_NUMBERS_MAX, 0: none. */
#ifndef SF_CORE_LOG_PIPE_NUMBERS_H
#define SF_CORE_LOG_PIPE_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

#define SF_PIPE_NUMBERS_MAX 65535u

/* Makes the table, once in a tree of forks; calling it again does nothing. 0 or -errno. */
int sf_pipe_numbers_init(void);

struct sf_pipe_end {
    uint32_t out, in; /* the pipe that the descriptor writes into, and the one it reads from; may be the same */
};

/* A new, empty pair: what is written into `writer` is read from `reader`; duplex: the other way round too
 * (sockets). 0 or -errno (-ENOSPC: the table is full). */
int sf_pipe_numbers_declare(int reader, int writer, bool duplex);

/* The pipes of a descriptor of a pipe or socket; one that is not known gets numbers, but does not count. {0, 0}
 * where the table is full or the descriptor is none of these. */
struct sf_pipe_end sf_pipe_numbers_find(int fd);

bool sf_pipe_numbers_full(void);

/* What to call the pipe in events: a channel's number. */
uint32_t sf_pipe_numbers_channel(uint32_t pipe);
uint64_t
sf_pipe_numbers_capacity(uint32_t pipe); /* of what it holds before a writer blocks, in bytes, when it was made */

/* Writing. begin: makes the calling thread the pipe's only writer and gives the message its number (0: it does not
 * count). -EAGAIN: another thread or process is writing; try again after a pause. Then write, and end, with ok only
 * when the whole message was written. A writer that died in between makes the pipe uncounted. */
int sf_pipe_numbers_write_begin(uint32_t pipe, uint64_t *seq);
void sf_pipe_numbers_write_end(uint32_t pipe, bool ok);

/* Reading. begin: when there is something to read; end: gives the number of the message that was read. lost: an
 * error came instead, and bytes may be gone; quit: nothing was read. */
void sf_pipe_numbers_read_begin(uint32_t pipe);
uint64_t sf_pipe_numbers_read_end(uint32_t pipe);
void sf_pipe_numbers_read_lost(uint32_t pipe);
void sf_pipe_numbers_read_quit(uint32_t pipe);

/* From now on some process counts no more: no pipe of the table does. */
void sf_pipe_numbers_forget(void);

/* Calls visit for every pipe there is. */
void sf_pipe_numbers_each(void (*visit)(uint32_t pipe));

#endif
