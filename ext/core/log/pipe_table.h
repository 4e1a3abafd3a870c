/* The places of pipes in shared memory, and the pipes that have them. For pipe_numbers.c, which counts.
 *
 * A pipe is known by device and inode, which all its descriptors have, also those passed to other processes. A socket
 * pair is two pipes, one each way.
 *
 * Who has a place. Each place has a generation, which grows by one whenever the place is given, and whenever it becomes
 * free. A pipe gets a place and a number, which holds the place's index and half the generation that the place got with
 * it: how often the place was given before. So the number of an earlier pipe of a place is recognised, and means "not
 * counted".
 *
 *     free (generation even)  --- a pipe is declared, or found --->  taken (odd)
 *     taken                   --- its inode is declared anew, or a sweep has not found it --->  free
 *
 * When a place is free again. Only the kernel knows whether a pipe is closed: processes are killed, and copies of
 * descriptors are where nobody counts them. So nothing is noted when a connection is closed. When there is no free
 * place, a sweep looks in /proc for the pipes that some process has open, and frees the places of all others. That is
 * once in some 65,000 pipes. A sweep may miss a pipe that is open: its only descriptor is on its way through a socket
 * or was passed on while the sweep looked, its process may not be looked at, or it is a named one. Then the pipe's
 * numbers are those of an earlier pipe: it is not counted from then on, and nothing else happens to it.
 *
 * If a sweep frees little, the next one is after some thousand refused pipes. Pipes without a place share
 * SF_PIPE_TABLE_REST, which is never counted.
 *
 * A process may be killed at any instruction. If that is while it gives a pipe its place, that one place is lost. */
#ifndef SF_CORE_LOG_PIPE_TABLE_H
#define SF_CORE_LOG_PIPE_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SF_PIPE_TABLE_PLACES 65535u
#define SF_PIPE_TABLE_REST 0x10000u /* place 0, given once before */
#define SF_PIPE_TABLE_CHECKS 64     /* a power of two */

/* All is 0 when the place is given, except what is said otherwise. Who writes the counts, and when: pipe_numbers.c. */
struct sf_pipe {
    _Atomic uint32_t listed;  /* the pipe's number, once its inodes lead to it: before, no sweep may free it */
    _Atomic uint32_t counted; /* the pipe's number; 0: it is not counted (any more) */
    uint32_t channel;         /* its number in events; written when the place is given */
    _Atomic uint32_t reading;
    uint64_t capacity; /* bytes; written when the place is given */
    _Atomic uint64_t writer;
    _Atomic uint64_t written, begun_bytes, written_bytes;
    _Atomic uint64_t read, read_bytes;
    uint32_t written_check, read_check;
    _Atomic uint32_t checks[SF_PIPE_TABLE_CHECKS];
};

/* Makes the table, once in a tree of forks. Calling it again does nothing. 0 or -errno. */
int sf_pipe_table_init(void);

/* Where the table is in memory; NULL: there is none. */
const void *sf_pipe_table_address(void);

struct sf_pipe_end {
    uint32_t out, in; /* the pipe that the descriptor writes into and the one it reads from; may be the same */
};

/* The pipes of a new pair of descriptors: what is written into `writer` is read from `reader`; duplex: and the other
 * way round (sockets). They are counted. 0 or -errno (-ENOSPC: there is no place). It may sweep. */
int sf_pipe_table_declare(int reader, int writer, bool duplex);

/* The pipes of a descriptor of a pipe or socket. One that is not known yet gets a place, and is not counted. Both
 * SF_PIPE_TABLE_REST: there is no place. {0, 0}: it is a descriptor of something else. It may sweep. */
struct sf_pipe_end sf_pipe_table_find(int fd);

/* The same, but {0, 0} for one that is not known. */
struct sf_pipe_end sf_pipe_table_look_up(int fd);

/* Whether a pipe has this number now. */
bool sf_pipe_table_is_current(uint32_t number);

/* The place of that number, also where another pipe has it now. */
struct sf_pipe *sf_pipe_table_place(uint32_t number);

/* Calls visit for each pipe that has a place, and for SF_PIPE_TABLE_REST if there are others. */
void sf_pipe_table_each(void (*visit)(uint32_t number));

#endif
