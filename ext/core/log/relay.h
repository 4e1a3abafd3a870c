/* A log that this process writes for another one, which is on another host: the caller's side of a traced remote chunk.
 *
 * What a remote worker has recorded (parcel.h) comes with its results. A relay writes it into a log of this process's
 * session, under the worker's name, its pid and a pid namespace that none on this machine has. So the collector
 * imports it as any other log, and asks no process of this machine about it. The log is over when this process closes
 * it, or ends.
 *
 * Times. The records have the worker's timestamp counter. Each becomes a time of this machine's, by a straight line
 * that the caller knows (`struct sf_relay_clock`), held within the exchange: nothing that the worker did after it had
 * got the chunk comes before the chunk was sent, and nothing after its result was here. In a log, times do not
 * decrease.
 *
 * Lanes. The analysis looks at a process's first thread. A remote worker may run its chunks in another one, as Dask's
 * do: the lane of the log's first CHUNK and lane 0 are exchanged.
 *
 * Counts are those of abi/log_format.h: what was lost on the way is counted as lost, with a LOST record at the gap.
 *
 * Everything here needs the interpreter lock, as writing into the own log does. Nothing blocks. When this process's log
 * is closed, in a forked child or at the end of its session, so are all relays; what is written into them then is
 * dropped. */
#ifndef SF_CORE_LOG_RELAY_H
#define SF_CORE_LOG_RELAY_H

#include <stddef.h>

#include "abi/log_format.h"

struct sf_relay;

/* counter value of the worker's: `to` + (value - from) * rate here; at least `low` if it is not before `entered`, and
 * at most `high`. */
struct sf_relay_clock {
    uint64_t from, to;
    double rate;
    uint64_t entered, low, high;
};
uint64_t sf_relay_time(const struct sf_relay_clock *clock, uint64_t tsc);

/* Makes the log of the process that wrote this header; `start_tsc` and `parent_tsc` are times of this machine. A
 * process that was not forked by another remote one has this process as its parent. 0 or -errno. */
int sf_relay_open(struct sf_relay **out, const struct sf_log_header *header, uint64_t start_tsc, uint64_t parent_tsc);
void sf_relay_free(struct sf_relay *relay);

/* Writes records that came together, after a REMOTE record. */
void sf_relay_write(struct sf_relay *relay, const struct sf_relay_clock *clock, const struct sf_record *records,
                    size_t count, uint64_t error_ns);

/* Counts records that were lost between those before and those after; torn: begun, and never finished. */
void sf_relay_lose(struct sf_relay *relay, uint64_t count);
void sf_relay_count(struct sf_relay *relay, uint64_t lost, uint64_t torn);

#endif
