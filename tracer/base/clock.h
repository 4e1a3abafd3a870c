/* The session's clock: converts ticks of the timestamp counter to nanoseconds since the session started. It takes pairs
 * of readings (tsc, CLOCK_MONOTONIC) and interpolates between them. Only clock_start blocks, for 2 ms. */
#ifndef SF_TRACER_BASE_CLOCK_H
#define SF_TRACER_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

/* Times are held within 73 years of the session's start, so that the difference of two does not overflow. */
#define CLOCK_MAX_NS (INT64_MAX / 4)

/* One pair. When the counter showed `tsc`, CLOCK_MONOTONIC showed monotonic_ns, within error_ns. */
struct clock_snapshot {
    uint64_t tsc;
    int64_t monotonic_ns, realtime_ns, error_ns;
};

/* From from_tsc on, the time at counter value x is ns + (x - tsc) * ns_per_tick. */
struct clock_segment {
    uint64_t from_tsc, tsc;
    int64_t ns;
    double ns_per_tick;
};

struct clock {
    struct clock_snapshot first, last;
    struct clock_segment open; /* from the last snapshot on; its rate is an estimate until the next snapshot */
    int64_t worst_error_ns;
};

/* What a clock of the system shows, in ns; clock_now_ns: CLOCK_MONOTONIC. */
int64_t clock_system_ns(clockid_t which);
int64_t clock_now_ns(void);

/* Reads the counter between two fences: after all earlier instructions and before all later ones. */
uint64_t clock_tsc(void);

/* Does the counter always run at the same rate? */
bool clock_is_invariant(void);

/* Takes a snapshot: the narrowest of about 100 brackets tsc - clock - tsc. ns_per_tick (0: unknown) is used for
 * error_ns only. */
struct clock_snapshot clock_take(double ns_per_tick);

/* Takes the first snapshot and measures the rate, in 2 ms. */
void clock_start(struct clock *clock);

/* Continues from stored readings: the `first` and the `last` snapshot, and the rate after the last. */
void clock_resume(struct clock *clock, const struct clock_snapshot *first, const struct clock_snapshot *last,
                  double ns_per_tick);

/* Adds a snapshot. It ends a segment, which goes to *closed with its measured rate, and begins clock->open. false, and
 * nothing changes: it is not later than the last one. */
bool clock_advance(struct clock *clock, const struct clock_snapshot *next, struct clock_segment *closed);

/* The time at that counter value by this segment. A damaged trace may have any numbers: the result is held within
 * CLOCK_MAX_NS of 0. */
int64_t clock_segment_ns(const struct clock_segment *segment, uint64_t tsc);

/* The time at that counter value, if it is after the last snapshot. For earlier ones the database has the segments. */
int64_t clock_ns(const struct clock *clock, uint64_t tsc);

/* So many ns in ticks, at the present rate. */
uint64_t clock_ticks(const struct clock *clock, int64_t ns);

/* The counter's frequency over the whole session. */
double clock_hz(const struct clock *clock);

#endif
