/* Numbers for the messages in other programs' pipes and sockets. The k-th message written into a pipe is the k-th read
 * from it. So two counters in shared memory pair them, and the message itself stays as it was.
 *
 * There is one table for a process and all that are forked from it after the table was made (pipe_table.h).
 *
 * No pair is ever wrong. The counts are right only while nobody else writes into the pipe or reads from it, and anybody
 * may: a program with a copy of the descriptor, os.write() to a connection's fileno(), a process that is killed between
 * its read and its count. So each read is checked:
 * - The balance: the bytes in the pipe, which the kernel tells, are those written less those read. It is exact but for
 *   a message that is being written.
 * - The message's number is not above the number of messages written.
 * - Its checksum, which runs over all messages up to it, is the writer's. The last SF_PIPE_TABLE_CHECKS checksums are
 *   kept; a reader that is further behind meets the next check when it has caught up.
 * When one of them fails, and when the pipe's descriptor is known to be given to a process that does not count, the
 * pipe is not counted any more, for good, and its messages have number 0. A pipe that was not declared by
 * sf_pipe_table_declare while it was empty is never counted.
 *
 * A read that fails, whatever it has consumed, needs no call: the balance tells it at the next read. A read that the
 * caller knows to have consumed a part of a message should call stop.
 *
 * Nothing here writes events or touches the pipes' content. A number that is not current (pipe_table.h) is allowed
 * everywhere, and not counted. */
#ifndef SF_CORE_LOG_PIPE_NUMBERS_H
#define SF_CORE_LOG_PIPE_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/log/pipe_table.h"

/* The channel number that stands for the pipe in events. */
uint32_t sf_pipe_numbers_channel(uint32_t number);

/* How many bytes the pipe held before a writer blocked, when it was first seen. */
uint64_t sf_pipe_numbers_capacity(uint32_t number);

struct sf_pipe_message {
    uint64_t bytes; /* that it takes in the pipe */
    uint32_t check; /* a checksum of its content, or of what its reader and writer both know of it */
};

/* Writing. begin makes the calling thread the pipe's only writer and gives the message its number (0: not counted).
 * -EAGAIN: another thread or process is writing; try again after a pause. After begin write the message, then call end,
 * with ok if the whole message was written. If a writer dies in between, the pipe is no longer counted. */
int sf_pipe_numbers_write_begin(uint32_t number, const struct sf_pipe_message *message, uint64_t *seq);
void sf_pipe_numbers_write_end(uint32_t number, bool ok);

/* A whole message was read from fd: its number (0: not counted). */
uint64_t sf_pipe_numbers_read(uint32_t number, int fd, const struct sf_pipe_message *message);

/* Whether there is something to read, by the counts. 1, 0 (but a message may have been written just now), or -1: the
 * pipe is not counted. */
int sf_pipe_numbers_holds(uint32_t number);

/* The pipe is no longer counted. */
void sf_pipe_numbers_stop(uint32_t number);

/* The same for the pipes of a descriptor, where they are known. */
void sf_pipe_numbers_stop_fd(int fd);

/* The same for each descriptor that an exec leaves open. */
void sf_pipe_numbers_stop_inherited(void);

/* The same for all pipes of the table, because some process will use them without counting. */
void sf_pipe_numbers_forget(void);

/* Whether that process shares the table, so that it may count. Takes some hundred microseconds. */
bool sf_pipe_numbers_are_shared_with(pid_t pid);

#endif
