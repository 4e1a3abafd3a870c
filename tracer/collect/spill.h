/* What a log held when there was no time to store it: its records, set aside in a file beside it.
 *
 * Copying a record costs a fraction of what storing it as a row does. So a collector that would take a CPU away
 * from the program copies, and stores later. spill.<pid>.<tsc> belongs to log.<pid>.<tsc>:
 *
 *     byte 0                          32                                32 + 32 * (end - first)
 *          +-------+-------+-----+-----+------------+----------------+- - - -+
 *          | magic | first |taken| end | nr. first  | nr. first + 1  |       |
 *          +-------+-------+-----+-----+------------+----------------+- - - -+
 *
 * first <= taken <= end. [taken, end) are still to be stored; the log's own records follow at end. In what order
 * things are written makes every moment a good one to be killed in: records, end, the log's tail; and, when all is
 * stored and committed: the file's removal, the log's tail.
 *
 * One process at a time, the collector. Nothing here blocks. Errors are -errno. */
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
    int dir_fd; /* borrowed */
    int fd;     /* owned; -1: there is no file, and first = taken = end = 0 */
    char file[64];
    uint64_t first, taken, end;
};

/* Opens what an earlier collector has set aside, if it has. -EBADMSG, -EPERM: there is something that it has not
 * written. */
int spill_open(struct spill *spill, int dir_fd, const char *log);
void spill_close(struct spill *spill);

/* Appends records [end, end + count), or from `number` if there is no file yet: it is made. -ENOSPC and the like:
 * nothing was appended. */
int spill_add(struct spill *spill, uint64_t number, const struct sf_record *records, size_t count);

/* Copies records [number, number + count) of [first, end). -EBADMSG: the file ends before they do. */
int spill_read(const struct spill *spill, uint64_t number, struct sf_record *records, size_t count);

/* All before `taken` is stored and committed: its memory is given back. */
void spill_take(struct spill *spill, uint64_t taken);

/* Removes the file, if there is one. */
void spill_remove(struct spill *spill);

#endif
