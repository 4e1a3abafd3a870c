/* The spill file of a log: records that were set aside, because there was no time to store them.
 *
 * Copying a record costs a fraction of what storing it as a row does. So where storing would take a CPU away from the
 * program, the collector copies the records and stores them later. spill.<pid>.<tsc> belongs to log.<pid>.<tsc>:
 *
 *     byte 0                          32                                32 + 32 * (end - first)
 *          +-------+-------+-----+-----+------------+----------------+- - - -+
 *          | magic | first |taken| end | nr. first  | nr. first + 1  |       |
 *          +-------+-------+-----+-----+------------+----------------+- - - -+
 *
 * first <= taken <= end. [taken, end) are still to be stored; the log's own records follow at end. The collector may be
 * killed at any moment, so the order of writing matters: first the records, then `end`, then the log's tail. When all
 * records are stored and committed, the file is removed before the log's tail is moved.
 *
 * Used by one process at a time, the collector. Nothing here blocks. Errors are -errno. */
#ifndef SF_TRACER_COLLECT_SPILL_H
#define SF_TRACER_COLLECT_SPILL_H

#include <stddef.h>
#include <stdint.h>

#include "abi/log_format.h"

#define SPILL_PREFIX "spill." /* of the file's name, in the place of SF_LOG_PREFIX */

struct spill_header {
    uint64_t magic, first, taken, end;
};
static_assert(sizeof(struct spill_header) == sizeof(struct sf_record), "the header takes one record's place");
#define SPILL_MAGIC UINT64_C(0x314c4c4950534653) /* "SFSPILL1" in memory */

struct spill {
    int dir_fd; /* the caller's */
    int fd;     /* owned; -1: there is no file, and first = taken = end = 0 */
    char file[64];
    uint64_t first, taken, end;
};

/* Opens the spill file of this log, if an earlier collector left one. -EBADMSG, -EPERM: a file of that name exists that
 * no collector of this user wrote. */
int spill_open(struct spill *spill, int dir_fd, const char *log);
void spill_close(struct spill *spill);

/* Appends `count` records, the first of which has this number: `end`, if there is a file; if there is none, it is made.
 * -ENOSPC and the like: nothing was appended. */
int spill_add(struct spill *spill, uint64_t number, const struct sf_record *records, size_t count);

/* Copies records [number, number + count) of [first, end). -EBADMSG: the file ends before they do. */
int spill_read(const struct spill *spill, uint64_t number, struct sf_record *records, size_t count);

/* All records before `taken` are stored and committed: frees their memory. */
void spill_release(struct spill *spill, uint64_t taken);

/* Removes the file, if there is one. */
void spill_remove(struct spill *spill);

#endif
