/* A large buffer that goes from one process to another without a copy on the receiver's side. The sender writes it into
 * a file without a name, the receiver maps that file, and then both forget it: the mapping is all that is left.
 *
 *     sender                                         receiver
 *     write: memfd, bytes written, sealed
 *     tells its offer: descriptor, inode, bytes -->  map: opens /proc/<sender>/fd/<descriptor>, looks whether it is
 *     keeps the descriptor open meanwhile            that file, maps it, and closes it
 *     close  <----------------------------------     says that it has it, or not
 *                                                    free: unmaps it, and the kernel frees the memory
 *
 *     receiver's memory   [ a page of its own: how long it is ][ the mapped file ]
 *
 * The mapping is private and may be written: what is written belongs to the process that writes it, also after a fork,
 * as with any other memory. A page costs a copy when it is first written. Until then a fork has nothing to do for the
 * buffer. The file is sealed: nobody can cut it off or write to it any more, whoever else got the
 * descriptor by a fork. (Before Linux 5.1: cut it off.)
 *
 * Nothing stays: no name, and no descriptor between two calls. Whichever process is killed, at whatever moment, the
 * kernel frees what it held. A sender that is killed before the receiver has mapped the file takes it along.
 *
 * Nothing here waits for another process. */
#ifndef SF_CORE_RESULT_BUFFER_FILE_H
#define SF_CORE_RESULT_BUFFER_FILE_H

#include <stdint.h>
#include <sys/types.h>

#include "core/os/own_fd.h"

#define SF_BUFFER_FILE_MOST 16384 /* at a time; each is two mappings, of which a process may have some 65,000 */

struct sf_buffer_offer { /* what the sender tells */
    int64_t fd;
    uint64_t device, inode;
    uint64_t bytes; /* of the buffer */
};

/* In the sender: writes `bytes` bytes, at least 1, into a new file. 0 or -errno, and then *file is none (-EFBIG: more
 * than RLIMIT_FSIZE; -ENOMEM, -EMFILE, ...). */
int sf_buffer_file_write(struct sf_own_fd *file, const void *from, uint64_t bytes);

/* What to tell about it. */
struct sf_buffer_offer sf_buffer_file_offer(const struct sf_own_fd *file, uint64_t bytes);

/* In the receiver: maps the buffer that the sender, by its pid, has open. *memory, of at least offer->bytes bytes, is
 * the caller's. 0 or -errno: the file cannot be opened, is another one, or cannot be mapped. */
int sf_buffer_file_map(void **memory, pid_t sender, const struct sf_buffer_offer *offer);

/* ---- memory of this kind, as malloc's; by any thread ---- */

/* Not out of a file. NULL: there is no memory. */
void *sf_buffer_new(uint64_t bytes);

/* How long it is. */
uint64_t sf_buffer_bytes(const void *memory);

/* Gives it another length, and perhaps another place. NULL: there is no memory, and nothing has changed. */
void *sf_buffer_resize(void *memory, uint64_t bytes);

/* Gives it back. NULL is allowed. */
void sf_buffer_free(void *memory);

#endif
