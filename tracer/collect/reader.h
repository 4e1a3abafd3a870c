/* Reads one log. Nothing in the log is trusted: the file may be cut short, replaced or filled with anything at any
 * time, and then a function here returns an error. Reads by pread, writes `tail` only. Nothing blocks. */
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
    struct sf_log_header header; /* identity: as it was when the log was opened; counts: as of the last reader_look */
    uint64_t next;               /* number of the record to be read next */
    uint64_t tail;               /* the log's tail as we set it: records before it are no longer in the log */
    struct spill spill;          /* records that were set aside: [first, end), and then end == tail */
};

/* -EAGAIN: still being made, try again later. -EMFILE and the like: out of descriptors, try again later. -EBADMSG: not
 * a log of this session, or damaged. -EPERM: it does not belong to this user alone. */
int reader_open(struct reader *reader, int dir_fd, const char *name, uint32_t capacity);
void reader_close(struct reader *reader);

/* Records before `number` are not read any more: an earlier collector has stored them. */
void reader_skip(struct reader *reader, uint64_t number);

/* Reads the writer's counts. -EBADMSG: they are impossible, and nothing more can be read from this log. */
int reader_look(struct reader *reader);

/* Reads the process's name again, which the writer may have changed. */
void reader_look_name(struct reader *reader);

/* Copies records [next, head) as of the last look, at most `room`, and moves `next` past them. *count 0: there are no
 * more. -EBADMSG: the file ends before they do. */
int reader_read(struct reader *reader, struct sf_record *records, size_t room, size_t *count);

/* Moves all records that the log holds, as of the last look, into the spill file, where reader_read finds them. The
 * writer can use their room again. `records`, `room`: a buffer for the copying. -ENOSPC and the like, and -EBADMSG as
 * above: the records that were not moved are still in the log. */
int reader_set_aside(struct reader *reader, struct sf_record *records, size_t room);

/* All records before `taken` are stored: lets the writer use their room again. */
void reader_release(struct reader *reader, uint64_t taken);

/* Can a writer have written this record between these two times? READER_SOUND, or what is wrong with it. */
enum reader_flaw reader_check(const struct sf_record *record, uint64_t from_tsc, uint64_t to_tsc);

#endif
