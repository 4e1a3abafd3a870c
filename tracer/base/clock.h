/* The session's clock: raw timestamp-counter ticks to nanoseconds since the session started, by pairs of readings
 * (tsc, CLOCK_MONOTONIC) and straight lines between them. No function here blocks, except clock_start (2 ms). */
#ifndef SF_TRACER_BASE_CLOCK_H
#define SF_TRACER_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

/* One pair. The counter showed `tsc` when the clock showed monotonic_ns, give or take error_ns. */
struct clock_snapshot {
    uint64_t tsc;
    int64_t monotonic_ns, realtime_ns, error_ns;
};

/* From from_tsc on: ns + (x - tsc) * ns_per_tick. */
struct clock_segment {
    uint64_t from_tsc, tsc;
    int64_t ns;
    double ns_per_tick;
};

struct clock {
    struct clock_snapshot first, last;
    struct clock_segment open; /* what holds from the last snapshot on: its slope is a guess until the next one */
    int64_t worst_error_ns;
};

/* What a clock of the system shows, in ns; clock_now_ns: CLOCK_MONOTONIC. */
int64_t clock_system_ns(clockid_t which);
int64_t clock_now_ns(void);

/* The counter, fenced against what stands before and after. */
uint64_t clock_tsc(void);

/* Does the counter run at one rate, whatever the processor does? */
bool clock_is_invariant(void);

/* The narrowest of about 100 brackets tsc - clock - tsc. ns_per_tick (0: unknown) serves to tell the error only. */
struct clock_snapshot clock_take(double ns_per_tick);

/* Takes the first snapshot and finds the rate, in 2 ms. */
void clock_start(struct clock *clock);

/* Goes on from readings that were stored before: `first` and `last` of them, and the last one's ns. */
void clock_resume(struct clock *clock, const struct clock_snapshot *first, const struct clock_snapshot *last,
                  double ns_per_tick);

/* A new snapshot: *closed becomes the segment it ends, with its true slope; clock->open the one it begins.
 * false, and nothing changes, if it is not later than the last one. */
bool clock_advance(struct clock *clock, const struct clock_snapshot *next, struct clock_segment *closed);

/* Good for the time since the last snapshot; for earlier times ask the database's segments. */
int64_t clock_ns(const struct clock *clock, uint64_t tsc);

/* Ticks in so many ns, at the present rate. */
uint64_t clock_ticks(const struct clock *clock, int64_t ns);

/* The counter's frequency over the whole session. */
double clock_hz(const struct clock *clock);

#endif
