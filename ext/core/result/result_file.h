/* One sheet of results from a child to its parent: a memfd, written once by the child, read by the parent after the
 * child's death. It takes any size without anybody reading, so a join never has to drain before it waits; it has no
 * name, so nothing is left behind whoever dies. */
#ifndef SF_CORE_RESULT_RESULT_FILE_H
#define SF_CORE_RESULT_RESULT_FILE_H

#include <stdint.h>

/* A part of the sheet. tag: the writer's word for what it is, 0: the part is not there. */
struct sf_result_file_part {
    uint32_t tag;
    uint64_t bytes;
    const void *data; /* for writing */
};

#define SF_RESULT_FILE_PARTS 2

/* A new, empty result_file: a file descriptor (close-on-exec), the caller's. >= 0 or -errno (-EMFILE, -ENFILE,
 * -ENOMEM). */
int sf_result_file_open(void);

/* Writes all parts; what was there before is gone. The sheet counts only once it is whole: a writer killed half-way
 * leaves an empty result_file. 0 or -errno (-ENOSPC, -EFBIG: no room). Blocks only as memory does. */
int sf_result_file_write(int fd, const struct sf_result_file_part parts[SF_RESULT_FILE_PARTS]);

/* Reads the sizes and tags. 0, -ENODATA: nothing whole in it, or -errno. */
int sf_result_file_read_parts(int fd, struct sf_result_file_part parts[SF_RESULT_FILE_PARTS]);

/* Reads the bytes of part `which` into `to`, which holds parts[which].bytes. 0 or -errno. */
int sf_result_file_read(int fd, const struct sf_result_file_part parts[SF_RESULT_FILE_PARTS], int which, void *to);

#endif
