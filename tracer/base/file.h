/* Files that others may have made or cut: whole reads and writes, and whose a file is. Nothing blocks. */
#ifndef SF_TRACER_BASE_FILE_H
#define SF_TRACER_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Opens a file for reading and writing, if it is a regular one of this user's alone, with one name. The descriptor,
 * or -ENOENT; -EBADMSG: it is something else; -EPERM: it is not ours alone; -EMFILE and the like. */
int file_open_own(int dir_fd, const char *name);

/* All `size` bytes at `at`, or false. */
bool file_read(int fd, void *to, size_t size, uint64_t at);

/* All `size` bytes at `at`. 0 or -errno, when some of them may be there. */
int file_write(int fd, const void *from, size_t size, uint64_t at);

#endif
