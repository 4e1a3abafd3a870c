/* The process that writes a log: which one it is here, whether it still runs, and whether anybody can still write.
 *
 *     known: it has a pid in this collector's pid namespace, and a pidfd shows its end at once
 *         alive --(it ends)--> dead, as soon as the log's lease is free too --> over
 *     not known: it is in a namespace that cannot be seen from here, or it had ended before its log was found
 *         the lease is held --(the lease is free)--> over; when it ended is then not known
 *
 * The lease (base/lease.h) comes last in both: a process that was forked without the fork handlers may go on writing
 * into its parent's log. It may also hold the lease without knowing, by a descriptor that was left to it; so a process
 * that is dead counts as ended while its log is still looked at. Where there are no leases, a known process is over
 * when it is dead, and one that is not known never: the session's end ends it.
 *
 * Nothing here blocks. */
#ifndef SF_TRACER_COLLECT_AUTHOR_H
#define SF_TRACER_COLLECT_AUTHOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/liveness.h"

struct author {
    struct liveness process; /* meaningful if pid is not 0 */
    pid_t pid;               /* in the collector's pid namespace; 0: not known */
    bool is_over;            /* nobody can write the log any more */
    bool end_is_unknown;     /* the process is not known, or had ended when this was opened */
};

/* Who writes the log that is open as `fd`: process `pid` of that pid namespace (0: not known), which was alive `age_ns`
 * ago. */
void author_open(struct author *author, int fd, pid_t pid, uint32_t space, int64_t age_ns);
void author_close(struct author *author);

/* Can nobody write the log any more? Once true, always true. */
bool author_is_over(struct author *author, int fd);

/* Has the process itself ended? Where it is not known: can nobody write its log any more? True if it is over. */
bool author_has_ended(struct author *author, int fd);

/* The collector's own pid namespace, as abi/log_format.h numbers it; 0: not known. */
uint32_t author_own_space(void);

#endif
