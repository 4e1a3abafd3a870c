/* Numbers for the messages in other programs' pipes and sockets. The k-th message written into a pipe is the k-th read
 * from it. So two counters in shared memory pair them, and the message itself stays as it was.
 *
 * There is one table for a process and all that are forked from it after the table was made. A pipe is known by its
 * inode, which all its descriptors have, also those passed to other processes. A socket pair is two pipes, one each
 * way.
 *
 * No pair is ever wrong: when something happens that makes the counts doubtful, the pipe is no longer counted, for
 * good, and its messages have number 0. A pipe that was not declared by sf_pipe_numbers_declare while it was empty is
 * never counted.
 *
 * Nothing here writes events or touches the pipes' content. Pipes are numbered from 1 to SF_PIPE_NUMBERS_MAX; 0: none.
 */
#ifndef SF_CORE_LOG_PIPE_NUMBERS_H
#define SF_CORE_LOG_PIPE_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

#define SF_PIPE_NUMBERS_MAX 65535u

/* Makes the table, once in a tree of forks. Calling it again does nothing. 0 or -errno. */
int sf_pipe_numbers_init(void);

struct sf_pipe_end {
    uint32_t out, in; /* the pipe that the descriptor writes into and the one it reads from; may be the same */
};

/* Declares a new, empty pair of descriptors: what is written into `writer` is read from `reader`; duplex: and the other
 * way round (sockets). 0 or -errno (-ENOSPC: the table is full). */
int sf_pipe_numbers_declare(int reader, int writer, bool duplex);

/* The pipes of a descriptor of a pipe or socket. If it is not known yet, its pipes get numbers but are not counted.
 * {0, 0}: the table is full, or it is a descriptor of something else. */
struct sf_pipe_end sf_pipe_numbers_find(int fd);

/* Whether there are SF_PIPE_NUMBERS_MAX pipes. */
bool sf_pipe_numbers_full(void);

/* The channel number that stands for the pipe in events. */
uint32_t sf_pipe_numbers_channel(uint32_t number);

/* How many bytes the pipe held before a writer blocked, when it was first seen. */
uint64_t sf_pipe_numbers_capacity(uint32_t number);

/* Writing. begin makes the calling thread the pipe's only writer and gives the message its number (0: not counted).
 * -EAGAIN: another thread or process is writing; try again after a pause. After begin write the message, then call end,
 * with ok if the whole message was written. If a writer dies in between, the pipe is no longer counted. */
int sf_pipe_numbers_write_begin(uint32_t number, uint64_t *seq);
void sf_pipe_numbers_write_end(uint32_t number, bool ok);

/* Reading. Call begin when there is something to read, then read, then one of: end, which gives the number of the
 * message that was read; lost, if an error came and bytes may be gone; quit, if nothing was read. */
void sf_pipe_numbers_read_begin(uint32_t number);
uint64_t sf_pipe_numbers_read_end(uint32_t number);
void sf_pipe_numbers_read_lost(uint32_t number);
void sf_pipe_numbers_read_quit(uint32_t number);

/* No pipe of the table is counted any more, because some process will use them without counting. */
void sf_pipe_numbers_forget(void);

/* Calls visit for every pipe of the table. */
void sf_pipe_numbers_each(void (*visit)(uint32_t pipe));

#endif
