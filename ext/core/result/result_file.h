/* The result file: what a child leaves for its parent. A memfd, written once by the child and read by the parent after
 * the child's death. It takes any size without a reader, so a join never has to read before it waits. It has no name,
 * so nothing is left behind when processes die.
 *
 * The descriptor may become the program's (core/os/own_fd.h): each call looks first. Then it touches nothing: -EBADF.
 */
#ifndef SF_CORE_RESULT_RESULT_FILE_H
#define SF_CORE_RESULT_RESULT_FILE_H

#include <stdint.h>

#include "core/os/own_fd.h"

struct sf_result_file_part {
    uint32_t tag; /* what the part is, for the caller to say; 0: there is no such part */
    uint64_t bytes;
    const void *data; /* for writing only */
};

#define SF_RESULT_FILE_PARTS 2

/* Makes an empty result file, close-on-exec; sf_own_fd_close closes it. 0 or -errno (-EMFILE, -ENFILE, -ENOMEM), and
 * then *file is none. */
int sf_result_file_open(struct sf_own_fd *file);

/* Frees its memory now: other children may hold the memfd too. */
void sf_result_file_empty(const struct sf_own_fd *file);

/* Writes all parts, in place of what was there. A writer killed half-way leaves a file that reads as empty. 0 or -errno
 * (-ENOSPC, -EFBIG: no room). Blocks only as far as getting memory does. */
int sf_result_file_write(const struct sf_own_fd *file, const struct sf_result_file_part parts[SF_RESULT_FILE_PARTS]);

/* Reads the sizes and tags. 0, -ENODATA: it was not written, or not to the end, or -errno. */
int sf_result_file_read_parts(const struct sf_own_fd *file, struct sf_result_file_part parts[SF_RESULT_FILE_PARTS]);

/* Reads the bytes of part `which` into `to`, which holds parts[which].bytes. 0 or -errno. */
int sf_result_file_read(const struct sf_own_fd *file, const struct sf_result_file_part parts[SF_RESULT_FILE_PARTS],
                        int which, void *to);

#endif
