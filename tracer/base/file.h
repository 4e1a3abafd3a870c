/* Files that other processes may have made, replaced or cut short. Opens only files of this user, and reads and writes
 * a range as a whole or fails. Nothing blocks. */
#ifndef SF_TRACER_BASE_FILE_H
#define SF_TRACER_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PAGE_BYTES = 4096 }; /* of memory, and of a file in shared memory */

/* Opens a file for reading and writing if it is a regular file of this user, closed to others, with one hard link.
 * Returns the descriptor, or -ENOENT; -EBADMSG: no regular file; -EPERM: others may open it; -EMFILE and the like. */
int file_open_own(int dir_fd, const char *name);

/* Reads `size` bytes at offset `at`. false: not all of them are there. */
bool file_read(int fd, void *to, size_t size, uint64_t at);

/* Reads a small file, such as those of /proc and control groups, and ends it with a NUL. Of a longer one only the
 * beginning. false: there is none, or it is empty. */
bool file_read_small(const char *path, char *to, size_t size);

/* Writes `size` bytes at offset `at`. 0, or -errno: some of them may have been written. */
int file_write(int fd, const void *from, size_t size, uint64_t at);

#endif
