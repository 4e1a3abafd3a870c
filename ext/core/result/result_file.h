/* The result file: what a child leaves for its parent. A memfd, written once by the child and read by the parent after
 * the child's death. It takes any size without a reader, so a join never has to read before it waits. It has no name,
 * so nothing is left behind when processes die. */
#ifndef SF_CORE_RESULT_RESULT_FILE_H
#define SF_CORE_RESULT_RESULT_FILE_H

#include <stdint.h>

struct sf_result_file_part {
    uint32_t tag; /* what the part is, for the caller to say; 0: there is no such part */
    uint64_t bytes;
    const void *data; /* for writing only */
};

#define SF_RESULT_FILE_PARTS 2

/* Makes an empty result file: a descriptor (close-on-exec), the caller's. >= 0 or -errno (-EMFILE, -ENFILE, -ENOMEM).
 */
int sf_result_file_open(void);

/* Writes all parts, in place of what was there. A writer killed half-way leaves a file that reads as empty. 0 or -errno
 * (-ENOSPC, -EFBIG: no room). Blocks only as far as getting memory does. */
int sf_result_file_write(int fd, const struct sf_result_file_part parts[SF_RESULT_FILE_PARTS]);

/* Reads the sizes and tags. 0, -ENODATA: it was not written, or not to the end, or -errno. */
int sf_result_file_read_parts(int fd, struct sf_result_file_part parts[SF_RESULT_FILE_PARTS]);

/* Reads the bytes of part `which` into `to`, which holds parts[which].bytes. 0 or -errno. */
int sf_result_file_read(int fd, const struct sf_result_file_part parts[SF_RESULT_FILE_PARTS], int which, void *to);

#endif
