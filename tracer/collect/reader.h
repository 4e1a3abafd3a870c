/* One log, read. Trusts nothing in it: the file may be cut short, replaced or filled with anything at any time, and
 * the worst that happens is a result that says so. Reads by pread, writes `tail` only. Nothing blocks. */
#ifndef SF_TRACER_COLLECT_READER_H
#define SF_TRACER_COLLECT_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/log_format.h"
#include "collect/spill.h"

enum reader_flaw { READER_SOUND, READER_BAD_KIND, READER_BAD_PHASE, READER_BAD_TIME };

struct reader {
    int fd;                      /* owned */
    struct sf_log_header header; /* as it was last looked at; identity as it was when opened */
    uint64_t next;               /* number of the record to be read next */
    uint64_t given;              /* the log's tail: its records before it are ours */
    struct spill spill;          /* those that were set aside: [first, end), and then end == given */
};

/* -EAGAIN: still being made, come again. -EMFILE and the like: out of descriptors, come again. -EBADMSG: not a log
 * of this session, or damaged. -EPERM: not ours alone. */
int reader_open(struct reader *reader, int dir_fd, const char *name, uint32_t capacity);
void reader_close(struct reader *reader);

/* Reads the writer's and reader's counts. -EBADMSG: they are impossible; the log is lost from here on. */
int reader_look(struct reader *reader);

/* Reads the name again, which the writer may have changed. */
void reader_look_name(struct reader *reader);

/* Copies records [next, head) as of the last look, at most `room`, and moves `next` on. *count 0: that was all.
 * -EBADMSG: the file ends before they do. */
int reader_read(struct reader *reader, struct sf_record *records, size_t room, size_t *count);

/* Takes what the log holds, as of the last look, out of it without reading it: reader_read will find it in a file
 * beside the log, and the writer has its room back. `records`, `room`: memory to copy by. -ENOSPC and the like, and
 * -EBADMSG as above: the rest is still in the log. */
int reader_set_aside(struct reader *reader, struct sf_record *records, size_t room);

/* What was read before `taken` is stored: gives its room up to `taken` back to the writer. */
void reader_give_back(struct reader *reader, uint64_t taken);

/* Is this a record that a writer could have written between the times `from` and `to`? */
enum reader_flaw reader_check(const struct sf_record *record, uint64_t from_tsc, uint64_t to_tsc);

#endif
