/* Takes records out of this process's logs, so that they can travel: the worker's side of a traced remote chunk.
 *
 * A worker that is not in its caller's session has a session of its own: a directory of its own, a session file that is
 * gone again as soon as it is mapped, and no collector. What it and the processes that it forks write into their logs
 * there is taken by the worker itself, and goes with the chunk's result to the caller, who writes it into a log of the
 * caller's session (relay.h). A log holds SF_PARCEL_RECORDS records: more than that is lost there, and counted.
 *
 *     no session --(begin)--> recording <--(pause, go on)--> paused: nothing is written, forks make no logs
 *
 * Only the worker's own process calls these, one thread at a time. Nothing blocks. */
#ifndef SF_CORE_LOG_PARCEL_H
#define SF_CORE_LOG_PARCEL_H

#include <stdbool.h>

#include "abi/log_format.h"

#define SF_PARCEL_RECORDS 2048 /* 64 KiB */

/* What was taken out of one log: the records [first, end), of which `count` were copied; the others are lost. */
struct sf_parcel {
    struct sf_log_header header; /* with its counts: lost, and begun - head - lost records that are torn */
    uint64_t first, end;
    size_t count;
    bool is_over; /* its process has ended, so nothing more comes */
};

/* Begins a session in the empty directory, which this process leaves what session it was in before, if that is over. 0
 * or -errno; -EALREADY: it is in a session that goes on. */
int sf_parcel_begin(const char *directory, const char *name);

/* Stops recording, and goes on. */
void sf_parcel_pause(bool paused);

/* Takes all records of this process's own log. false: it has none. */
bool sf_parcel_take_own(struct sf_record *records, size_t room, struct sf_parcel *out);

/* Takes all records of a log in the session's directory. 0 or -errno; -EBADMSG: it is no log, or still being made. */
int sf_parcel_take(const char *file, struct sf_record *records, size_t room, struct sf_parcel *out);

#endif
